"""Who changes a default that is prescribed is asked why, once, in one line; nobody else is."""

from __future__ import annotations

import pytest
from seisweep.requested.prescribed import question
from seisweep.settings.overrides import parse_overrides

from search_spaces.named import named_sweep
from search_spaces.sweep import single_run
from trainables.distillation import PRESCRIBED, DistillationConfig

TRAIN = single_run("distillation", {})


def asked(*words: str, sweep=TRAIN) -> str:
    return question(sweep, parse_overrides(["data.dataset=ETHZ", *words]))


def test_the_prescribed_settings_have_the_values_of_the_document():
    config = DistillationConfig.model_validate({"data": {"dataset": "ETHZ"}})
    values = [getattr(getattr(config, key.partition(".")[0]), key.partition(".")[2]) for key in PRESCRIBED]
    assert dict(zip(PRESCRIBED, values, strict=True)) == {
        "loss.alpha": 0.5,
        "loss.temperature": 3.0,
        "training.lr_factor": 0.5,
        "training.lr_patience": 3,
    }


@pytest.mark.parametrize("words", [[], ["loss.alpha=0.5", "loss.temperature=3"], ["student.base_channels=8"]])
def test_nothing_is_asked_where_none_is_changed(words):
    assert asked(*words) == ""


def test_all_that_are_changed_are_one_question():
    words = asked("loss.alpha=0.3", "training.lr_patience=5")
    assert words.startswith("prescribed: loss.alpha (0.5) is 0.3 here, training.lr_patience (3) is 5 here. Why?")
    assert "\n" not in words


def test_a_range_of_what_a_sweep_searches_anyway_is_no_change():
    sweep = named_sweep("distillation")
    assert asked("loss.alpha=0.3..0.7", sweep=sweep) == ""
    assert "loss.alpha (0.5) is 0.3 here" in asked("loss.alpha=0.3", sweep=sweep)
    assert "training.lr_factor (0.5) is varied here" in asked("training.lr_factor=0.3,0.5", sweep=sweep)


def test_a_trainable_that_prescribes_nothing_asks_nothing():
    assert asked("training.lr_factor=0.1", sweep=single_run("picking", {})) == ""
    assert question(single_run("toy_trainable:plain", {}), parse_overrides(["x=1"])) == ""
