from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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


class Measured(NamedTuple):
    """What the cost of SMALL is, where it is kept, and whether torch draws the same after it was measured."""

    cost: dict[str, float]
    folder: Path
    draws_the_same: bool


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Measured:
    folder = tmp_path_factory.mktemp("cost")
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    found = architecture_cost(SMALL, folder)
    return Measured(found, folder, torch.equal(torch.rand(1), expected))


def test_is_measured_once_and_then_read(measured, monkeypatch):
    monkeypatch.setattr(cost, "measure", lambda config: pytest.fail("measured again"))
    assert architecture_cost(SMALL, measured.folder) == measured.cost
    (file,) = (measured.folder / "architectures").glob("*.json")
    assert json.loads(file.read_text())["cost"] == measured.cost
    # Dropout is not part of what is exported.
    assert architecture_cost(SMALL.model_copy(update={"dropout": 0.3}), measured.folder) == measured.cost


def test_what_was_measured_before_there_was_a_context_is_found(tmp_path):
    facts = cost._facts(StudentConfig(base_channels=4))
    assert "context" not in facts["student"]
    assert cost._facts(StudentConfig(base_channels=4, context="wide"))["student"]["context"] == "wide"


def test_names_every_objective_of_a_pareto_sweep(measured):
    found = measured.cost
    assert found[metrics.PARAMETERS] == sum(p.numel() for p in XiaoNet(base_channels=2).parameters())
    assert 0 < found[metrics.INT8_BYTES] < found[metrics.FP32_BYTES]
    assert found[metrics.FP32_LATENCY_MS] > 0
    assert found[metrics.INT8_LATENCY_MS] > 0
    assert found[metrics.INT8_CONV_SHARE] == 1.0


def test_measuring_leaves_torchs_random_state(measured):
    assert measured.draws_the_same


class Clock:
    """Processor times in the place of pickers: FP32 takes 10 ms, INT8 5.4, and neighbours add to some of them."""

    PER_ROUND = cost.WARM_UPS + cost.MAX_PAIRS

    def __init__(self, monkeypatch: pytest.MonkeyPatch, slower: Callable[[str, int, int], float]) -> None:
        """`slower(name, round, number)`: how many times the time of a call."""
        self.calls = {"fp32": 0, "int8": 0}
        self.slower = slower
        monkeypatch.setattr(cost, "OnnxPicker", lambda path: path.name)
        monkeypatch.setattr(cost, "_time_ms", self.time_ms)
        monkeypatch.setattr(cost, "PAUSE_S", 0)

    def time_ms(self, name: str, _: object) -> float:
        number = self.calls[name]
        self.calls[name] += 1
        return {"fp32": 10.0, "int8": 5.4}[name] * self.slower(name, number // self.PER_ROUND, number)

    @property
    def rounds(self) -> float:
        return self.calls["int8"] / self.PER_ROUND


def test_a_quiet_machine_is_measured_in_the_fewest_rounds(monkeypatch):
    clock = Clock(monkeypatch, lambda name, round, number: 1.0)
    assert cost.latencies_ms(Path("fp32"), Path("int8")) == (10.0, 5.4, pytest.approx(0.54))
    assert clock.rounds == cost.MIN_ROUNDS


def test_pairs_and_minima_that_disagree_are_measured_again(monkeypatch):
    """In four rounds a neighbour slows FP32 in three of four calls: the median of pairs is a third of the truth."""
    clock = Clock(monkeypatch, lambda name, round, number: 3.0 if name == "fp32" and round < 4 and number % 4 else 1.0)
    assert cost.latencies_ms(Path("fp32"), Path("int8"))[2] == pytest.approx(0.54)
    assert clock.rounds == 5


def test_a_neighbour_that_stays_for_a_whole_round_is_seen_when_it_goes(monkeypatch):
    """Pairs and minima agree while it is there, at twice the true ratio."""
    clock = Clock(monkeypatch, lambda name, round, number: 2.0 if name == "int8" and round < 2 else 1.0)
    assert cost.latencies_ms(Path("fp32"), Path("int8"))[2] == pytest.approx(0.54)
    assert clock.rounds == 4, "the third lowers a minimum, the fourth says that it stays"


def test_pairs_that_never_agree_end_with_the_least_of_all_rounds(monkeypatch):
    clock = Clock(monkeypatch, lambda name, round, number: 2.0 if name == "fp32" and number % 7 else 1.0)
    assert cost.latencies_ms(Path("fp32"), Path("int8"))[2] == pytest.approx(0.54)
    assert clock.rounds == cost.MAX_ROUNDS


def test_latency_is_time_of_this_thread_not_of_the_clock_on_the_wall(monkeypatch):
    times_ns = iter([1_000_000, 8_000_000])
    monkeypatch.setattr(time, "thread_time_ns", lambda: next(times_ns))
    assert cost._time_ms(lambda _: None, None) == 7.0
