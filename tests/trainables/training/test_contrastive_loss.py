from __future__ import annotations

import math

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

from trainables.models.contrastive import Contrast, ContrastiveConfig
from trainables.models.vector_quantizer import Quantized, VectorQuantizer
from trainables.training.contrastive_draws import contrastive_draws
from trainables.training.contrastive_loss import ContrastiveSums, contrastive_sums, total_loss

NEGATIVES = 6
CONFIG = ContrastiveConfig(mask_length=2, negatives=NEGATIVES, groups=2, codes=4, code_width=16)


@pytest.fixture(scope="module")
def wav2vec2() -> Wav2Vec2ForPreTraining:
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[24] * 2,
        conv_kernel=[10, 4],
        conv_stride=[5, 4],
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        num_codevector_groups=2,
        num_codevectors_per_group=4,
        codevector_dim=16,
        proj_codevector_dim=16,
        contrastive_logits_temperature=0.1,
        diversity_loss_weight=0.1,
        mask_time_length=2,
        feat_quantizer_dropout=0.0,
        hidden_dropout=0.0,
    )
    model = Wav2Vec2ForPreTraining(config)
    torch.nn.init.uniform_(model.quantizer.codevectors)
    return model


def test_agrees_with_wav2vec2_on_the_same_inputs(wav2vec2):
    """Their whole loss, which is a sum over masked tokens; with few codes, so that negatives often equal positives."""
    model = wav2vec2.eval()
    waveform = torch.randn(2, 1200)
    num_tokens = int(model._get_feat_extract_output_lengths(1200))
    draws = contrastive_draws([0, 1], 0, 0, [num_tokens] * 2, CONFIG, torch.device("cpu"), training=False)
    offset_B11 = torch.arange(2)[:, None, None] * num_tokens
    expected = model(
        waveform, mask_time_indices=draws.mask_BL, sampled_negative_indices=draws.negatives_BLK + offset_B11
    )
    contrast = Contrast(expected.projected_states, expected.projected_quantized_states, our_quantizer(model, waveform))
    sums = contrastive_sums(contrast, draws.mask_BL, draws.negatives_BLK, temperature=0.1)
    torch.testing.assert_close(sums.contrastive, expected.contrastive_loss, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(sums.hard_perplexity(), expected.codevector_perplexity)
    in_evaluation = sums._replace(probability_GV=sums.chosen_GV.float())  # theirs takes hard choices there
    torch.testing.assert_close(in_evaluation.diversity_loss() * sums.masked, expected.diversity_loss)
    torch.testing.assert_close(in_evaluation.loss(0.1) * sums.masked, expected.loss, rtol=1e-4, atol=1e-3)


def our_quantizer(model: Wav2Vec2ForPreTraining, waveform: torch.Tensor) -> Quantized:
    features_BLC = model.wav2vec2.feature_projection(model.wav2vec2.feature_extractor(waveform).transpose(1, 2))[1]
    ours = VectorQuantizer(24, groups=2, codes=4, code_width=16).eval()
    with torch.no_grad():
        ours.codevectors.copy_(model.quantizer.codevectors.reshape(2, 4, 8))
        ours.weight_proj.weight.copy_(model.quantizer.weight_proj.weight * math.sqrt(24))
        ours.weight_proj.bias.copy_(model.quantizer.weight_proj.bias * math.sqrt(24))
    return ours(features_BLC)


def random_contrast(num_waveforms: int = 3, num_tokens: int = 40, codes: int = 50) -> Contrast:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(num_waveforms, num_tokens, 2, codes, generator=generator).softmax(-1)
    choice = torch.randint(0, codes, (num_waveforms, num_tokens, 2), generator=generator)
    context, target = torch.randn(2, num_waveforms, num_tokens, 16, generator=generator)
    return Contrast(context, target, Quantized(target, choice, probabilities))


def draws_for(contrast: Contrast):
    num_waveforms, num_tokens = contrast.context_BLP.shape[:2]
    keys = range(num_waveforms)
    return contrastive_draws(keys, 0, 0, [num_tokens] * num_waveforms, CONFIG, torch.device("cpu"), training=False)


def test_sums_of_parts_are_those_of_the_whole():
    contrast = random_contrast()
    draws = draws_for(contrast)
    whole = contrastive_sums(contrast, draws.mask_BL, draws.negatives_BLK, 0.1)
    parts = []
    for part in (slice(0, 1), slice(1, 3)):
        quantized = Quantized(*(x[part] for x in contrast.quantized))
        piece = Contrast(contrast.context_BLP[part], contrast.target_BLP[part], quantized)
        parts.append(contrastive_sums(piece, draws.mask_BL[part], draws.negatives_BLK[part], 0.1))
    added = ContrastiveSums(*(one + other for one, other in zip(*parts, strict=True)))
    torch.testing.assert_close(added.loss(0.1), whole.loss(0.1))
    torch.testing.assert_close(added.hard_perplexity(), whole.hard_perplexity())
    torch.testing.assert_close(total_loss(contrast, draws.mask_BL, draws.negatives_BLK, CONFIG), whole.loss(0.1))


def test_random_context_finds_the_positive_by_chance():
    contrast = random_contrast(num_waveforms=200)
    draws = draws_for(contrast)
    accuracy = float(contrastive_sums(contrast, draws.mask_BL, draws.negatives_BLK, 0.1).accuracy())
    assert accuracy == pytest.approx(1 / (1 + NEGATIVES), abs=0.02)


def test_the_right_context_finds_every_positive():
    contrast = random_contrast(codes=10_000)
    contrast = contrast._replace(context_BLP=contrast.target_BLP)
    draws = draws_for(contrast)
    sums = contrastive_sums(contrast, draws.mask_BL, draws.negatives_BLK, 0.1)
    assert float(sums.accuracy()) == 1.0
    assert float(sums.contrastive_loss()) < 0.1


def test_a_collapsed_codebook_is_no_better_than_chance():
    contrast = random_contrast()
    one = contrast.target_BLP[:1, :1].expand_as(contrast.target_BLP)
    quantized = contrast.quantized._replace(choice_BLG=torch.zeros_like(contrast.quantized.choice_BLG))
    draws = draws_for(contrast)
    sums = contrastive_sums(Contrast(one, one, quantized), draws.mask_BL, draws.negatives_BLK, 0.1)
    assert float(sums.accuracy()) == pytest.approx(1 / (1 + NEGATIVES))
    assert float(sums.hard_perplexity()) == pytest.approx(2.0)  # one code of each of two groups


def test_diversity_is_1_for_one_code_and_0_for_all():
    sums = contrastive_sums(contrast := random_contrast(), *draws_for(contrast)[:2], 0.1)
    even = sums._replace(probability_GV=torch.full((2, 50), float(sums.masked) / 50))
    assert float(even.diversity_loss()) == pytest.approx(0.0, abs=1e-5)
    single = torch.zeros(2, 50)
    single[:, 0] = float(sums.masked)
    assert float(sums._replace(probability_GV=single).diversity_loss()) == pytest.approx(1 - 2 / 100)
