from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from trainables.evaluation.counts import EventCounts
from trainables.export.gate import ExportConfig, Loss, QuantizedPicker, judge

GOOD = QuantizedPicker(
    fp32_bytes=658_959,
    int8_bytes=181_503,
    conv_share=1.0,
    fp32_f1=0.91,
    int8_f1=0.905,
    loss=Loss(0.005, -0.003, 0.013, num_events=13),
)


def losing(value: float, spread: float = 0.005) -> QuantizedPicker:
    """The good one with another F1 of INT8, known this well."""
    return replace(GOOD, int8_f1=0.91 - value, loss=Loss(value, value - spread, value + spread, 13))


def test_accepts_a_smaller_file_that_picks_as_well():
    verdict = judge(GOOD, ExportConfig())
    assert (verdict.accepted, verdict.word) == (True, "accepted")
    assert str(verdict) == (
        "accepted: 3.63 times smaller, 100% of convolutions in INT8, dev F1 0.905 against 0.910 in FP32: "
        "a loss of 0.005, 95 % interval -0.003 to 0.013 over 13 dev events."
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"int8_bytes": 658_900},
            "The INT8 file is not smaller: 658,900 bytes against 658,959 in FP32, 1.00 times; "
            "at least 1.1 times is required.",
        ),
        ({"conv_share": 0.0}, "No convolution runs in INT8."),
        (
            {"int8_f1": 0.0, "fp32_f1": 0.0, "loss": Loss(0, 0, 0, 13)},
            "INT8 finds nothing (dev F1 0.000 against 0.000 in FP32).",
        ),
        (
            {"int8_f1": 0.88, "loss": Loss(0.03, 0.021, 0.039, 13)},
            "INT8 loses more F1 than 0.02 (dev F1 0.880 against 0.910 in FP32; 0.030, 95 % interval 0.021 to 0.039 "
            "over 13 dev events).",
        ),
    ],
)
def test_refuses_with_a_reason_in_numbers(change, reason):
    verdict = judge(replace(GOOD, **change), ExportConfig())
    assert not verdict.accepted
    assert verdict.word == "refused"
    assert verdict.reasons == (reason,)


def test_names_every_rule_broken():
    worse = replace(losing(0.71), int8_bytes=700_000, conv_share=0.0)
    assert len(judge(worse, ExportConfig()).reasons) == 3


@pytest.mark.parametrize(("loss", "accepted"), [(0.02, True), (0.0201, False), (-0.04, True), (math.nan, False)])
def test_the_limit_itself_is_allowed(loss, accepted):
    assert judge(losing(loss), ExportConfig()).accepted == accepted


def test_the_allowed_loss_is_a_setting():
    assert judge(losing(0.03), ExportConfig(max_f1_loss=0.05)).accepted


@pytest.mark.parametrize(("ratio", "word"), [(0.54, "accepted"), (1.12, "accepted, slower"), (None, "accepted")])
def test_a_slower_file_is_accepted_and_called_slower(ratio, word):
    verdict = judge(replace(GOOD, latency_ratio=ratio), ExportConfig())
    assert verdict.accepted
    assert verdict.word == word
    assert ratio is None or f"3.63 times smaller, {ratio:.2f} times as long" in str(verdict)


@pytest.mark.parametrize(("loss", "spread", "doubt"), [(0.01, 0.02, True), (0.03, 0.02, True), (0.01, 0.005, False)])
def test_events_that_cannot_tell_are_said_to(loss, spread, doubt):
    verdict = judge(losing(loss, spread), ExportConfig())
    assert verdict.accepted == (loss < 0.02)
    assert ("which cannot tell whether it is more than 0.02" in str(verdict)) == doubt


def test_the_loss_is_a_paired_bootstrap_over_events():
    """Hard events, which both miss, make no loss and widen no interval."""
    hits = np.array([20, 18, 3, 19, 20, 1, 17, 20, 20, 2, 19, 18, 20])

    def counts(true: np.ndarray) -> EventCounts:
        return EventCounts(
            [str(n) for n in range(len(hits))],
            true={"P": true, "S": true},
            false={"P": np.ones(13, int), "S": np.ones(13, int)},
            missed={"P": 20 - true, "S": 20 - true},
        )

    same = Loss.of(counts(hits), counts(hits))
    assert (same.value, same.low, same.high, same.num_events) == (0, 0, 0, 13)
    worse = Loss.of(counts(hits), counts(np.maximum(hits - 1, 0)))
    assert 0.02 < worse.low < worse.value < worse.high < 0.06
    assert worse == Loss.of(counts(hits), counts(np.maximum(hits - 1, 0))), "the same every time"
