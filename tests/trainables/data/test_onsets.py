"""Arrivals of two records in one window: labels, and detections that pair each event's own P and S."""

# C class (P, S, noise), T time sample

from __future__ import annotations

import numpy as np
from seisbench.generate import ProbabilisticLabeller

from trainables.data.batches import soft_labels
from trainables.data.detection import detection_labels
from trainables.data.onsets import Onsets, together

SAMPLES = 3001


def event(p: float, s: float) -> Onsets:
    none_K = np.zeros(2, dtype=np.int64)
    return Onsets(none_K, none_K, np.array([0, 1]), np.array([p, s]), np.ones(2, dtype=bool))


def test_labels_of_two_events_are_those_of_seisbenchs_labeller():
    arrivals = {"P": (800.0, 850.0), "S": (990.0, 870.0)}
    both = together(*(event(p, s) for p, s in zip(*arrivals.values(), strict=True)))
    columns = {f"trace_{name}{n}_arrival_sample": name for name in arrivals for n in range(2)}
    metadata = {column: arrivals[name][int(column[7])] for column, name in columns.items()}
    state = {"X": (np.zeros((3, SAMPLES)), metadata)}
    ProbabilisticLabeller(label_columns=columns, model_labels="PSN", sigma=30, dim=0)(state)
    np.testing.assert_allclose(soft_labels(both, 1, SAMPLES, 30.0, "cpu")[0], state["y"][0], atol=1e-5)


def test_a_detection_is_of_the_s_of_its_own_event():
    first, second = event(500, 1000), event(700, 750)
    detected_T = detection_labels(together(first, second), 1, SAMPLES, "cpu")[0].numpy()
    assert np.flatnonzero(detected_T).tolist() == list(range(500, 1000 + 700))


def test_an_arrival_that_nobody_hears_has_no_label_and_its_earthquake_goes_on():
    onsets = event(500, 1000)._replace(is_heard_K=np.array([False, True]))
    labels_CT = soft_labels(onsets, 1, SAMPLES, 30.0, "cpu")[0].numpy()
    assert labels_CT[0].max() == 0
    assert labels_CT[1].argmax() == 1000
    assert detection_labels(onsets, 1, SAMPLES, "cpu")[0].sum() == 1200


def test_the_first_arrival_inside_is_found():
    assert event(-20, 40).first_inside(2, SAMPLES).tolist() == [40, np.inf]
    assert event(-20, 3001).first_inside(1, SAMPLES).tolist() == [np.inf]
