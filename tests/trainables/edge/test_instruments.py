"""Channels of all kinds in one folder: the right ones are picked, the others are named, and none costs another one."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import obspy
import pytest
from lifelike import START, picks_in, stream, write
from obspy import UTCDateTime

from trainables.edge.channels import EVERY_CHANNEL, wanted
from trainables.edge.job import run

LENGTH_S = 240


@pytest.fixture
def job(network, tmp_path, capsys) -> Callable:
    """Picks streams, a file each: the exit code, (station, phase, time) of each pick, what was said."""

    def pick(*streams: obspy.Stream, choice=EVERY_CHANNEL) -> tuple[int, list[tuple[str, str, str]], str]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for number, traces in enumerate(streams):
            write(traces, folder / f"{number}.mseed")
        code = run(network, [folder], None, "csv", wanted=choice)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, [(r["station"], r["phase"], r["time"]) for r in csv.DictReader(io.StringIO(out))], err

    return pick


def named(traces: obspy.Stream, family: str) -> obspy.Stream:
    """The same ground motion, of another instrument."""
    traces = traces.copy()
    for trace in traces:
        trace.stats.channel = family + trace.stats.channel[-1]
    return traces


def flat(traces: obspy.Stream, value: int = 0, since_s: float = 0, until_s: float = LENGTH_S) -> obspy.Stream:
    traces = traces.copy()
    for trace in traces:
        trace.data[int(since_s * 100) : int(until_s * 100)] = value
    return traces


def text(channel: str, rate_hz: float, after_s: float = 0) -> obspy.Stream:
    data = np.frombuffer(b"clock locked ok. " * 50, dtype="|S1").copy()
    header = {"network": "XX", "station": "ABC", "channel": channel, "starttime": START + after_s}
    return obspy.Stream([obspy.Trace(data, {**header, "sampling_rate": rate_hz})])


def records(traces: obspy.Stream, seconds: float, rates_hz: list[float]) -> obspy.Stream:
    """Each so long, and what their headers say of their rate."""
    cut = obspy.Stream()
    for trace in traces:
        step = int(seconds * trace.stats.sampling_rate)
        for number, first in enumerate(range(0, trace.stats.npts, step)):
            part = trace.slice(START + first * trace.stats.delta).copy()
            part.data = part.data[:step]
            part.stats.sampling_rate = rates_hz[number % len(rates_hz)]
            cut += part
    return cut


@pytest.mark.parametrize("value", [0, 777])
def test_a_dead_seismometer_leaves_its_place_to_the_accelerometer(value, job):
    seismometer = stream(LENGTH_S)
    accelerometer = named(seismometer, "HN")
    expected = job(accelerometer)[1]
    assert len(expected) > 5
    code, picks, said = job(flat(seismometer, value) + accelerometer)
    assert (code, picks) == (0, expected)
    assert "XX.ABC..HH: flat, no sample differs from another; not picked" in said
    code, picks, said = job(
        flat(seismometer.select(component="N"), value) + seismometer.select(component="[EZ]"), accelerometer
    )
    assert (code, picks) == (0, expected)
    assert "HN and HH record at the same time; HN is picked" in said


def test_what_dies_in_the_middle_is_picked_until_then(job):
    seismometer = stream(LENGTH_S)
    expected = job(seismometer)[1]
    code, picks, said = job(flat(seismometer, 5, since_s=120) + named(seismometer, "HN"))
    assert (code, picks) == (0, expected)
    assert "one is picked at a time: HH 1.5 min, HN 2.5 min" in said


def test_a_dead_station_is_named_and_costs_no_other_one(job):
    dead, other = flat(stream(LENGTH_S)), stream(LENGTH_S, station="DEF")
    code, picks, said = job(dead, other)
    assert (code, picks) == (0, job(other)[1])
    assert "XX.ABC..HH: flat" in said
    code, picks, said = job(dead)
    assert (code, picks) == (1, [])
    assert "nothing to pick" in said


def test_one_dead_component_is_named_and_the_others_are_picked(job):
    traces = stream(LENGTH_S)
    code, picks, said = job(flat(traces.select(component="E")) + traces.select(component="[NZ]"))
    assert code == 0
    assert picks
    assert "XX.ABC..HH: component E is flat" in said


def test_long_period_channels_alone_are_nothing_to_pick(job):
    traces = stream(LENGTH_S, "LHE LHN LHZ", rate_hz=1)
    code, picks, said = job(traces)
    assert (code, picks) == (1, [])
    assert "3 below 12.5 Hz (XX.ABC..LHE, XX.ABC..LHN, XX.ABC..LHZ)" in said
    assert "nothing to pick: no channel of components E, N, Z of at least 12.5 Hz" in said
    other = stream(LENGTH_S, "EHE EHN EHZ", station="DEF")
    assert job(traces, other)[:2] == (0, job(other)[1])


@pytest.mark.parametrize(
    ("channel", "rate_hz", "after_s"), [("LOG", 0, 0), ("ACE", 0, 9), ("HNZ", 100, 0), ("HHZ", 0, 99), ("HHZ", 100, 99)]
)
def test_text_is_counted_and_costs_nothing(channel, rate_hz, after_s, job):
    traces = stream(LENGTH_S)
    code, picks, said = job(traces, text(channel, rate_hz, after_s))
    assert (code, picks) == (0, job(traces)[1])
    part = "part of " if channel == "HHZ" else ""
    assert f"1 of text or without a rate ({part}XX.ABC..{channel})" in said


@pytest.mark.parametrize(
    ("seconds", "rates_hz"),
    [(4, [100, 99.99, 100.01]), (4, [100, 99.7, 100.3]), (1, [100, 99, 101]), (4, [100] * 9 + [50])],
)
def test_rates_that_jitter_or_are_wrong_here_and_there_change_no_pick(seconds, rates_hz, job):
    traces = stream(LENGTH_S)
    expected = job(traces)[1]
    code, picks, _ = job(records(traces, seconds, rates_hz))
    assert code == 0
    near = [
        a for a in expected if any(a[:2] == b[:2] and abs(UTCDateTime(a[2]) - UTCDateTime(b[2])) <= 0.03 for b in picks)
    ]
    assert len(near) >= len(expected) - 1
    assert abs(len(picks) - len(expected)) <= 1


def test_a_rate_that_changes_in_one_component_is_resampled_there(job):
    fast, slow = stream(LENGTH_S), stream(LENGTH_S, rate_hz=40)
    code, picks, said = job(
        fast.slice(START, START + 119.995) + slow.slice(START + 120).select(component="Z"),
        fast.slice(START + 120).select(component="[EN]"),
    )
    assert code == 0
    assert picks
    assert "resampled from 40 to 100 Hz" in said


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_samples_that_are_no_numbers_are_a_gap_of_zeros(bad, job):
    traces = stream(LENGTH_S)
    for trace in traces:
        trace.data = trace.data.astype(np.float32)
    zeros = flat(traces, 0, 100, 101)
    code, picks, said = job(flat(traces, bad, 100, 101))
    assert (code, picks) == (0, job(zeros)[1])
    assert "XX.ABC..HHZ: 100 samples are not numbers; zeros in their place" in said


def test_the_same_record_twice_is_one_and_records_that_differ_are_said(job):
    traces = stream(LENGTH_S)
    expected = job(traces)[1]
    late = traces.copy()
    for trace in late:
        trace.stats.starttime += 0.003
    for twin in (traces.copy(), late, traces.slice(START + 60, START + 120)):
        code, picks, said = job(traces, twin)
        assert (code, len(picks)) == (0, len(expected))
        assert "differ" not in said
    other = traces.slice(START + 60, START + 69.995).copy()
    for trace in other:
        trace.data = trace.data + 1000
    code, _, said = job(traces, other)
    assert code == 0
    assert "XX.ABC..HHZ: where records of the same time differ, the later one is picked, 10.0 s in all" in said


def test_channels_and_letters_are_for_the_user_to_say(job):
    traces = stream(LENGTH_S)
    expected = job(traces)[1]
    both = stream(LENGTH_S, seed=3) + named(traces, "HN")
    code, picks, said = job(both, choice=wanted(["HN?"]))
    assert (code, picks) == (0, expected)
    assert "left out: 3 outside of --channels (XX.ABC..HHE, XX.ABC..HHN, XX.ABC..HHZ)" in said
    code, picks, said = job(both, choice=wanted(["HN?", "BH?"]))
    assert (code, picks) == (1, expected)
    assert "--channels BH?: there is no such channel" in said
    for trace, letter in zip(traces, "210", strict=True):
        trace.stats.channel = f"HH{letter}"
    code, picks, said = job(traces)
    assert picks != expected
    assert "1 of no component E, N, Z (XX.ABC..HH0)" in said
    assert job(traces, choice=wanted(None, "0=Z"))[:2] == (0, expected)


def test_an_own_letter_stands_before_one_that_stands_for_it(job):
    traces = stream(LENGTH_S)
    stand_in = stream(LENGTH_S, "HH1", seed=5)
    code, picks, said = job(stand_in, traces)
    assert (code, picks) == (0, job(traces)[1])
    assert "XX.ABC..HH1 and XX.ABC..HHN are one component at one time: XX.ABC..HHN is picked, 240.0 s in all" in said


def test_what_cannot_be_decoded_is_named_and_the_others_are_picked(network, tmp_path, capsys):
    traces = stream(LENGTH_S)
    file = write(traces, tmp_path / "a.mseed")
    data = np.frombuffer(bytearray(file.read_bytes()), np.uint8).reshape(-1, 4096)
    data[data[:, 17] == ord("E"), 52] = 77  # an encoding that there is not
    file.write_bytes(data.tobytes())
    assert run(network, [file]) == 1
    out, err = capsys.readouterr()
    assert "HHE" in err
    assert "Traceback" not in err
    assert len(out.splitlines()) - 1 == len(
        picks_in(network, write(traces.select(component="[NZ]"), tmp_path / "b.mseed"))
    )


def test_a_model_that_fails_costs_the_part_that_it_fails_on(network, tmp_path, capsys, monkeypatch):
    write(stream(LENGTH_S), tmp_path / "a.mseed")
    good = write(stream(LENGTH_S, station="DEF"), tmp_path / "b.mseed")
    expected = picks_in(network, good)
    calls: list[int] = []

    def probabilities(raw_BXT: np.ndarray) -> np.ndarray:
        calls.append(len(raw_BXT))
        if len(calls) == 1:
            raise RuntimeError("no memory for this")
        return network.probabilities(raw_BXT)

    assert run(replace(network, probabilities=probabilities), [tmp_path]) == 1
    out, err = capsys.readouterr()
    assert "XX.ABC..HH: cannot be picked since 2024-02-29T23:50:00.000000Z (no memory for this)" in err
    assert len(out.splitlines()) == 1 + len(expected)


@pytest.mark.parametrize("letters", ["", "Z"])
def test_short_channel_codes_are_no_trouble(letters, network, tmp_path, capsys):
    (trace,) = stream(LENGTH_S, "HHZ")
    trace.stats.channel = letters
    trace.write(str(tmp_path / "a.sac"), format="SAC")
    assert run(network, [tmp_path / "a.sac"]) == (0 if letters else 1)
    assert "Traceback" not in capsys.readouterr().err


def test_a_name_with_brackets_is_no_pattern(network, tmp_path: Path):
    (trace,) = stream(LENGTH_S, "HHZ")
    trace.write(str(tmp_path / "a[1].sac"), format="SAC")
    assert run(network, [tmp_path / "a[1].sac"]) == 0
