"""The mean of several models' curves, whatever their windows and orders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lifelike import picks_in, stream, write
from obspy import UTCDateTime

from trainables.edge.chosen import Chosen
from trainables.edge.files import index
from trainables.edge.mean import mean_of
from trainables.edge.network import Network, with_options
from trainables.edge.picking import annotate, annotate_mean
from trainables.edge.waveforms import recordings


def energy(name: str, components: str, classes: str, window_samples: int, power: float) -> Network:
    """P is the share of the vertical in the motion, to a power, S that of the east component."""

    def probabilities(raw_BXT: np.ndarray) -> np.ndarray:
        share_BXT = np.abs(raw_BXT) / (np.abs(raw_BXT).sum(axis=1, keepdims=True) + 1)
        vertical_BT, east_BT = (share_BXT[:, components.index(letter)] ** power for letter in "ZE")
        curves = {"P": vertical_BT, "S": east_BT, "N": 1 - vertical_BT}
        return np.stack([curves[letter] for letter in classes], axis=1).astype(np.float32)

    thresholds = {"P": 0.3 * power, "S": 0.5}
    return Network(name, components, classes, 100, window_samples, probabilities, thresholds, overlap=0.5)


ONE, OTHER = energy("one", "ENZ", "PSN", 3001, 1), energy("other", "ZNE", "NPS", 6000, 2)


def curves(network: Network, raw_XT: np.ndarray) -> np.ndarray:
    its = annotate_mean if network.members else annotate
    pieces = list(its(lambda a, b: raw_XT[:, a:b], raw_XT.shape[1], network))
    starts = np.cumsum([0, *[values.shape[1] for _, values in pieces[:-1]]])
    assert [first for first, _ in pieces] == starts.tolist()
    return np.concatenate([values for _, values in pieces], axis=1)


def test_windows_and_orders_may_differ():
    raw_XT = np.stack([trace.data for trace in stream(1234)]).astype(np.float32)
    one_CT, other_CT = curves(ONE, raw_XT), curves(OTHER, raw_XT[::-1])
    mean = mean_of([ONE, OTHER])
    assert (mean.classes, mean.components, mean.window_samples) == ("PS", "ENZ", 6000)
    assert mean.thresholds == pytest.approx({"P": 0.45, "S": 0.5})
    expected_CT = np.mean([one_CT[[0, 1]], other_CT[[1, 2]]], axis=0)
    np.testing.assert_array_equal(curves(mean, raw_XT), expected_CT)


def test_a_model_and_itself_pick_as_it_does_alone(network, tmp_path):
    file = write(stream(300), tmp_path / "a.mseed")
    assert picks_in(mean_of([network, network]), file) == picks_in(network, file) != []


def test_where_one_says_nothing_the_mean_says_nothing():
    raw_XT = np.stack([trace.data for trace in stream(100)]).astype(np.float32)
    mean = with_options(mean_of([ONE, OTHER]), blinding=(200, 100))
    told_CT = np.isfinite(curves(mean, raw_XT))
    assert (told_CT == np.isfinite(curves(with_options(OTHER, blinding=(200, 100)), raw_XT[::-1]))[1:]).all()
    assert not told_CT[:, :200].any()
    assert list(annotate_mean(lambda a, b: raw_XT[:, a:b], 5999, mean_of([ONE, OTHER]))) == []


def test_options_are_those_of_every_member():
    mean = with_options(mean_of([ONE, OTHER]), p_threshold=0.7, overlap=1000, stacking="max")
    assert mean.thresholds["P"] == 0.7
    assert {(one.overlap, one.stacking) for one in mean.members} == {(1000, "max")}
    with pytest.raises(ValueError, match="overlap 4000 is not allowed: 0 to 3000 samples"):
        with_options(mean_of([ONE, OTHER]), overlap=4000)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"rate_hz": 50.0}, "need 100 and 50 Hz"),
        ({"components": "ZNH"}, "need components ENZ and ZNH"),
        ({"classes": "PNX"}, "pick P and S and P and X"),
    ],
)
def test_models_that_do_not_go_together_are_refused(change, part):
    with pytest.raises(ValueError, match="no mean of one and other: they") as raised:
        mean_of([ONE, replace(OTHER, **change)])
    assert part in str(raised.value)


def test_a_range_of_time_is_picked_as_seisbench_picks_the_trimmed_stream(lively, network, tmp_path):
    traces = stream(600)
    start, end = traces[0].stats.starttime + 123.456, traces[0].stats.starttime + 432.1
    (recording,) = recordings(index(write(traces, tmp_path / "a.mseed")), network, print, print)
    recording.chosen = Chosen(start, end)
    ((begin, num_samples),) = recording.segments()
    trimmed = traces.slice(start, end - 0.01)
    assert (begin, num_samples) == (trimmed[0].stats.starttime, trimmed[0].stats.npts)
    expected = np.stack([trace.data for trace in trimmed])
    np.testing.assert_array_equal(recording.read(begin, 0, num_samples), expected)
    assert isinstance(begin, UTCDateTime)
