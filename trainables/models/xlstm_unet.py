"""The xLSTM U-Net: bidirectional xLSTM blocks (Beck et al. 2024, arXiv:2405.04517) at three resolutions.

The weights that xLSTM's own layers begin with stay as xLSTM sets them, above all the biases of the forget gates
(3 to 6 over the heads): zeroed, as a blanket initialisation does, the cells begin without memory.
"""

# B batch, L token, D width (of a stage)

from __future__ import annotations

import importlib
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import cpp_extension
from torch.utils.checkpoint import checkpoint

from trainables.foreshock_extra import require_foreshock
from trainables.models.mlstm_kernel import use_kernel
from trainables.models.padding import halved, reverse, zero_padding
from trainables.models.representation_config import RepresentationConfig


class XLSTMUNet(nn.Module):
    """Tokens (B, L, D) to tokens in context (B, L, D), of any number L."""

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        widths = [config.d_model * 2**level for level in range(len(config.pool) + 1)]
        levels = list(zip(widths[:-1], widths[1:], config.pool, strict=True))
        self.down_stages = nn.ModuleList(Stage(width, config) for width in widths[:-1])
        self.downs = nn.ModuleList(Down(width, below, pool) for width, below, pool in levels)
        self.center = Stage(widths[-1], config)
        self.ups = nn.ModuleList(Up(below, width, pool) for width, below, pool in reversed(levels))
        self.up_stages = nn.ModuleList(Stage(width, config) for width in reversed(widths[:-1]))
        self.norm = nn.LayerNorm(config.d_model)
        use_kernel(self, config.kernel, config.chunk_size)

    def forward(self, x_BLD: Tensor, length_B: Tensor | None = None) -> Tensor:
        """Tokens beyond `length_B` are padding: they move no other token."""
        skips = []
        for stage, down in zip(self.down_stages, self.downs, strict=True):
            x_BLD = stage(x_BLD, length_B)
            skips.append((x_BLD, length_B))
            x_BLD, length_B = down(x_BLD, length_B)
        x_BLD = self.center(x_BLD, length_B)
        for up, stage in zip(self.ups, self.up_stages, strict=True):
            skip_BLD, length_B = skips.pop()
            x_BLD = stage(up(x_BLD, skip_BLD), length_B)
        return self.norm(x_BLD)


class Stage(nn.Module):
    """Blocks of one width, each a fusion of a stack that runs forward and one that runs backward in time."""

    def __init__(self, width: int, config: RepresentationConfig) -> None:
        super().__init__()
        kinds = [_kind(config, place) for place in range(config.n_layers)]
        stacks = [kinds] if config.fuse == "stage" else [[kind] for kind in kinds]
        self.forward_stacks = nn.ModuleList(_stack(width, kinds, config) for kinds in stacks)
        self.backward_stacks = nn.ModuleList(_stack(width, kinds, config) for kinds in stacks)
        self.fuses = nn.ModuleList(_linear(2 * width, width) for _ in stacks)
        self.dropout = nn.Dropout(config.dropout)
        self.gradient_checkpointing = config.gradient_checkpointing

    def forward(self, x_BLD: Tensor, length_B: Tensor | None = None) -> Tensor:
        for place in range(len(self.fuses)):
            if self.gradient_checkpointing and self.training and torch.is_grad_enabled():
                x_BLD = checkpoint(self._block, x_BLD, length_B, place, use_reentrant=False)
            else:
                x_BLD = self._block(x_BLD, length_B, place)
        return x_BLD

    def _block(self, x_BLD: Tensor, length_B: Tensor | None, place: int) -> Tensor:
        forward_BLD = self.forward_stacks[place](x_BLD)
        backward_BLD = reverse(self.backward_stacks[place](reverse(x_BLD, length_B)), length_B)
        return self.dropout(self.fuses[place](torch.cat([forward_BLD, backward_BLD], dim=-1)))


class Down(nn.Module):
    """Fold every `pool` tokens into one and project it."""

    def __init__(self, width: int, width_below: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.proj = _linear(width * pool, width_below)

    def forward(self, x_BLD: Tensor, length_B: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x_BLD = F.pad(zero_padding(x_BLD, length_B), (0, 0, 0, -x_BLD.shape[1] % self.pool))
        folded_BLD = x_BLD.reshape(x_BLD.shape[0], -1, x_BLD.shape[2] * self.pool)
        return self.proj(folded_BLD), halved(length_B, self.pool)


class Up(nn.Module):
    """Project every token and unfold it into `pool`; crop to the skip and add it."""

    def __init__(self, width_below: int, width: int, pool: int) -> None:
        super().__init__()
        self.width = width
        self.proj = _linear(width_below, width * pool)

    def forward(self, x_BLD: Tensor, skip_BLD: Tensor) -> Tensor:
        unfolded_BLD = self.proj(x_BLD).reshape(x_BLD.shape[0], -1, self.width)
        return unfolded_BLD[:, : skip_BLD.shape[1]] + skip_BLD


def _kind(config: RepresentationConfig, place: int) -> str:
    return ("mlstm", "slstm")[place % 2] if config.block == "mixed" else config.block


def _stack(width: int, kinds: list[str], config: RepresentationConfig) -> nn.Module:
    """Consecutive xLSTM blocks of the given kinds, with a norm at the end."""
    xlstm = import_xlstm()
    mlstm = xlstm.mLSTMLayerConfig(
        num_heads=config.num_heads, qkv_proj_blocksize=config.qkv_proj_blocksize, proj_factor=2.0
    )
    # Its CUDA backend needs a compiler, a fixed batch and four heads, and keeps weights in another layout.
    slstm = xlstm.sLSTMLayerConfig(num_heads=config.num_heads, embedding_dim=width, backend="vanilla", dtype="float32")
    return xlstm.xLSTMBlockStack(
        xlstm.xLSTMBlockStackConfig(
            mlstm_block=xlstm.mLSTMBlockConfig(mlstm) if "mlstm" in kinds else None,
            slstm_block=xlstm.sLSTMBlockConfig(slstm, xlstm.FeedForwardConfig()) if "slstm" in kinds else None,
            slstm_at=[place for place, kind in enumerate(kinds) if kind == "slstm"],
            num_blocks=len(kinds),
            embedding_dim=width,
            context_length=1,  # only sizes a causal mask, which no kernel of ours reads
        )
    )


def import_xlstm() -> ModuleType:
    """The package xlstm, also on a machine with a GPU and without a CUDA toolkit.

    There its import asks torch for the toolkit's folder and fails, although only the backend of sLSTM that it
    compiles by itself needs one, and we use another. Raises ValueError where the extra is not installed.
    """
    require_foreshock()
    home = cpp_extension.CUDA_HOME
    cpp_extension.CUDA_HOME = home or "/usr/local/cuda"
    try:
        return importlib.import_module("xlstm")
    finally:
        cpp_extension.CUDA_HOME = home


def _linear(in_features: int, out_features: int) -> nn.Linear:
    linear = nn.Linear(in_features, out_features)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
