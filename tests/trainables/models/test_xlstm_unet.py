from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from xlstm.blocks.mlstm.cell import mLSTMCell

from trainables.models.representation import build_backbone
from trainables.models.representation_config import RepresentationConfig, cpu_sized
from trainables.models.xlstm_unet import Stage

REPOSITORY = Path(__file__).resolve().parents[3]
SMALL = {"d_model": 12, "num_heads": 2, "qkv_proj_blocksize": 2}
KINDS = [{}, {"fuse": "stage", "n_layers": 2}, {"block": "slstm"}, {"block": "mixed", "n_layers": 2}]


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("changes", "parameters"), [({}, 19_884_528), (SMALL, 287_280), (SMALL | {"fuse": "stage"}, 271_584)]
)
def test_number_of_parameters(changes, parameters):
    assert count(build_backbone(RepresentationConfig(**changes))) == parameters


def test_a_mixed_stage_alternates():
    stage = Stage(16, cpu_sized(block="mixed", n_layers=3))
    for stacks in (stage.forward_stacks, stage.backward_stacks):
        assert [type(stack.blocks[0].xlstm).__name__ for stack in stacks] == ["mLSTMLayer", "sLSTMLayer", "mLSTMLayer"]
    joint = Stage(16, cpu_sized(block="mixed", n_layers=2, fuse="stage"))
    assert [type(block.xlstm).__name__ for block in joint.forward_stacks[0].blocks] == ["mLSTMLayer", "sLSTMLayer"]


def test_biases_of_the_gates_are_as_xlstm_sets_them():
    cells = [module for module in build_backbone(cpu_sized(num_heads=4)).modules() if isinstance(module, mLSTMCell)]
    assert len(cells) == 10
    for cell in cells:
        torch.testing.assert_close(cell.fgate.bias, torch.tensor([3.0, 4.0, 5.0, 6.0]))
        assert not cell.fgate.weight.any()
        assert not cell.igate.weight.any()
    input_biases = torch.cat([cell.igate.bias for cell in cells])
    assert 0.05 < float(input_biases.detach().std()) < 0.2


def test_biases_of_slstm_gates_are_as_xlstm_sets_them():
    backbone = build_backbone(cpu_sized(block="slstm"))
    cell = backbone.center.forward_stacks[0].blocks[0].xlstm.slstm_cell
    of_gates = cell._bias_int2ext(cell._bias_.detach())  # head, gate (i, f, z, o), channel
    powers = torch.arange(32) / 31
    torch.testing.assert_close(of_gates[0, 1], 5.0 - 12.0 * powers**0.3)
    assert not of_gates[:, [0, 2, 3]].any()


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("num_tokens", [1, 5, 37])
def test_any_number_of_tokens(changes, num_tokens):
    x_BLD = torch.randn(2, num_tokens, 16)
    assert build_backbone(cpu_sized(**changes))(x_BLD).shape == x_BLD.shape


@pytest.mark.parametrize("changes", KINDS)
def test_gradient_checkpointing_gives_the_same_gradients(changes):
    x_BLD = torch.randn(2, 37, 16)
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        backbone = build_backbone(cpu_sized(dropout=0.2, gradient_checkpointing=again, **changes)).train()
        torch.manual_seed(1)
        out_BLD = backbone(x_BLD)
        out_BLD.square().sum().backward()
        found.append([out_BLD, *(parameter.grad for parameter in backbone.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_gradient_checkpointing_keeps_less_for_the_backward_pass():
    kept = []
    for again in (False, True):
        backbone = build_backbone(cpu_sized(gradient_checkpointing=again)).train()
        held: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, held=held: held.append(x.nbytes) or x, lambda x: x):
            backbone(torch.randn(2, 157, 16))
        kept.append(sum(held))
    assert kept[1] < kept[0] / 5


def test_xlstm_imports_beside_a_gpu_without_a_cuda_toolkit():
    code = """
        import torch
        torch.cuda.is_available = lambda: True
        from torch.utils import cpp_extension
        cpp_extension.CUDA_HOME = None
        from trainables.models.xlstm_unet import import_xlstm
        print(import_xlstm().__name__, cpp_extension.CUDA_HOME)
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert found.stdout.split() == ["xlstm", "None"], found.stderr


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"num_heads": 3}, "num_heads=3"),
        ({"block": "slstm", "d_model": 18, "num_heads": 4}, "does not divide d_model=18"),
        ({"qkv_proj_blocksize": 3}, "qkv_proj_blocksize=3"),
        ({"pool": (4, 1)}, r"pool=\[4, 1\]"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, problem):
    with pytest.raises(ValueError, match=problem):
        RepresentationConfig(**changes)
