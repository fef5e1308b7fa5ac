"""A sweep is plain data: it survives JSON, and refuses what contradicts itself."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from search_spaces.sweep import Choice, Range, Sweep, single_run


def test_round_trip_through_json():
    sweep = Sweep(
        name="mine",
        trainable="my_module:train",
        base={"data.dataset": "ETHZ", "training.epochs": 3},
        space="my_module:space",
        vary={"student.pooling": [2, 4], "loss.alpha": {"low": 0.1, "high": 0.4}},
        objectives={"dev/f1": "max", "int8/bytes": "min"},
    )
    assert Sweep.model_validate(json.loads(sweep.model_dump_json())) == sweep
    assert sweep.vary == {"student.pooling": Choice(values=[2, 4]), "loss.alpha": Range(low=0.1, high=0.4)}


def test_the_order_of_objectives_survives():
    objectives = {"int8/bytes": "min", "dev/f1": "max", "a": "max"}
    sweep = Sweep(name="mine", trainable="t", objectives=objectives)
    again = Sweep.model_validate_json(sweep.model_dump_json())
    assert list(again.objectives) == list(objectives)
    assert again.first_objective == ("int8/bytes", "min")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"base": {"a": 1}, "vary": {"a": [1, 2]}}, "a is both fixed and varied"),
        ({"seeds": [0, 1]}, "2 seeds need the sampler grid"),
        ({"seeds": [1, 1], "sampler": "grid"}, "a seed is given twice"),
        ({"samples": None}, "would never end"),
        ({"points": [{"a": 1}]}, "points make a grid of their own"),
        ({"points": [{"a": 1}], "sampler": "grid", "vary": {"b": [1]}}, "points make a grid of their own"),
        ({"points": [{"a": 1}], "sampler": "grid", "base": {"a": 2}}, "a is both fixed and a setting of the points"),
        ({"confirms": {"sweep": "s", "trials": [1], "values": [0.5]}}, "one trial for each point"),
        ({"vary": {"a": {"low": 2, "high": 1}}}, "from a smaller to a larger"),
        ({"vary": {"a": []}}, "at least 1 item"),
        ({"name": "a b"}, "pattern"),
        ({"scheduler": "pbt", "sampler": "grid"}, "a grid keeps them"),
        ({"scheduler": "pbt", "samples": 1}, "samples, at least 2"),
        ({"scheduler": "pbt", "samples": None, "time_budget_s": 9}, "samples, at least 2"),
        ({"samplers": "tpe"}, "Extra inputs"),
    ],
)
def test_contradictions_are_refused(fields, complaint):
    with pytest.raises(ValidationError, match=complaint):
        Sweep(**{"name": "mine", "trainable": "t", **fields})


@pytest.mark.parametrize(
    ("fields", "shares"),
    [
        ({}, True),
        ({"samples": None, "time_budget_s": 9}, True),
        ({"samples": 1}, False),
        ({"sampler": "grid", "vary": {"a": [1, 2]}, "seeds": [0, 1]}, True),
        ({"sampler": "grid", "seeds": [0, 1]}, False),
        ({"sampler": "grid", "points": [{"a": 1}], "seeds": [0, 1]}, False),
        ({"sampler": "grid", "points": [{"a": 1}, {"a": 2}]}, True),
    ],
)
def test_which_sweeps_have_several_trials_of_one_seed(fields, shares):
    assert Sweep(**{"name": "mine", "trainable": "t", **fields}).shares_seeds is shares


def test_a_single_run_is_a_sweep_of_one_trial():
    sweep = single_run("my.module:outer.train", {"seed": 3})
    assert (sweep.name, sweep.samples, sweep.scheduler, sweep.space) == ("outer-train", 1, "none", None)


def test_a_variant_changes_fields_and_is_checked():
    sweep = Sweep(name="mine", trainable="t", vary={"a": [1, 2]})
    assert sweep.changed(samples=3).samples == 3
    assert sweep.changed(vary={"a": {"low": 0, "high": 1}}).vary["a"] == Range(low=0, high=1)
    with pytest.raises(ValidationError, match="a is both fixed and varied"):
        sweep.changed(base={"a": 1})
