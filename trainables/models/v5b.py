"""XiaoNet V5B: the small picker of the public XiaoNet repository, 20,208 parameters at base 8, as a baseline.

A U-Net of three strided, depthwise separable convolutions (a quarter of the samples each), three kernels side by side
at the bottleneck, and a decoder that adds its skips. Modules have the names that state dicts of that repository have.
Its answer is three curves of their own, sigmoids; an earlier version of it, with the same state dict, had a softmax.
"""

# B batch, C channel or class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

from typing import Any

from seisbench.models import PhaseNet, WaveformModel
from torch import Tensor, nn

from trainables.data.batches import normalise
from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from trainables.models.interface import Interface

STRIDE = 4
SCALES = (3, 5, 7)
"""Kernels of the three convolutions side by side."""


class XiaoNetV5B(WaveformModel):
    """Phase picker, input (B, 3, 3001) at 100 Hz in order E, N, Z; output (B, 3, 3001) of P, S, noise.

    Windows are demeaned, detrended and divided by their peak, per component. `output`: sigmoid (curves of their own)
    or softmax. Raises ValueError for any other output.
    """

    _annotate_args = PhaseNet._annotate_args.copy()

    def __init__(
        self, window_len: int = WINDOW_SAMPLES, base_channels: int = 8, output: str = "sigmoid", **kwargs: Any
    ) -> None:
        if output not in ("sigmoid", "softmax"):
            raise ValueError(f"output={output} is neither sigmoid nor softmax")
        super().__init__(
            citation="XiaoNet V5B, https://github.com/Hy-X/xiao_net",
            in_samples=window_len,
            pred_sample=(0, window_len),
            output_type="array",
            labels="PSN",
            sampling_rate=SAMPLING_RATE_HZ,
            component_order=COMPONENT_ORDER,
            **kwargs,
        )
        self.window_len, self.base_channels, self.output_kind = window_len, base_channels, output
        first, second, third, deepest = (base_channels * 2**level for level in range(4))
        self.enc1 = _block(len(COMPONENT_ORDER), first, 7)
        self.enc2 = _block(first, second, 5, STRIDE)
        self.enc3 = _block(second, third, 5, STRIDE)
        self.bottleneck = _block(third, deepest, 3, STRIDE)
        self.multi_scale = _SideBySide(deepest)
        self.dec3 = nn.Sequential(nn.Upsample(scale_factor=STRIDE), *_block(deepest, third, 5))
        self.dec2 = nn.Sequential(nn.Upsample(scale_factor=STRIDE), *_block(third, second, 5))
        self.dec1 = nn.Sequential(nn.Upsample(scale_factor=STRIDE), *_block(second, first, 5))
        self.output = nn.Conv1d(first, len(self.labels), kernel_size=1)

    def forward(self, x_BXT: Tensor, logits: bool = False) -> Tensor:
        fine_BCT = self.enc1(x_BXT)
        middle_BCT = self.enc2(fine_BCT)
        coarse_BCT = self.enc3(middle_BCT)
        y_BCT = self.multi_scale(self.bottleneck(coarse_BCT))
        for decoder, skip_BCT in ((self.dec3, coarse_BCT), (self.dec2, middle_BCT), (self.dec1, fine_BCT)):
            y_BCT = decoder(y_BCT)[..., : skip_BCT.shape[-1]] + skip_BCT
        logits_BCT = self.output(y_BCT)
        if logits:
            return logits_BCT
        return logits_BCT.softmax(dim=1) if self.output_kind == "softmax" else logits_BCT.sigmoid()

    def annotate_batch_pre(self, batch: Tensor, argdict: dict[str, Any]) -> Tensor:
        """Raw windows (B, X, T) to what `forward` takes."""
        return normalise(batch)

    @property
    def interface(self) -> Interface:
        """What a caller must know. Of sigmoids those of P and S: noise is what neither is."""
        return Interface(self.window_len, "PSN" if self.output_kind == "softmax" else "PS")

    annotate_batch_post = PhaseNet.annotate_batch_post
    classify_aggregate = PhaseNet.classify_aggregate

    def get_model_args(self) -> dict[str, Any]:
        return {
            "window_len": self.window_len,
            "base_channels": self.base_channels,
            "output": self.output_kind,
            "default_args": self.default_args,
        }


class _Separable(nn.Module):
    """A convolution of each channel alone, then one across channels."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            in_channels, in_channels, kernel, stride, padding=kernel // 2, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv1d(in_channels, out_channels, kernel_size=1, bias=False)

    def forward(self, x_BCT: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x_BCT))


class _SideBySide(nn.Module):
    """The sum of three convolutions of different reach."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for number, kernel in enumerate(SCALES, start=1):
            path = nn.Sequential(_Separable(channels, channels, kernel), nn.BatchNorm1d(channels))
            self.add_module(f"path{number}", path)

    def forward(self, x_BCT: Tensor) -> Tensor:
        first_BCT, *others = (path(x_BCT) for path in self.children())
        return sum(others, first_BCT)


def _block(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        _Separable(in_channels, out_channels, kernel, stride), nn.BatchNorm1d(out_channels), nn.Hardswish(inplace=True)
    )
