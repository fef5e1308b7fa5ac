"""Curves and picks against SeisBench, piece by piece."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
from lifelike import START, picks_in, stream, write
from seisbench.models import WaveformModel

from trainables.edge.network import Network, with_options
from trainables.edge.picking import Peaks, Pick, annotate


def seisbench_picks(model: WaveformModel, traces: obspy.Stream, network: Network, **settings):
    thresholds = {f"{phase}_threshold": network.threshold(phase) for phase in network.phases}
    return model.classify(traces, **thresholds, **settings).picks


def assert_same(mine: list[Pick], theirs, tolerance_s: float = 0.0001) -> None:
    assert len(mine) == len(theirs)
    expected = sorted((p.trace_id, p.phase, p.peak_time, p.peak_value, p.start_time, p.end_time) for p in theirs)
    found = sorted((p.trace_id, p.phase, p.time, p.probability, p.start_time, p.end_time) for p in mine)
    for a, b in zip(found, expected, strict=True):
        assert a[:2] == b[:2]
        assert abs(a[2] - b[2]) <= tolerance_s
        assert a[3] == pytest.approx(b[3], abs=1e-4)
        assert max(abs(a[4] - b[4]), abs(a[5] - b[5])) <= tolerance_s


@pytest.mark.parametrize("num_samples", [3000, 3001, 3002, 4502, 30_000, 41_234])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"overlap": 0},
        {"overlap": 0.9, "stacking": "max"},
        {"overlap": 2000, "blinding": (250, 100)},
        {"overlap": 100, "blinding": (250, 100), "stacking": "max"},
    ],
)
def test_curves_are_stacked_as_seisbench_stacks_them(num_samples, settings, lively, network):
    traces = stream(num_samples / 100)
    raw_XT = np.stack([trace.data for trace in traces]).astype(np.float32)
    chosen = with_options(network, **settings)
    pieces = list(annotate(lambda a, b: raw_XT[:, a:b], num_samples, chosen))
    expected = lively.annotate(traces, **settings)
    assert len(expected) == (3 if pieces else 0)
    if not pieces:
        return
    assert [first for first, _ in pieces] == list(np.cumsum([0, *[c.shape[1] for _, c in pieces[:-1]]]))
    curves_CT = np.concatenate([curves for _, curves in pieces], axis=1)
    assert curves_CT.shape == (3, num_samples)
    for label, curve_T in zip("PSN", curves_CT, strict=True):
        (trace,) = expected.select(channel=f"*_{label}")
        first = round((trace.stats.starttime - START) * 100)
        told_T = curve_T[first : first + trace.stats.npts]
        np.testing.assert_allclose(told_T, trace.data, atol=1e-5)
        assert np.isnan(np.delete(curve_T, np.s_[first : first + trace.stats.npts])).all()


def test_peaks_do_not_depend_on_the_pieces_in_which_a_curve_comes():
    rng = np.random.default_rng(1)
    curve_T = np.convolve(rng.random(3000), np.ones(9) / 9, "same").astype(np.float32)
    curve_T[:40] = curve_T[-30:] = 0.9
    curve_T[1000:1010] = np.nan
    trace = obspy.Trace(curve_T, {"sampling_rate": 1.0})
    for threshold in (0.55, 0.7, 0.9):
        expected = [
            (*(round(time.timestamp) for time in (p.peak_time, p.start_time, p.end_time)), p.peak_value)
            for p in WaveformModel.picks_from_annotations([trace], threshold, "P")
        ]
        assert expected
        for size in (1, 7, 100, 3000):
            peaks = Peaks(threshold)
            found = [p for first in range(0, 3000, size) for p in peaks.feed(first, curve_T[first : first + size])]
            found += peaks.close()
            assert [(p.sample, p.start, p.end, p.probability) for p in found] == expected


def test_real_records_give_the_picks_of_seisbench(lively, network, shared_data):
    file = shared_data / "real_data/continuous/PB_B916_ridgecrest_20min.mseed"
    theirs = seisbench_picks(lively, obspy.read(str(file)), network)
    assert len(theirs) > 20
    assert_same(picks_in(network, file), theirs)


def test_gaps_and_missing_components_give_the_picks_of_seisbench(lively, network, tmp_path):
    traces = stream(600)
    traces = traces.slice(START, START + 150) + traces.slice(START + 200, START + 400) + traces.slice(START + 410.5)
    for trace in traces.select(component="N")[1:2]:
        trace.trim(START + 250, START + 300)
    other = stream(120, "BH1 BHZ", "DEF", seed=3)
    traces += other
    said: list[str] = []
    found = picks_in(network, write(traces, tmp_path / "all.mseed"), said=said)
    assert said == ["XX.DEF..BH: no component E; zeros in its place"]
    assert {p.station for p in found} == {"ABC", "DEF"}
    assert_same(found, seisbench_picks(lively, traces, network), tolerance_s=0.011)


@pytest.mark.parametrize("rate_hz", [20, 50, 40.96, 200])
def test_other_rates_are_resampled_in_pieces_as_seisbench_does_it_at_once(rate_hz, lively, network, tmp_path):
    traces = stream(900, rate_hz=rate_hz)
    said: list[str] = []
    found = picks_in(network, write(traces, tmp_path / "a.mseed"), said=said)
    theirs = seisbench_picks(lively, traces, network)
    assert said == [f"XX.ABC..HH: resampled from {rate_hz:g} to 100 Hz"]
    assert len(theirs) > 10
    near = sum(any(p.phase == q.phase and abs(p.time - q.peak_time) < 0.03 for q in theirs) for p in found)
    assert near >= 0.95 * max(len(found), len(theirs))
