from __future__ import annotations

import pytest
import torch

from trainables.models.contrastive import ContrastiveConfig, ContrastiveModel, gumbel_temperature, num_tokens
from trainables.models.representation_config import cpu_sized
from trainables.training.contrastive_draws import contrastive_draws
from trainables.training.contrastive_loss import contrastive_sums, total_loss

CONTRAST = ContrastiveConfig(groups=2, codes=16, code_width=32, negatives=20)


def build(**changes: object) -> ContrastiveModel:
    torch.manual_seed(0)
    return ContrastiveModel(cpu_sized(**changes), CONTRAST)


def draws_for(num_samples: list[int], model: ContrastiveModel, training: bool = True):
    tokens = [num_tokens(samples, model.config) for samples in num_samples]
    return contrastive_draws(range(len(tokens)), 0, 0, tokens, CONTRAST, torch.device("cpu"), training)


def test_targets_do_not_see_the_mask_and_context_does():
    model = build().eval()
    x_BXT = torch.randn(2, 3, 1600)
    draws = draws_for([1600] * 2, model, training=False)
    masked, plain = model(x_BXT, draws.mask_BL), model(x_BXT, torch.zeros_like(draws.mask_BL))
    torch.testing.assert_close(masked.target_BLP, plain.target_BLP)
    assert not torch.allclose(masked.context_BLP, plain.context_BLP)


def test_context_of_masked_tokens_comes_from_the_others():
    """Where everything is masked, nothing of the waveform is left in the context."""
    model = build().eval()
    everything_BL = torch.ones(1, 100, dtype=torch.bool)
    contexts = [model(torch.randn(1, 3, 1600), everything_BL).context_BLP for _ in range(2)]
    torch.testing.assert_close(*contexts)


def test_every_weight_learns():
    model = build().train()
    draws = draws_for([1600] * 2, model)
    contrast = model(torch.randn(2, 3, 1600), draws.mask_BL, 2.0, draws.gumbel_BLGV)
    total_loss(contrast, draws.mask_BL, draws.negatives_BLK, CONTRAST).backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not without


def test_padding_does_not_change_the_loss_of_a_waveform():
    model = build().eval()
    x_BXT = torch.randn(2, 3, 1600)
    x_BXT[0, :, 1000:] = 0
    draws = draws_for([1000, 1600], model, training=False)
    contrast = model(x_BXT, draws.mask_BL, num_samples_B=torch.tensor([1000, 1600]))
    together = contrastive_sums(contrast, draws.mask_BL, draws.negatives_BLK, 0.1)
    mask_BL, negatives_BLK = draws.mask_BL[:1, :63], draws.negatives_BLK[:1, :63]
    alone = contrastive_sums(model(x_BXT[:1, :, :1000], mask_BL), mask_BL, negatives_BLK, 0.1)
    other = contrastive_sums(model(x_BXT[1:], draws.mask_BL[1:]), draws.mask_BL[1:], draws.negatives_BLK[1:], 0.1)
    torch.testing.assert_close(together.contrastive, alone.contrastive + other.contrastive, rtol=1e-4, atol=1e-3)


def test_a_few_steps_lower_the_loss():
    model = build().train()
    torch.manual_seed(0)
    x_BXT = torch.cumsum(torch.randn(8, 3, 1600), dim=-1)
    x_BXT = (x_BXT - x_BXT.mean(-1, keepdim=True)) / x_BXT.std(-1, keepdim=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    draws = draws_for([1600] * 8, model)
    losses = []
    for _ in range(15):
        contrast = model(x_BXT, draws.mask_BL, 2.0, draws.gumbel_BLGV)
        loss = total_loss(contrast, draws.mask_BL, draws.negatives_BLK, CONTRAST)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(("progress", "temperature"), [(0.0, 2.0), (0.5, 1.25), (1.0, 0.5), (1.2, 0.5)])
def test_gumbel_temperature_follows_a_cosine(progress, temperature):
    assert gumbel_temperature(progress, CONTRAST) == pytest.approx(temperature)
