from __future__ import annotations

import pytest
import torch

from trainables.models.representation import Representation, build_backbone
from trainables.models.representation_config import RepresentationConfig, cpu_sized

KINDS = [{}, {"block": "mixed", "n_layers": 2}, {"backbone": "transformer"}]


def build(**changes: object) -> Representation:
    torch.manual_seed(0)
    return Representation(cpu_sized(**changes)).eval()


@pytest.mark.parametrize(("conv_layers", "num_tokens"), [(2, 625), (4, 157)])
def test_number_of_tokens(conv_layers, num_tokens):
    tokens_BLD, length_B = build(conv_layers=conv_layers).tokens(torch.randn(2, 3, 2500))
    assert tokens_BLD.shape == (2, num_tokens, 16)
    assert length_B is None


@pytest.mark.parametrize("changes", KINDS)
def test_both_ends_reach_each_other(changes):
    """The last sample moves the first token, and the first sample the last token."""
    model = build(**changes)
    x_BXT = torch.randn(1, 3, 2500, requires_grad=True)
    tokens_BLD, _ = model.tokens(x_BXT)
    for token, far in ((0, slice(2490, None)), (-1, slice(0, 10))):
        (gradient_BXT,) = torch.autograd.grad(tokens_BLD[0, token].abs().sum(), x_BXT, retain_graph=True)
        assert float(gradient_BXT[..., far].abs().max()) > 1e-9


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("num_samples", [1000, 777, 16])
def test_padding_moves_no_token(changes, num_samples):
    model = build(**changes)
    x_BXT = torch.randn(2, 3, 1500)
    alone_BLD, _ = model.tokens(x_BXT[:1, :, :num_samples])
    padded_BXT = x_BXT.clone()
    padded_BXT[0, :, num_samples:] = 0
    tokens_BLD, length_B = model.tokens(padded_BXT, torch.tensor([num_samples, 1500]))
    assert length_B.tolist() == [alone_BLD.shape[1], tokens_BLD.shape[1]]
    torch.testing.assert_close(tokens_BLD[:1, : alone_BLD.shape[1]], alone_BLD, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(tokens_BLD[1:], model.tokens(x_BXT[1:])[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", [RepresentationConfig(), cpu_sized(), cpu_sized(block="slstm", n_layers=2)])
def test_a_transformer_has_as_many_parameters(config):
    xlstm, transformer = (
        sum(parameter.numel() for parameter in build_backbone(variant).parameters())
        for variant in (config, config.model_copy(update={"backbone": "transformer"}))
    )
    assert transformer == pytest.approx(xlstm, rel=2e-3)


def test_a_transformer_checkpoints_gradients():
    x_BLD = torch.randn(2, 37, 16)
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        backbone = build_backbone(cpu_sized(backbone="transformer", gradient_checkpointing=again)).train()
        backbone(x_BLD).square().sum().backward()
        found.append([parameter.grad for parameter in backbone.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_the_cpu_sized_configuration_is_small():
    model = build()
    assert sum(parameter.numel() for parameter in model.parameters()) == 155_256
