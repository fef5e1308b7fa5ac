from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

from trainables.models.contrastive import ContrastiveConfig
from trainables.training.contrastive_draws import contrastive_draws, span_mask

CONFIG = ContrastiveConfig(groups=2, codes=8)
CPU = torch.device("cpu")


def test_masks_as_much_as_wav2vec2_does():
    generator = np.random.default_rng(0)
    ours = np.mean([span_mask(157, 0.65, 10, generator).mean() for _ in range(400)])
    np.random.seed(0)  # theirs draws from numpy's global generator
    theirs = _compute_mask_indices((400, 157), 0.65, 10).mean()
    assert ours == pytest.approx(theirs, abs=0.01)


def test_a_mask_is_of_whole_spans():
    mask_L = span_mask(300, 0.3, 10, np.random.default_rng(0))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask_L.astype(int), [0]])))
    assert np.all(edges[1::2] - edges[::2] >= 10)


def test_negatives_are_other_masked_tokens_of_the_same_waveform():
    draws = contrastive_draws([3, 4], 0, 1, [157, 120], CONFIG, CPU)
    assert not draws.mask_BL[1, 120:].any()
    for mask_L, negatives_LK in zip(draws.mask_BL, draws.negatives_BLK, strict=True):
        assert torch.all(mask_L[negatives_LK[mask_L]])
        assert torch.all(negatives_LK[mask_L] != torch.arange(157)[mask_L].unsqueeze(1))
        drawn = negatives_LK[mask_L].unique()
        assert len(drawn) == mask_L.sum()  # over a whole waveform every masked token is drawn


def test_draws_belong_to_the_sample_not_to_its_batch():
    whole = contrastive_draws([5, 6, 7], 1, 2, [157] * 3, CONFIG, CPU)
    part = contrastive_draws([7], 1, 2, [157], CONFIG, CPU)
    for one, other in zip(whole, part, strict=True):
        assert torch.equal(one[2:], other)
    other_epoch = contrastive_draws([7], 1, 3, [157], CONFIG, CPU)
    assert not torch.equal(other_epoch.mask_BL, part.mask_BL)
    assert not torch.equal(other_epoch.gumbel_BLGV, part.gumbel_BLGV)


def test_evaluation_has_no_noise():
    assert contrastive_draws([0], 0, 0, [157], CONFIG, CPU, training=False).gumbel_BLGV is None


def test_a_waveform_too_short_for_masks_is_an_error_in_one_line():
    with pytest.raises(ValueError, match=r"contrastive\.mask_length=10: a waveform of 16 tokens is too short"):
        contrastive_draws([0], 0, 0, [16], CONFIG, CPU)
