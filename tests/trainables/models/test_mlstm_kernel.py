from __future__ import annotations

import pytest
import torch
from torch import nn
from xlstm.blocks.mlstm.cell import mLSTMCell, mLSTMCellConfig

from trainables.models.mlstm_kernel import mlstm, use_kernel

INPUTS = ("q", "k", "v")


def cell(kernel: str, chunk_size: int = 16) -> mLSTMCell:
    torch.manual_seed(0)
    found = mLSTMCell(mLSTMCellConfig(context_length=1, embedding_dim=32, num_heads=2))
    for gate in (found.igate, found.fgate):
        nn.init.normal_(gate.weight, std=0.3)  # gates that depend on the input, as after training
    use_kernel(found, kernel, chunk_size)
    return found


def outputs_and_gradients(kernel: str, num_tokens: int, dtype: torch.dtype, chunk_size: int = 16) -> list[torch.Tensor]:
    """Behind the norm of the cell: output, and the gradients of its inputs and parameters."""
    module = cell(kernel, chunk_size).to(dtype)
    generator = torch.Generator().manual_seed(1)
    qkv = [torch.randn(2, num_tokens, 32, generator=generator).to(dtype).requires_grad_() for _ in INPUTS]
    weight = torch.randn(2, num_tokens, 32, generator=generator).to(dtype)
    out = module(*qkv)
    (out * weight).sum().backward()
    return [out, *(x.grad for x in qkv), *(parameter.grad for parameter in module.parameters())]


@pytest.mark.parametrize("num_tokens", [1, 7, 16, 157])
@pytest.mark.parametrize("kernel", ["native", "parallel", "auto"])
def test_kernels_agree_with_the_parallel_form_in_float64(kernel, num_tokens):
    exact = outputs_and_gradients("parallel", num_tokens, torch.float64)
    found = outputs_and_gradients(kernel, num_tokens, torch.float32)
    for one, other in zip(found, exact, strict=True):
        scale = float(other.detach().abs().max())
        torch.testing.assert_close(one.double(), other, rtol=0, atol=2e-4 * scale + 1e-6)


@pytest.mark.parametrize("chunk_size", [16, 32, 64, 128])
def test_the_size_of_chunks_and_their_padding_change_nothing(chunk_size):
    exact = outputs_and_gradients("parallel", 157, torch.float64)
    for one, other in zip(outputs_and_gradients("native", 157, torch.float64, chunk_size), exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)  # both add 1e-6 to a denominator, scaled otherwise


@pytest.mark.parametrize("kernel", ["native", "parallel"])
def test_no_token_sees_a_later_one(kernel):
    module = cell(kernel)
    x_BLD = torch.randn(1, 40, 32)
    changed_BLD = x_BLD.clone()
    changed_BLD[:, 25:] += 1
    difference_L = (module(x_BLD, x_BLD, x_BLD) - module(*[changed_BLD] * 3)).abs().amax(dim=(0, 2))
    assert torch.all(difference_L[:25] < 1e-5)
    assert torch.all(difference_L[25:] > 1e-4)


def test_gates_are_capped():
    """Beyond a few times the cap, a gate's input makes no difference any more."""
    qkv = [torch.randn(1, 2, 8, 4) for _ in INPUTS]
    gates = [torch.full((1, 2, 8, 1), value) for value in (200.0, 400.0)]
    found = [mlstm(*qkv, gate, torch.zeros(1, 2, 8, 1), kernel="native", chunk_size=16) for gate in gates]
    torch.testing.assert_close(*found)


def test_computes_in_float32_under_autocast():
    module = cell("native")
    x_BLD = torch.randn(1, 40, 32)
    seen = []

    def spy(**inputs: torch.Tensor) -> torch.Tensor:
        out = mlstm(**inputs, kernel="native", chunk_size=16)
        exact = mlstm(**{name: x.double() for name, x in inputs.items()}, kernel="parallel", chunk_size=16)
        seen.append(float((out.double() - exact).detach().abs().max()))
        return out

    module.backend_fn = spy
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module(x_BLD, x_BLD, x_BLD)
    assert seen[0] < 1e-4


def test_triton_without_a_gpu_is_an_error_in_one_line():
    x_BLD = torch.randn(1, 8, 32)
    with pytest.raises(ValueError, match=r"^model\.kernel=triton: needs a CUDA device") as error:
        cell("triton")(x_BLD, x_BLD, x_BLD)
    assert "\n" not in str(error.value)
