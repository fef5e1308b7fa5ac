from __future__ import annotations

import json
import time
from pathlib import Path

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


class Clock:
    """Processor times in the place of pickers: FP32 takes 10 ms, INT8 5.4, and a neighbour adds to some of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, neighbours: list[dict[str, float]]) -> None:
        self.calls = {"fp32": 0, "int8": 0}
        self.rounds: list[dict[str, float]] = neighbours
        monkeypatch.setattr(cost, "OnnxPicker", lambda path: path.name)
        monkeypatch.setattr(cost, "_time_ms", self.time_ms)

    def time_ms(self, name: str, _: object) -> float:
        per_round = cost.WARM_UPS + cost.MAX_PAIRS
        number = min(self.calls[name] // per_round, len(self.rounds) - 1)
        self.calls[name] += 1
        return {"fp32": 10.0, "int8": 5.4}[name] * self.rounds[number].get(name, 1.0)


def test_a_quiet_machine_is_measured_once(monkeypatch):
    clock = Clock(monkeypatch, [{}])
    assert cost.latencies_ms(Path("fp32"), Path("int8")) == (10.0, 5.4, pytest.approx(0.54))
    assert clock.calls["fp32"] == cost.WARM_UPS + cost.MAX_PAIRS


def test_a_neighbour_that_slows_one_of_them_is_waited_for(monkeypatch):
    """The first round is disturbed within itself: pairs and minima disagree, and the next one counts."""
    clock = Clock(monkeypatch, [{}, {}])
    quiet = clock.time_ms

    def disturbed(name: str, window: object) -> float:
        time_ms = quiet(name, window)
        is_first_round = clock.calls[name] <= cost.WARM_UPS + cost.MAX_PAIRS
        return time_ms * (3 if name == "fp32" and is_first_round and clock.calls[name] % 4 else 1)

    monkeypatch.setattr(cost, "_time_ms", disturbed)
    assert cost.latencies_ms(Path("fp32"), Path("int8"))[2] == pytest.approx(0.54)
    assert clock.calls["fp32"] == 2 * (cost.WARM_UPS + cost.MAX_PAIRS)


def test_pairs_that_never_agree_end_with_the_least_of_all_rounds(monkeypatch):
    clock = Clock(monkeypatch, [{}])
    undisturbed = clock.time_ms
    monkeypatch.setattr(
        cost,
        "_time_ms",
        lambda name, window: undisturbed(name, window) * (1 + (clock.calls["fp32"] % 7 > 0) * (name == "fp32")),
    )
    assert cost.latencies_ms(Path("fp32"), Path("int8"))[2] == pytest.approx(0.54)
    assert clock.calls["fp32"] == cost.ROUNDS * (cost.WARM_UPS + cost.MAX_PAIRS)


def test_latency_is_time_of_this_thread_not_of_the_clock_on_the_wall(monkeypatch):
    times_ns = iter([1_000_000, 8_000_000])
    monkeypatch.setattr(time, "thread_time_ns", lambda: next(times_ns))
    assert cost._time_ms(lambda _: None, None) == 7.0
