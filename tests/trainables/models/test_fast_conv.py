from __future__ import annotations

import pytest
import torch
from torch import nn

from trainables.models.fast_conv import FastConv1d


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
