"""Which channel means what, and which hold nothing for a model."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.edge.channels import FLAT_S, Wanted, flat_spans, left_out_lines, translated, wanted, why_not


@pytest.mark.parametrize(
    ("code", "component"),
    [("HHZ", "Z"), ("HH1", "N"), ("HH2", "E"), ("HH3", "Z"), ("Z", "Z"), ("", ""), ("BDF", ""), ("HHz", "")],
)
def test_the_last_letter_says_the_component(code, component):
    assert Wanted().component(code, "ENZ") == component


def test_a_model_of_numbered_components_takes_the_letters():
    assert [Wanted().component(f"HH{letter}", "Z12") for letter in "ZNE3"] == ["Z", "1", "2", "Z"]


@pytest.mark.parametrize(
    ("order", "meant"),
    [
        ("Z12", "ZNE"),
        ("123", "NEZ"),
        ("ZNE", "ZNE"),
        ("Z123", "ZNE3"),
        ("ZNE12", "ZNE12"),
        ("12Z", "NEZ"),
        ("11", "11"),
    ],
)
def test_component_orders_of_data_sets_follow_the_same_rule(order, meant):
    assert translated(order) == meant


def test_what_the_user_says_of_letters_comes_first():
    choice = wanted(["HN?", "EH[Z12],BHZ"], "0=Z, 1=E")
    assert [choice.component(f"HN{letter}", "ENZ") for letter in "012E"] == ["Z", "E", "E", "E"]
    assert [code for code in ("HNZ", "EHZ", "EHN", "BHZ", "BHN") if choice.has(code)] == ["HNZ", "EHZ", "BHZ"]


@pytest.mark.parametrize(
    ("channels", "components", "part"),
    [
        (["HN?,"], None, "a pattern is empty"),
        (None, "0", "write LETTER=COMPONENT"),
        (None, "", "write LETTER=COMPONENT"),
        (None, "HH0=Z", "write LETTER=COMPONENT"),
        (None, "0=Z,0=N", "0 cannot stand for both Z and N"),
        (None, "0=Q", "the components of this model are ENZ"),
    ],
)
def test_what_cannot_be_meant_is_one_line(channels, components, part):
    with pytest.raises(ValueError, match=part):
        wanted(channels, components).check("ENZ")


@pytest.mark.parametrize(
    ("code", "rate_hz", "reason"),
    [
        ("HHZ", 100, ""),
        ("BHZ", 20, ""),
        ("HHZ", 1000, ""),
        ("LHZ", 1, "below 12.5 Hz"),
        ("MHZ", 10, "below 12.5 Hz"),
        ("LOG", 0, "of text or without a rate"),
        ("HHZ", -100, "of text or without a rate"),
        ("HHZ", float("nan"), "of text or without a rate"),
        ("HHZ", float("inf"), "of text or without a rate"),
        ("BDF", 100, "of no component E, N, Z"),
    ],
)
def test_a_channel_far_below_the_rate_of_the_model_or_without_waveform_holds_nothing_for_it(code, rate_hz, reason):
    assert why_not(code, rate_hz, Wanted(), "ENZ", 100) == reason


def test_many_channels_are_one_line():
    ids = {f"XX.A{number}..LHZ" for number in range(7)}
    (line,) = left_out_lines({"below 12.5 Hz": ids, "of text": {"XX.A0..LOG"}}, {"XX.A0..LOG"})
    assert "7 below 12.5 Hz (XX.A0..LHZ, XX.A1..LHZ, XX.A2..LHZ, XX.A3..LHZ and 3 more)" in line
    assert "1 of text (part of XX.A0..LOG)" in line
    assert left_out_lines({}, set()) == []


@pytest.mark.parametrize("kind", [np.int32, np.float32, np.float64])
def test_flat_is_what_never_changes(kind):
    data = np.random.default_rng(0).integers(-99, 99, 12_345).astype(kind)
    assert flat_spans(data, 100) == []
    data[3500:8000] = 7
    assert flat_spans(data, 100) == [(4000, 8000)]
    data[9000:] = 0
    assert flat_spans(data, 100) == [(4000, 8000), (9000, 12_345)]
    assert flat_spans(data[:1], 100) == [(0, 1)]


def test_samples_that_are_no_numbers_make_nothing_alive():
    data = np.full(round(3 * FLAT_S * 100), np.nan)
    data[1500] = np.inf
    data[2100:2200] = 5
    assert flat_spans(data, 100) == [(0, 3000)]
    masked = np.ma.masked_equal(np.arange(3000) // 1000 * (np.arange(3000) % 2), 1)
    assert flat_spans(masked, 100) == [(0, 2000)]
