from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainables.models.fast_layers import FastConv1d, JoinConv1d


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
def test_joins_a_skip_as_interpolate_cat_and_conv1d_do_from_the_same_state_dict(factor):
    reference, joining = nn.Conv1d(8, 4, 3, padding=1), JoinConv1d(3, 5, 4, factor)
    joining.load_state_dict(reference.state_dict())
    skip_BCT, below_BCT = torch.randn(2, 3, 9 * factor), torch.randn(2, 5, 9)

    expected_BOT = reference(torch.cat([skip_BCT, F.interpolate(below_BCT, scale_factor=factor)], dim=1))
    joined_BOT = joining((skip_BCT.unsqueeze(2), below_BCT.unsqueeze(2))).squeeze(2)
    torch.testing.assert_close(joined_BOT, expected_BOT)

    expected_BOT.square().sum().backward()
    joined_BOT.square().sum().backward()
    torch.testing.assert_close(joining.weight.grad, reference.weight.grad)
    torch.testing.assert_close(joining.bias.grad, reference.bias.grad)
