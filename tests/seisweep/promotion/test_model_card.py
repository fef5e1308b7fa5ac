"""The card says what its scores were held against."""

from __future__ import annotations

from typing import Any

import pytest
from seisweep.promotion import model_card

from trainables.evaluation.intervals import Interval
from trainables.promotion.candidate import Measured


def card(**changes: Any) -> dict[str, Any]:
    measured = Measured({"int8": {"f1": Interval(0.8, 0.7, 0.9)}}, windows=40, events=7)
    given: dict[str, Any] = {"name": "adaptation-1", "kind": "picker", "trial": {}, "settings": {}, "facts": {}}
    given |= {
        "origins": [],
        "measured": {"dev": measured, "test": measured},
        "opening": 1,
        "earlier": [],
        "gate": "",
        "limits": [],
    }
    return model_card.build(**given | changes)


@pytest.mark.parametrize("is_agreement", [False, True])
def test_agreement_with_a_teacher_is_not_called_truth(is_agreement):
    made = card(is_agreement=is_agreement)
    text = model_card.markdown(made, ["f1"])
    assert "0.800 (0.700 to 0.900)" in text
    assert ("agreement with the teacher, which is not truth" in text) is is_agreement
    units = "blocks of ten minutes at a station" if is_agreement else "events"
    assert f"40 windows of 7 {units}" in text
    assert made["intervals"].startswith(f"95 %, bootstrap over {units}")
