from __future__ import annotations

import json

import pytest
import torch

from trainables import metrics
from trainables.export import cost
from trainables.export.cost import architecture_cost, count_macs
from trainables.models.xiaonet import StudentConfig, XiaoNet

SMALL = StudentConfig(base_channels=2, pooling=4)


def test_macs_of_a_network_counted_by_hand():
    """Pooling 4, base 2: lengths 3008, 752, 188, 47; each block two convolutions of kernel 3."""
    lengths = {"encoder": [(3, 2, 3008), (2, 4, 752), (4, 8, 188)], "bottleneck": [(8, 16, 47)]}
    lengths["decoder"] = [(24, 8, 188), (12, 4, 752), (6, 2, 3008)]
    blocks = [block for part in lengths.values() for block in part]
    by_hand = sum(3 * (i * o + o * o) * n for i, o, n in blocks) + 3 * 2 * 3 * 3008
    assert count_macs(XiaoNet(base_channels=2, pooling=4)) == by_hand


def test_pooling_4_is_about_three_times_cheaper():
    ratio = count_macs(XiaoNet(base_channels=8, pooling=2)) / count_macs(XiaoNet(base_channels=8, pooling=4))
    assert 2.5 < ratio < 3.5


def test_is_measured_once_and_then_read(tmp_path, monkeypatch):
    first = architecture_cost(SMALL, tmp_path)
    monkeypatch.setattr(cost, "measure", lambda config: pytest.fail("measured again"))
    assert architecture_cost(SMALL, tmp_path) == first
    (file,) = (tmp_path / "architectures").glob("*.json")
    assert json.loads(file.read_text())["cost"] == first
    # Dropout is no part of what is exported.
    assert architecture_cost(SMALL.model_copy(update={"dropout": 0.3}), tmp_path) == first


def test_names_every_objective_of_a_pareto_sweep(tmp_path):
    found = architecture_cost(SMALL, tmp_path)
    assert found[metrics.PARAMETERS] == sum(p.numel() for p in XiaoNet(base_channels=2).parameters())
    assert 0 < found[metrics.INT8_BYTES] < found[metrics.FP32_BYTES]
    assert found[metrics.FP32_LATENCY_MS] > 0
    assert found[metrics.INT8_LATENCY_MS] > 0
    assert found[metrics.INT8_CONV_SHARE] == 1.0


def test_measuring_leaves_torchs_random_state(tmp_path):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    architecture_cost(SMALL, tmp_path)
    assert torch.equal(torch.rand(1), expected)
