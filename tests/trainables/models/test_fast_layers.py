from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainables.models.fast_layers import FastConv1d, join_upsampled


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (7, 4, 3), (1, 1, 0)])
def test_computes_what_conv1d_computes_from_the_same_state_dict(kernel, stride, padding):
    reference = nn.Conv1d(3, 5, kernel, stride=stride, padding=padding)
    fast = FastConv1d(3, 5, kernel, stride=stride, padding=padding)
    fast.load_state_dict(reference.state_dict())
    x_BCT = torch.randn(2, 3, 101)
    torch.testing.assert_close(fast(x_BCT.unsqueeze(2)).squeeze(2), reference(x_BCT))


def test_has_the_same_gradients():
    reference, fast = nn.Conv1d(3, 5, 3, padding=1), FastConv1d(3, 5, 3, padding=1)
    fast.load_state_dict(reference.state_dict())
    x_BCT = torch.randn(2, 3, 50)
    reference(x_BCT).square().sum().backward()
    fast(x_BCT.unsqueeze(2)).square().sum().backward()
    torch.testing.assert_close(fast.weight.grad, reference.weight.grad)


@pytest.mark.parametrize("factor", [2, 4])
def test_joins_a_skip_with_what_interpolate_makes(factor):
    skip_BC1T, y_BC1T = torch.randn(2, 3, 1, 8 * factor), torch.randn(2, 5, 1, 8)
    upsampled_BC1T = F.interpolate(y_BC1T, scale_factor=(1.0, float(factor)), mode="nearest")
    assert torch.equal(join_upsampled(skip_BC1T, y_BC1T, factor), torch.cat([skip_BC1T, upsampled_BC1T], dim=1))
