"""XiaoNet: the small phase picker that learns from PhaseNet.

A U-Net of three poolings in time. With `pooling=2` it is the published architecture; `pooling=4` widens its
context from about 1 s to about 6 s and costs a third of the arithmetic at the same number of parameters.
Inside, time is the second of two dimensions (see `fast_layers`).
"""

# B batch, C channel or class (P, S, noise), X component (E, N, Z), 1 a height of one, T time sample

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from seisbench.models import PhaseNet, WaveformModel
from torch import Tensor, nn

from trainables.config import Config
from trainables.data.batches import normalise
from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from trainables.models.fast_layers import FastConv1d, JoinConv1d
from trainables.models.interface import Interface
from trainables.models.wide_context import WideContext

LEVELS = 3
CLASSES = "PSN"


class StudentConfig(Config):
    """Size and shape of a XiaoNet."""

    base_channels: int = Field(16, ge=2, le=128)
    """Number of channels of the first level; the other levels have 2, 4 and 8 times as many."""

    pooling: Literal[2, 4] = 2
    """Factor of each of the three poolings; with 4 the network sees a longer context and costs a third."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Channel dropout after each block; 0.2 to 0.3 against overfitting."""

    norm: Literal["batch", "group"] = "batch"
    """batch: batch normalisation. group: group normalisation (one group), which does not depend on the batch."""

    context: Literal["near", "wide"] = "near"
    """How far around a sample the network looks. near: as far as the poolings reach. wide: further, with dilated
    convolutions and the mean over the window at the bottleneck (a fifth more parameters with base_channels 8)."""


class XiaoNet(WaveformModel):
    """Phase picker, input (B, 3, 3001) at 100 Hz in order E, N, Z; output (B, 3, 3001) of P, S, noise.

    The input of `forward` is normalised: demeaned, detrended and divided by its peak, per component (as
    `annotate` and `classify` do by themselves). Probabilities by default, logits on request.

    A SeisBench model: `XiaoNet.load(path)`, `model.classify(stream)`, `model.annotate(stream)`.
    """

    _annotate_args = PhaseNet._annotate_args.copy()

    def __init__(
        self,
        window_len: int = WINDOW_SAMPLES,
        in_channels: int = 3,
        num_phases: int = 3,
        base_channels: int = 16,
        pooling: int = 2,
        dropout: float = 0.0,
        norm: str = "batch",
        context: str = "near",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            citation="XiaoNet, a student of PhaseNet (Zhu and Beroza 2019, doi:10.1093/gji/ggy423)",
            in_samples=window_len,
            pred_sample=(0, window_len),
            output_type="array",
            labels=CLASSES,
            sampling_rate=SAMPLING_RATE_HZ,
            component_order=COMPONENT_ORDER,
            **kwargs,
        )
        self.window_len, self.in_channels, self.num_phases = window_len, in_channels, num_phases
        self.base_channels, self.pooling, self.dropout, self.norm = base_channels, pooling, dropout, norm
        self.context = context

        widths = [base_channels * 2**level for level in range(LEVELS + 1)]
        inputs = [in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(
            _block(_conv(i, o), o, dropout, norm) for i, o in zip(inputs[:LEVELS], widths[:LEVELS], strict=True)
        )
        self.bottleneck = _block(_conv(widths[-2], widths[-1]), widths[-1], dropout, norm)
        self.decoder = nn.ModuleList(
            _block(JoinConv1d(widths[level], widths[level + 1], widths[level], pooling), widths[level], dropout, norm)
            for level in reversed(range(LEVELS))
        )
        self.head = _conv(base_channels, num_phases)
        if context == "wide":  # made last, so that the others begin with the weights that they have without it
            self.bottleneck.append(WideContext(widths[-1], norm))

    def forward(self, x_BXT: Tensor, logits: bool = False) -> Tensor:
        y_BC1T = self._fit_length(x_BXT).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        skips = []
        for block in self.encoder:
            y_BC1T = block(y_BC1T)
            skips.append(y_BC1T)
            y_BC1T = F.max_pool2d(y_BC1T, (1, self.pooling))
        y_BC1T = self.bottleneck(y_BC1T)
        for block in self.decoder:
            y_BC1T = block((skips.pop(), y_BC1T))
        logits_BCT = self._restore_length(self.head(y_BC1T).squeeze(2))
        return logits_BCT if logits else logits_BCT.softmax(dim=1)

    def _fit_length(self, x_BXT: Tensor) -> Tensor:
        """To a multiple of 8 by trimming (pooling 2, as published), of 64 by padding zeros (pooling 4)."""
        multiple = self.pooling**LEVELS
        if self.pooling == 2:
            return x_BXT[..., : self.window_len // multiple * multiple]
        return F.pad(x_BXT, (0, -self.window_len % multiple))

    def _restore_length(self, y_BCT: Tensor) -> Tensor:
        """Back to the window: crop, or repeat the last logit; zeros would be a pick after the softmax."""
        missing = self.window_len - y_BCT.shape[-1]
        if missing <= 0:
            return y_BCT[..., : self.window_len]
        return torch.cat([y_BCT, y_BCT[..., -1:].expand(-1, -1, missing)], dim=-1)

    def annotate_batch_pre(self, batch: Tensor, argdict: dict[str, Any]) -> Tensor:
        """Raw windows (B, X, T) to what `forward` takes; the same function that training uses."""
        return normalise(batch)

    @property
    def interface(self) -> Interface:
        """What a caller must know."""
        return Interface(self.window_len)

    annotate_batch_post = PhaseNet.annotate_batch_post
    classify_aggregate = PhaseNet.classify_aggregate

    def get_model_args(self) -> dict[str, Any]:
        return {
            "window_len": self.window_len,
            "in_channels": self.in_channels,
            "num_phases": self.num_phases,
            "base_channels": self.base_channels,
            "pooling": self.pooling,
            "dropout": self.dropout,
            "norm": self.norm,
            "context": self.context,
            "default_args": self.default_args,
        }


def build_student(config: StudentConfig) -> XiaoNet:
    """A XiaoNet with fresh weights from torch's global generator."""
    return XiaoNet(**config.model_dump())


def _block(first: nn.Module, channels: int, dropout: float, norm: str) -> nn.Sequential:
    """Two convolutions with normalisation and ReLU, the first of which is given; then dropout."""
    layers: list[nn.Module] = []
    for convolution in (first, _conv(channels, channels)):
        layers += [
            convolution,
            nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(1, channels),
            nn.ReLU(inplace=True),
        ]
    if dropout > 0:
        layers.append(nn.Dropout2d(dropout))
    return nn.Sequential(*layers)


def _conv(in_channels: int, out_channels: int) -> FastConv1d:
    return FastConv1d(in_channels, out_channels, kernel_size=3, padding=1)
