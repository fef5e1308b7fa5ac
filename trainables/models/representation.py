"""What pretraining hands to fine-tuning: a convolutional encoder of waveforms and a backbone over its tokens."""

# B batch, C channel, D width, L token, X component (E, N, Z), T time sample

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from trainables.config import Config
from trainables.models.mlstm_kernel import KernelName
from trainables.models.padding import halved, zero_padding

PARTS = ("encoder", "backbone")
"""Submodules of a `Representation`; what stands above them (a head, a quantizer) belongs to its task."""


class RepresentationConfig(Config):
    """Size and kind of encoder and backbone. The defaults are the published model, `cpu_sized` a small one."""

    backbone: Literal["xlstm", "transformer"] = "xlstm"
    """An xLSTM U-Net, or a Transformer as in wav2vec2 with the same number of parameters."""

    d_model: int = Field(128, ge=8)
    """Width D of the tokens, and of the U-Net's outer stages; the inner ones have 2 and 4 times as much."""

    n_layers: int = Field(3, ge=1)
    """Blocks of each stage of the U-Net; a Transformer has twice as many layers."""

    pool: tuple[int, ...] = (4, 4)
    """Tokens folded into one on the way down, once for each level of the U-Net."""

    num_heads: int = Field(4, ge=1)
    """Heads of an mLSTM, sLSTM or attention layer."""

    block: Literal["mlstm", "slstm", "mixed"] = "mlstm"
    """Kind of the xLSTM blocks; mixed alternates, mLSTM first. An sLSTM goes token by token and is slow."""

    fuse: Literal["block", "stage"] = "block"
    """Where the forward and the backward direction meet: after every block, or once at the end of a stage."""

    qkv_proj_blocksize: int = Field(4, ge=1)
    """Channels that an mLSTM mixes for each block of queries, keys and values."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout after each fusion of the two directions; 0.1 to 0.2 against overfitting."""

    conv_width: int = Field(256, ge=8)
    """Channels of the convolutional encoder."""

    conv_layers: int = Field(2, ge=1, le=8)
    """Convolutions of stride 2: a token stands for 2 to the power of this many samples."""

    gradient_checkpointing: bool = False
    """Compute blocks again in the backward pass instead of keeping them: less memory, more time."""

    kernel: KernelName = "auto"
    """How mLSTM cells are computed: auto (triton on a GPU that has it, else native), native, triton, parallel
    (quadratic in time and memory: for comparison only)."""

    chunk_size: Literal[16, 32, 64, 128] = 64
    """Upper bound of the tokens that a chunkwise kernel takes at once."""

    @model_validator(mode="after")
    def _heads_divide_widths(self) -> RepresentationConfig:
        if self.block != "mlstm" and self.d_model % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} does not divide d_model={self.d_model}")
        if 64 % self.num_heads:
            raise ValueError(
                f"num_heads={self.num_heads}: the widths of xLSTM are multiples of 64; take 1, 2, 4, 8, ..."
            )
        if 64 % self.qkv_proj_blocksize:
            raise ValueError(f"qkv_proj_blocksize={self.qkv_proj_blocksize}: take 1, 2, 4, 8, 16, 32 or 64")
        if any(tokens < 2 for tokens in self.pool):
            raise ValueError(f"pool={list(self.pool)}: each level folds 2 tokens or more")
        return self


def cpu_sized(**changes: Any) -> RepresentationConfig:
    """A configuration that one processor core trains in minutes (157 tokens of 2500 samples)."""
    small = {"d_model": 16, "n_layers": 1, "num_heads": 2, "conv_width": 32, "conv_layers": 4}
    return RepresentationConfig(**(small | changes))


class Encoded(NamedTuple):
    """What the convolutional encoder makes of a batch of waveforms."""

    features_BLC: Tensor
    """Normalised features: what a quantizer sees."""
    tokens_BLD: Tensor
    """The same, projected to the width of the backbone."""
    length_B: Tensor | None
    """Tokens of each waveform; None where all fill the batch."""


class ConvEncoder(nn.Module):
    """Convolutions of kernel 3 and stride 2, each with LayerNorm and GELU; then LayerNorm and a projection."""

    def __init__(self, config: RepresentationConfig, in_channels: int = 3) -> None:
        super().__init__()
        widths = [in_channels] + [config.conv_width] * config.conv_layers
        self.layers = nn.ModuleList(
            nn.ModuleDict({"conv": nn.Conv1d(i, o, 3, stride=2, padding=1), "norm": nn.LayerNorm(o)})
            for i, o in pairwise(widths)
        )
        self.norm = nn.LayerNorm(config.conv_width)
        self.projection = nn.Linear(config.conv_width, config.d_model)

    def forward(self, x_BXT: Tensor, num_samples_B: Tensor | None = None) -> Encoded:
        """Encode normalised waveforms (B, X, T); samples beyond `num_samples_B` are padding, and zero."""
        y_BLC, length_B = x_BXT.transpose(1, 2), num_samples_B
        for layer in self.layers:
            y_BLC = layer["conv"](zero_padding(y_BLC, length_B).transpose(1, 2)).transpose(1, 2)  # type: ignore[index]
            y_BLC = F.gelu(layer["norm"](y_BLC))  # type: ignore[index]
            length_B = halved(length_B, 2)
        features_BLC = self.norm(y_BLC)
        return Encoded(features_BLC, self.projection(features_BLC), length_B)


class Representation(nn.Module):
    """Encoder and backbone: waveforms (B, 3, T) to tokens in context (B, L, D)."""

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ConvEncoder(config)
        self.backbone = build_backbone(config)

    def tokens(self, x_BXT: Tensor, num_samples_B: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Tokens in context (B, L, D) and the number of tokens of each waveform (None: all of them)."""
        encoded = self.encoder(x_BXT, num_samples_B)
        return self.backbone(encoded.tokens_BLD, encoded.length_B), encoded.length_B


def build_backbone(config: RepresentationConfig) -> nn.Module:
    """The backbone of `config` with fresh weights: (B, L, D) and lengths to (B, L, D)."""
    from trainables.models.transformer import Transformer, sizes_of_equal_count
    from trainables.models.xlstm_unet import XLSTMUNet

    if config.backbone == "transformer":
        return Transformer(config, *sizes_of_equal_count(config))
    return XLSTMUNet(config)
