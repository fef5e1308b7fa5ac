from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from lifelike import picker, windows
from torch import nn

from trainables.export.folded import FoldedConv2d, FoldedXiaoNet, Part

SIZES = [
    (2, 2, "batch", "near"),
    (2, 4, "batch", "wide"),
    (3, 4, "group", "wide"),
    (4, 4, "batch", "near"),
    (7, 4, "batch", "wide"),
    (8, 2, "group", "near"),
    (16, 2, "batch", "near"),
    (40, 4, "batch", "near"),
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("for_int8", [False, True])
def test_is_the_same_function(size, for_int8):
    model = picker(*size)
    windows_BXT = torch.from_numpy(windows(2, seed=3))
    with torch.no_grad():
        expected_BCT = model(windows_BXT)
        folded = FoldedXiaoNet(copy.deepcopy(model), for_int8).eval()
        np.testing.assert_allclose(folded(windows_BXT).numpy(), expected_BCT.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("base_channels", "pooling", "for_int8", "folds"),
    [
        (8, 4, False, [2, 1, 1, 1]),
        (8, 4, True, [4, 1, 1, 1]),
        (7, 4, True, [4, 2, 1, 1]),
        (4, 2, True, [8, 4, 1, 1]),
        (2, 2, True, [8, 4, 2, 1]),  # no longer than a sample of the bottleneck
        (16, 2, False, [1, 1, 1, 1]),
        (16, 2, True, [2, 1, 1, 1]),
        (40, 4, True, [1, 1, 1, 1]),
    ],
)
def test_levels_of_few_channels_are_folded(base_channels, pooling, for_int8, folds):
    assert FoldedXiaoNet(picker(base_channels, pooling), for_int8).folds == folds


def test_first_and_last_sample_see_zeros_beyond_the_window():
    model = picker(base_channels=8, pooling=4)
    windows_BXT = torch.zeros(1, 3, 3001)
    windows_BXT[..., 0], windows_BXT[..., -1] = 1.0, -1.0
    with torch.no_grad():
        expected_BCT = model(windows_BXT)
        for for_int8 in (False, True):
            folded_BCT = FoldedXiaoNet(copy.deepcopy(model), for_int8)(windows_BXT)
            np.testing.assert_allclose(folded_BCT.numpy(), expected_BCT.numpy(), atol=1e-6)


def test_large_logits_are_no_overflow():
    model = picker(base_channels=4)
    with torch.no_grad():
        model.head.weight *= 1e4
        expected_BCT = model(torch.from_numpy(windows(1)))
        folded_BCT = FoldedXiaoNet(copy.deepcopy(model), for_int8=True)(torch.from_numpy(windows(1)))
    assert torch.isfinite(folded_BCT).all()
    assert (folded_BCT.argmax(dim=1) == expected_BCT.argmax(dim=1)).float().mean() > 0.999


def test_a_folded_convolution_goes_by_whole_blocks():
    torch.manual_seed(0)
    plain = nn.Conv2d(5, 3, (1, 3), padding=(0, 1))
    folded = FoldedConv2d(plain, 8, [Part(2)])
    y_BC1T = torch.randn(2, 5, 1, 48)
    blocks_BF1T = y_BC1T.reshape(2, 5, 24, 2).permute(0, 3, 1, 2).reshape(2, 10, 1, 24)
    out_BFT = folded(blocks_BF1T).reshape(2, 8, 3, 6).permute(0, 2, 3, 1).reshape(2, 3, 48)
    torch.testing.assert_close(out_BFT, plain(y_BC1T).squeeze(2))
