from __future__ import annotations

import numpy as np
import pytest

from trainables.evaluation.calibration import LEAST_PEAKS, Calibration, Peaks, find_peaks_of, fit
from trainables.evaluation.picks import PickConfig


def peaks_of(row: int, scale: float, shift: float, number: int = 4000, seed: int = 0) -> Peaks:
    """Peaks of class `row` whose logits against noise have to become `scale` times themselves plus `shift`."""
    rng = np.random.default_rng(seed)
    right_N = rng.normal(0, 2, number)
    logits_NC = np.full((number, 3), -30.0)
    logits_NC[:, 2] = rng.normal(0, 1, number)  # where the noise's own logit lies is of no matter
    logits_NC[:, row] = logits_NC[:, 2] + (right_N - shift) / scale
    return Peaks(logits_NC, rng.random(number) < 1 / (1 + np.exp(-right_N)))


def test_the_map_is_found_that_the_peaks_were_made_with():
    found = fit({"P": peaks_of(0, 0.8, -1.0), "S": peaks_of(1, 2.5, 3.0, seed=1)})
    assert found.scale == pytest.approx({"P": 0.8, "S": 2.5}, rel=0.15)
    assert found.shift == pytest.approx({"P": -1.0, "S": 3.0}, abs=0.2)


def test_noise_keeps_its_logit_and_the_others_move_against_it():
    calibration = Calibration({"P": 2.0, "S": 0.5}, {"P": 1.0, "S": -1.0})
    np.testing.assert_allclose(calibration(np.array([[3.0, 5.0, 1.0]])), [[1 + 2 * 2 + 1, 1 + 0.5 * 4 - 1, 1.0]])


def test_a_phase_with_too_few_peaks_is_left_as_it_is():
    few = Peaks(np.zeros((LEAST_PEAKS, 3)), np.ones(LEAST_PEAKS, dtype=bool))  # not one of them is false
    found = fit({"P": few, "S": peaks_of(1, 2.0, 1.0)})
    assert (found.scale["P"], found.shift["P"]) == (1.0, 0.0)
    assert found.scale["S"] == pytest.approx(2.0, rel=0.15)
    nothing = fit({"P": few, "S": few})
    np.testing.assert_array_equal(nothing(few.logits_NC), few.logits_NC)


def test_a_height_that_parts_all_peaks_does_not_make_a_map_without_end():
    logits_NC = np.zeros((100, 3))
    logits_NC[:, 0] = -30
    logits_NC[:50, 1] = 1.0
    apart = Peaks(logits_NC, np.arange(100) < 50)
    found = fit({"P": Peaks(np.empty((0, 3)), np.empty(0, dtype=bool)), "S": apart})
    assert 1 < found.scale["S"] < 20


def test_low_peaks_are_asked_only_where_the_high_ones_are_not_enough():
    logits_NC = np.full((90, 3), -30.0)
    logits_NC[:, 2] = 0
    logits_NC[:30, 1] = -2.0  # arrivals, and all that is above 0.01
    logits_NC[30:60, 1] = -5.0
    logits_NC[60:, 1] = -6.5
    peaks = Peaks(logits_NC, np.arange(90) < 30)
    assert len(peaks.enough("S").is_true_N) == 60
    logits_NC[30:60, 1] = -3.0
    assert len(peaks.enough("S").is_true_N) == 60
    assert len(Peaks(logits_NC, np.zeros(90, dtype=bool)).enough("S").is_true_N) == 90


def test_peaks_are_of_windows_in_which_a_phase_was_looked_for():
    probabilities_BCT = np.zeros((2, 3, 3001), dtype=np.float32)
    probabilities_BCT[:, 1, 700] = 0.2
    probabilities_BCT[:, 1, 2000] = 0.002
    logits_BCT = np.broadcast_to(np.arange(3001, dtype=np.float32), (2, 3, 3001))
    arrivals = [{"P": np.empty(0), "S": np.array([720.0])}, {"P": np.empty(0), "S": None}]
    found = find_peaks_of(logits_BCT, probabilities_BCT, arrivals, PickConfig())
    assert found["S"].logits_NC[:, 1].tolist() == [700, 2000]
    assert found["S"].is_true_N.tolist() == [True, False]
    assert len(found["P"].is_true_N) == 0
