"""One window: gaps, dead channels, several instruments, another rate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pytest
from obspy import UTCDateTime

from trainables.data.archives import FileArchive
from trainables.data.build_cuts import Cut, cut
from trainables.data.build_window import BuildConfig, PickAt, Window

START = UTCDateTime(2014, 5, 1)
CONFIG = BuildConfig()


def trace(channel: str = "HHZ", data: np.ndarray | None = None, rate_hz: float = 100.0, **header: Any) -> obspy.Trace:
    data = np.random.default_rng(len(channel)).normal(0, 1000, 20_000).astype(np.int32) if data is None else data
    codes = {"network": "CX", "station": "PB01", "channel": channel, "sampling_rate": rate_hz, "starttime": START}
    return obspy.Trace(data, codes | header)


def three(family: str = "HH", **header: Any) -> list[obspy.Trace]:
    return [trace(f"{family}{component}", **header) for component in "ENZ"]


def window(*seconds: float, location: str = "*", station: str = "CX.PB01", **fields: Any) -> Window:
    """From 20 to 110 s, with P and S by turns at these seconds."""
    at = zip("PSPSPS", seconds, strict=False)
    picks = tuple(PickAt(kind, START.ns + round(s * 1e9), "manual", True) for kind, s in at)
    span = {"start_ns": START.ns + 20_000_000_000, "end_ns": START.ns + 110_000_000_000}
    return Window("key", "e" if seconds else "", station, location, picks=picks, split="dev", **(span | fields))


@pytest.fixture
def cut_from(tmp_path: Path) -> Callable[..., Cut]:
    def run(traces: list[obspy.Trace], of: Window, config: BuildConfig = CONFIG) -> Cut:
        for number, one in enumerate(traces):
            one.write(str(tmp_path / f"{number}.mseed"), format="MSEED")
        return cut(of, FileArchive.of(sorted(tmp_path.iterdir())), config, {"e": {"source_magnitude": 2.5}})

    return run


def test_samples_arrivals_and_metadata(cut_from):
    traces = three()
    found = cut_from(traces, window(50.0, 60.25, 70.0))
    assert np.array_equal(found.waveform_XT, [t.data[2000:11000] for t in traces])
    assert found.row == {
        "trace_name_original": "key",
        "source_id": "e",
        "source_magnitude": 2.5,
        "station_network_code": "CX",
        "station_code": "PB01",
        "station_location_code": "",
        "trace_channel": "HH",
        "trace_start_time": "2014-05-01T00:00:20.000000Z",
        "trace_sampling_rate_hz": 100.0,
        "trace_npts": 9000,
        "trace_component_order": "ENZ",
        "trace_live_components": "ENZ",
        "trace_gap_samples": 0,
        "trace_category": "earthquake",
        "split": "dev",
        "trace_P_arrival_sample": 3000,
        "trace_P_2_arrival_sample": 5000,
        "trace_p_status": "manual",
        "trace_S_arrival_sample": 4025,
        "trace_s_status": "manual",
    }
    assert not found.left_out
    assert not found.seen


def test_an_order_of_components_and_what_is_not_labelled(cut_from):
    traces = three()
    found = cut_from(traces, window(50.0, unlabelled="S"), BuildConfig(components="ZNE"))
    assert np.array_equal(found.waveform_XT, [t.data[2000:11000] for t in traces[::-1]])
    assert found.row["trace_component_order"] == "ZNE"
    assert (found.row["trace_p_status"], found.row["trace_s_status"]) == ("manual", "unlabelled")
    assert "trace_S_arrival_sample" not in found.row


def test_samples_between_those_of_the_window_are_not_interpolated(cut_from):
    traces = three(starttime=START + 0.004)
    found = cut_from(traces, window(50.0))
    assert np.array_equal(found.waveform_XT, [t.data[2000:11000] for t in traces])
    assert found.row["trace_start_time"] == "2014-05-01T00:00:20.004000Z"
    assert found.row["trace_P_arrival_sample"] == 3000


def test_gaps_are_zeros_and_a_pick_in_one_is_left_out(cut_from):
    traces = [part for t in three() for part in (t.slice(endtime=START + 55), t.slice(START + 65))]
    found = cut_from(traces, window(50.0, 60.0, 70.0))
    assert (found.waveform_XT[:, 3501:4500] == 0).all()
    assert found.row["trace_gap_samples"] == 999
    assert found.left_out == {"in a gap of the waveforms": 1}
    assert found.seen == {"windows with gaps, zeros in their place": 1}
    assert (found.row["trace_P_arrival_sample"], found.row["trace_P_2_arrival_sample"]) == (3000, 5000)
    assert "trace_S_arrival_sample" not in found.row


def test_a_window_is_as_long_as_what_is_recorded(cut_from):
    found = cut_from([t.slice(START + 30, START + 80) for t in three()], window(50.0))
    assert found.row["trace_npts"] == 5001
    assert found.row["trace_start_time"] == "2014-05-01T00:00:30.000000Z"
    assert found.row["trace_P_arrival_sample"] == 2000


def test_nothing_recorded_and_only_gaps_at_the_picks(cut_from):
    assert cut_from(three(station="PB02"), window(50.0, 60.0)).left_out == {"no waveforms": 2}
    found = cut_from([t.slice(endtime=START + 40) for t in three()], window(50.0))
    assert found.waveform_XT is None
    assert found.left_out == {"in a gap of the waveforms": 1}


def test_dead_channels_are_named_and_an_instrument_that_is_dead_is_left_out(cut_from):
    flat = np.full(20_000, 7, dtype=np.int32)
    found = cut_from([trace("HHE", flat), trace("HHN"), trace("HHZ")], window(50.0))
    assert found.row["trace_live_components"] == "NZ"
    assert (found.waveform_XT[0] == 7).all()
    assert found.dead == ["CX.PB01..HHE"]
    assert found.seen == {"windows with a dead channel": 1}


def test_all_channels_dead(cut_from):
    found = cut_from([trace("HHZ", np.zeros(20_000, dtype=np.int32))], window(50.0))
    assert found.waveform_XT is None
    assert found.left_out == {"all channels dead": 1}


@pytest.mark.parametrize(
    ("others", "family"),
    [
        (lambda: [*three("HN"), *three("HH")], "HH"),
        (lambda: [trace("HHZ"), *three("HN")], "HN"),
        (lambda: [*[trace(f"HH{c}", np.zeros(20_000, np.int32)) for c in "ENZ"], *three("HN")], "HN"),
        (lambda: [*[t.slice(endtime=START + 45) for t in three("HH")], *three("EH")], "EH"),
    ],
)
def test_the_instrument_with_most_picks_then_most_live_components_is_taken(others, family, cut_from):
    assert cut_from(others(), window(50.0)).row["trace_channel"] == family


def test_location_codes(cut_from):
    both = [*three(location="00"), *three(location="10")]
    assert cut_from(both, window(50.0, location="10")).row["station_location_code"] == "10"
    found = cut_from(both, window(50.0, location="20"))
    assert found.row["station_location_code"] == "00"
    assert found.seen == {"windows of another location code than that of the picks, which the archive lacks": 1}


def test_a_station_of_two_networks_is_ambiguous(cut_from):
    found = cut_from([*three(), *three(network="XX")], window(50.0, station="*.PB01"))
    assert found.left_out == {"several networks have such a station and the pick names none": 1}


def test_missing_components_are_zeros_and_1_and_2_stand_in(cut_from):
    found = cut_from([trace("HH1"), trace("HHZ")], window(50.0))
    assert found.waveform_XT[1:].any(axis=1).all()
    assert not found.waveform_XT[0].any()
    assert found.seen == {"windows without all of ENZ, zeros in their place": 1}


def test_another_rate_is_resampled_and_the_arrival_stays_in_time(cut_from):
    times_s = np.arange(20_000) / 50
    pulse = (1e5 * np.exp(-(((times_s - 50) / 0.2) ** 2))).astype(np.float32)
    found = cut_from([trace(f"HH{c}", pulse, rate_hz=50.0) for c in "ENZ"], window(50.0))
    assert found.row["trace_npts"] == 9000
    assert found.row["trace_P_arrival_sample"] == 3000
    assert abs(int(found.waveform_XT[2].argmax()) - 3000) <= 1
    assert found.seen == {"windows resampled to 100 Hz": 1}


def test_integers_that_float32_does_not_hold_are_said(cut_from):
    data = np.arange(20_000, dtype=np.int32) + 2**24
    found = cut_from([trace(f"HH{c}", data) for c in "ENZ"], window(50.0))
    assert found.seen == {"windows whose samples were rounded to float32, which holds integers up to 16,777,216": 1}


def test_what_is_not_a_number_is_a_gap(cut_from):
    data = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    data[6000:6010] = np.nan
    found = cut_from([trace(f"HH{c}", data.copy()) for c in "ENZ"], window(50.0, 60.05))
    assert (found.waveform_XT[:, 4000:4010] == 0).all()
    assert found.row["trace_gap_samples"] == 10
    assert found.left_out == {"in a gap of the waveforms": 1}


def test_noise_has_no_arrivals(cut_from):
    found = cut_from(three(), window())
    assert found.row["trace_category"] == "noise"
    assert found.row["source_id"] is None
    assert not [name for name in found.row if "arrival" in name]
    assert (found.row["trace_p_status"], found.row["trace_s_status"]) == (None, None)


def test_noise_without_waveforms_is_counted_apart(cut_from):
    found = cut_from(three(station="PB02"), window())
    assert not found.left_out
    assert found.seen == {"windows of noise without waveforms": 1}
