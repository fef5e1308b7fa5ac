"""Which implementation computes the mLSTM cells of a network.

xLSTM's own default compares all tokens with all: 8 to 30 times slower at 625 to 1536 tokens, and, where its
`context_length` is 1, silently not causal. The chunkwise kernels of mlstm_kernels do the same in linear time.
(Of those, `native_custbw` has wrong raw gradients.)
"""

# B batch, N head, L token, H head width, 1 a width of one

from __future__ import annotations

import importlib.util
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

KernelName = Literal["auto", "native", "triton", "parallel"]
GATE_CAP = 15.0
"""Gate pre-activations are capped softly: 15 tanh(x / 15)."""


def use_kernel(network: nn.Module, kernel: KernelName, chunk_size: int) -> None:
    """Let all mLSTM cells of `network` compute with `kernel` (see `mlstm`)."""
    from xlstm.blocks.mlstm.cell import mLSTMCell

    for module in network.modules():
        if isinstance(module, mLSTMCell):
            module.backend_fn = partial(mlstm, kernel=kernel, chunk_size=chunk_size)


def mlstm(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    igate_preact: Tensor,
    fgate_preact: Tensor,
    *,
    kernel: KernelName,
    chunk_size: int,
    **_unused: Any,
) -> Tensor:
    """The mLSTM (Beck et al. 2024, arXiv:2405.04517, eq. 19 to 27) over a sequence, gates soft-capped.

    Queries, keys and values are (B, N, L, H), gate pre-activations (B, N, L, 1); returns (B, N, L, H).
    "auto" is "triton" on a CUDA device that has it, else "native". Everything but Triton computes in float32
    (float64 where that comes in), also under autocast. Raises ValueError where a kernel cannot be had.
    """
    chosen = _available(kernel, queries)
    with torch.autocast(queries.device.type, enabled=False):
        q, k, v, i, f = (
            x if x.dtype == torch.float64 else x.float()
            for x in (queries, keys, values, igate_preact.squeeze(-1), fgate_preact.squeeze(-1))
        )
        i, f = (GATE_CAP * torch.tanh(gate / GATE_CAP) for gate in (i, f))
        if chosen == "parallel":
            h_BNLH = _parallel(q, k, v, i, f)
        elif chosen == "native":
            h_BNLH = _native(q, k, v, i, f, chunk_size)
    if chosen == "triton":  # in the precision of the step
        h_BNLH = _triton(q, k, v, i, f, chunk_size)
    return h_BNLH.to(queries.dtype)


def _available(kernel: KernelName, queries: Tensor) -> KernelName:
    head_width = queries.shape[-1]
    fits = head_width >= 16 and head_width & (head_width - 1) == 0
    on_gpu = queries.is_cuda and importlib.util.find_spec("triton") is not None
    if kernel == "auto":
        return "triton" if on_gpu and fits else "native"
    if kernel == "triton" and not (on_gpu and fits):
        raise ValueError(
            f"model.kernel=triton: needs a CUDA device with Triton and heads of 16, 32, 64, ... channels, not "
            f"{head_width} channels on {queries.device.type}; model.kernel=auto takes what there is"
        )
    return kernel


def _native(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, chunk_size: int) -> Tensor:
    from mlstm_kernels.torch import get_mlstm_kernel
    from mlstm_kernels.torch.kernel_wrappers import wrap_chunkwise__pad_zeros

    num_tokens = q.shape[2]
    num_chunks = -(-num_tokens // chunk_size)
    even = -(-num_tokens // num_chunks)  # chunks of even size leave the least to pad
    kernel = get_mlstm_kernel("chunkwise--native_autograd")
    return wrap_chunkwise__pad_zeros(kernel, q=q, k=k, v=v, i=i, f=f, chunk_size=even)


def _triton(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, chunk_size: int) -> Tensor:
    from mlstm_kernels.torch import get_mlstm_kernel
    from mlstm_kernels.torch.kernel_wrappers import wrap_chunkwise__pad_zeros

    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else torch.float32
    q, k, v, i, f = (x.to(dtype).contiguous() for x in (q, k, v, i, f))
    chunk = min(chunk_size, max(16, 1 << (q.shape[2] - 1).bit_length()))
    kernel = get_mlstm_kernel("chunkwise--triton_xl_chunk")
    return wrap_chunkwise__pad_zeros(kernel, q=q, k=k, v=v, i=i, f=f, chunk_size=chunk, autocast_kernel_dtype=dtype)


def _parallel(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
    from xlstm.blocks.mlstm.backends import parallel_stabilized_simple

    # Without a mask of its own the function makes a causal one of the right size.
    return parallel_stabilized_simple(q, k, v, i.unsqueeze(-1), f.unsqueeze(-1), lower_triangular_matrix=None)
