from __future__ import annotations

import math

import pytest
import torch
from transformers import Wav2Vec2Config
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer

from trainables.models.vector_quantizer import VectorQuantizer

WIDTH = 24


@pytest.fixture
def pair() -> tuple[VectorQuantizer, Wav2Vec2GumbelVectorQuantizer]:
    """Ours and theirs with the same weights; ours divides the logits by the root of the width."""
    torch.manual_seed(0)
    ours = VectorQuantizer(WIDTH, groups=2, codes=5, code_width=16)
    theirs = Wav2Vec2GumbelVectorQuantizer(
        Wav2Vec2Config(num_codevector_groups=2, num_codevectors_per_group=5, codevector_dim=16, conv_dim=[WIDTH] * 7)
    )
    torch.nn.init.normal_(ours.weight_proj.bias)
    theirs.load_state_dict(
        {
            "codevectors": ours.codevectors.detach().reshape(1, 10, 8),
            "weight_proj.weight": ours.weight_proj.weight.detach() / math.sqrt(WIDTH),
            "weight_proj.bias": ours.weight_proj.bias.detach() / math.sqrt(WIDTH),
        }
    )
    return ours, theirs


def perplexity(share_GV: torch.Tensor) -> torch.Tensor:
    return torch.special.entr(share_GV).sum(-1).exp().sum()


def test_chooses_in_evaluation_as_wav2vec2_does(pair):
    ours, theirs = (module.eval() for module in pair)
    features_BLC, mask_BL = torch.randn(3, 11, WIDTH), torch.rand(3, 11) < 0.6
    quantized = ours(features_BLC)
    codes_BLE, expected_perplexity = theirs(features_BLC, mask_BL)
    torch.testing.assert_close(quantized.codes_BLE, codes_BLE)
    chosen_GV = torch.nn.functional.one_hot(quantized.choice_BLG, 5)[mask_BL].float().mean(0)
    torch.testing.assert_close(perplexity(chosen_GV), expected_perplexity)


@pytest.mark.parametrize("temperature", [2.0, 0.5])
def test_draws_and_learns_in_training_as_wav2vec2_does(pair, temperature):
    ours, theirs = (module.train() for module in pair)
    theirs.temperature = temperature
    features_BLC, mask_BL = torch.randn(3, 11, WIDTH), torch.rand(3, 11) < 0.6
    weight_BLE = torch.randn(3, 11, 16)
    torch.manual_seed(7)
    quantized = ours(features_BLC, temperature)
    torch.manual_seed(7)
    codes_BLE, expected_perplexity = theirs(features_BLC, mask_BL)
    torch.testing.assert_close(quantized.codes_BLE, codes_BLE)
    torch.testing.assert_close(perplexity(quantized.probabilities_BLGV[mask_BL].mean(0)), expected_perplexity)

    (quantized.codes_BLE * weight_BLE).sum().backward()
    (codes_BLE * weight_BLE).sum().backward()
    torch.testing.assert_close(ours.codevectors.grad, theirs.codevectors.grad.reshape(2, 5, 8))
    torch.testing.assert_close(ours.weight_proj.weight.grad * math.sqrt(WIDTH), theirs.weight_proj.weight.grad)


def test_given_noise_decides():
    ours = VectorQuantizer(WIDTH, groups=2, codes=5, code_width=16).train()
    features_BLC = torch.randn(1, 4, WIDTH)
    noise_BLGV = torch.zeros(1, 4, 2, 5)
    noise_BLGV[..., 3] = 100
    assert torch.all(ours(features_BLC, 1.0, noise_BLGV).choice_BLG == 3)


def test_starts_undecided():
    quantized = VectorQuantizer(256)(torch.nn.functional.layer_norm(torch.randn(4, 50, 256), (256,)))
    assert float(quantized.probabilities_BLGV.detach().amax(-1).mean()) < 0.1
