"""Size and kind of what pretraining hands to fine-tuning."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from trainables.config import Config
from trainables.models.mlstm_kernel import KernelName


class RepresentationConfig(Config):
    """Size and kind of encoder and backbone. The defaults are the published model, `cpu_sized` a small one."""

    backbone: Literal["xlstm", "transformer"] = "xlstm"
    """An xLSTM U-Net, or a Transformer as in wav2vec2 with the same number of parameters."""

    d_model: int = Field(128, ge=8)
    """Width D of the tokens, and of the U-Net's outer stages; the inner ones have 2 and 4 times as much."""

    n_layers: int = Field(3, ge=1)
    """Blocks of each stage of the U-Net; a Transformer has twice as many layers."""

    pool: tuple[int, ...] = (4, 4)
    """Factors by which the U-Net downsamples: tokens joined into one, for each of its levels."""

    num_heads: int = Field(4, ge=1)
    """Heads of an mLSTM, sLSTM or attention layer."""

    block: Literal["mlstm", "slstm", "mixed"] = "mlstm"
    """Kind of the xLSTM blocks; mixed alternates both, mLSTM first. An sLSTM works token by token and is slow."""

    fuse: Literal["block", "stage"] = "block"
    """Where the forward and the backward direction are joined: after every block, or once at the end of a stage."""

    qkv_proj_blocksize: int = Field(4, ge=1)
    """Number of channels that an mLSTM mixes in each block of its projections to queries, keys and values."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout where the two directions are joined; 0.1 to 0.2 against overfitting."""

    conv_width: int = Field(256, ge=8)
    """Number of channels of the convolutional encoder."""

    conv_layers: int = Field(2, ge=1, le=8)
    """Number of convolutions of stride 2 in the encoder: with n of them, a token stands for 2^n samples."""

    gradient_checkpointing: bool = False
    """Whether blocks are computed again in the backward pass instead of being kept: less memory, more time."""

    kernel: KernelName = "auto"
    """How mLSTM cells are computed: auto (triton on a GPU that has it, else native), native, triton, parallel
    (quadratic in time and memory: for comparison only)."""

    chunk_size: Literal[16, 32, 64, 128] = 64
    """Largest number of tokens that a chunkwise kernel takes at once."""

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
