"""A card says of a score what tables and reports say of the same counts."""

from __future__ import annotations

import numpy as np
import pytest

from trainables import metrics
from trainables.evaluation.card_scores import classification_scores, picking_scores
from trainables.evaluation.counts import EventCounts
from trainables.evaluation.event_scores import class_counts, classification_intervals, picking_intervals
from trainables.evaluation.picks import FIELDS

EVENT_N = np.array([f"event {number % 13}" for number in range(60)])
AT = {"P": 0.3, "S": 0.2}


def windows(phases: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    counts_NPF = np.zeros((len(EVENT_N), 2, len(FIELDS)))
    counts_NPF[:, :phases, :3] = rng.integers(0, 3, (len(EVENT_N), phases, 3))
    counts_NPF[:, :phases, FIELDS.index("duration_s")] = 30
    return counts_NPF


@pytest.mark.parametrize("phases", [["P", "S"], ["P"]])
def test_f1_of_a_picker_has_the_interval_that_tables_have(phases):
    counts_NPF = windows(len(phases))
    found = picking_scores(counts_NPF, EVENT_N, AT, "dev")
    counts = EventCounts.of_events(EVENT_N, counts_NPF[:, : len(phases), :3], phases)
    elsewhere = picking_intervals(counts, "dev")
    names = ["f1", *(f"{phase.lower()}_f1" for phase in phases)]
    assert {name for name in found if name.endswith("f1")} == set(names)
    for name in names:
        assert found[name][1:] == tuple(elsewhere[end] for end in metrics.interval(f"dev/{name}"))
    assert found["f1"].value == pytest.approx(counts.f1())
    assert found["p_precision"].low < found["p_precision"].value < found["p_precision"].high
    assert "p_threshold" not in found


def test_accuracy_of_a_classifier_has_the_interval_that_tables_have():
    rng = np.random.default_rng(1)
    label_N, predicted_N = rng.integers(0, 3, (2, len(EVENT_N)))
    confusion_NCK = np.zeros((len(EVENT_N), 3, 3))
    confusion_NCK[np.arange(len(EVENT_N)), label_N, predicted_N] = 1
    found = classification_scores(confusion_NCK, EVENT_N, "dev")
    elsewhere = classification_intervals(class_counts(label_N, predicted_N, EVENT_N, 3), "dev")
    for name in ("macro_f1", "accuracy"):
        assert found[name][1:] == tuple(elsewhere[end] for end in metrics.interval(f"dev/{name}"))
    assert found["accuracy"].value == pytest.approx((label_N == predicted_N).mean())
