from __future__ import annotations

import math
from dataclasses import replace

import pytest

from trainables.export.gate import ExportConfig, QuantizedPicker, judge

GOOD = QuantizedPicker(fp32_bytes=658_959, int8_bytes=181_503, conv_share=1.0, fp32_f1=0.91, int8_f1=0.905)


def test_accepts_a_smaller_file_that_picks_as_well():
    verdict = judge(GOOD, ExportConfig())
    assert verdict.accepted
    assert str(verdict) == (
        "accepted: 3.63 times smaller, 100% of convolutions in INT8, dev F1 0.905 against 0.910 in FP32."
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"int8_bytes": 658_959},
            "The INT8 file is not smaller: 658,959 bytes against 658,959 in FP32.",
        ),
        ({"conv_share": 0.0}, "No convolution runs in INT8."),
        (
            {"int8_f1": 0.88},
            "INT8 loses 0.030 of F1 (dev F1 0.880 against 0.910 in FP32); at most 0.02 is allowed.",
        ),
    ],
)
def test_refuses_with_a_reason_in_numbers(change, reason):
    verdict = judge(replace(GOOD, **change), ExportConfig())
    assert not verdict.accepted
    assert verdict.reasons == (reason,)


def test_names_every_rule_broken():
    verdict = judge(replace(GOOD, int8_bytes=700_000, conv_share=0.0, int8_f1=0.2), ExportConfig())
    assert len(verdict.reasons) == 3


@pytest.mark.parametrize(("int8_f1", "accepted"), [(0.89, True), (0.8899, False), (0.95, True), (math.nan, False)])
def test_the_limit_itself_is_allowed(int8_f1, accepted):
    assert judge(replace(GOOD, int8_f1=int8_f1), ExportConfig()).accepted == accepted


def test_the_allowed_loss_is_a_setting():
    worse = replace(GOOD, int8_f1=0.88)
    assert judge(worse, ExportConfig(max_f1_loss=0.05)).accepted
