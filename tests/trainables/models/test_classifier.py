from __future__ import annotations

import pytest
import torch

from trainables.models.classifier import Classifier, HeadConfig
from trainables.models.representation_config import cpu_sized


def build(norm: str = "group", num_classes: int = 9) -> Classifier:
    torch.manual_seed(0)
    return Classifier(cpu_sized(), HeadConfig(norm=norm), num_classes).eval()


@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize("num_classes", [2, 4, 8, 9])
def test_answers_with_logits_and_learns(norm, num_classes):
    model = build(norm, num_classes).train()
    x_BXT = torch.randn(4, 3, 640)
    logits_BK = model(x_BXT)
    assert logits_BK.shape == (4, num_classes)
    torch.nn.functional.cross_entropy(logits_BK, torch.arange(4) % num_classes).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_the_mean_of_an_activation_map_is_the_logit(norm):
    model = build(norm)
    x_BXT = torch.randn(2, 3, 2500)
    map_BKL = model.activation_map(x_BXT)
    assert map_BKL.shape == (2, 9, 157)
    torch.testing.assert_close(map_BKL.mean(-1), model(x_BXT))


@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize("num_samples", [1000, 777])
def test_padding_does_not_change_logits(norm, num_samples):
    model = build(norm)
    x_BXT = torch.randn(1, 3, num_samples)
    padded_BXT = torch.nn.functional.pad(x_BXT, (0, 500))
    logits_BK = model(padded_BXT, torch.tensor([num_samples]))
    torch.testing.assert_close(logits_BK, model(x_BXT), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(model(padded_BXT), logits_BK, atol=1e-4)  # told nothing, it must take zeros for signal


def test_kept_tokens_and_the_head_are_the_whole():
    model = build()
    x_BXT = torch.randn(2, 3, 1000)
    torch.testing.assert_close(model.head(*model.tokens(x_BXT)), model(x_BXT))


def test_group_normalisation_does_not_depend_on_the_batch():
    model = build().train()
    model.head.dropout.p = 0.0
    x_BXT = torch.randn(4, 3, 640)
    torch.testing.assert_close(model(x_BXT)[:1], model(x_BXT[:1]), atol=1e-5, rtol=1e-4)
