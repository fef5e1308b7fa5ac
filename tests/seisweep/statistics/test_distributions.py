"""From what settings were drawn: kept in the order of the trials, and worked out where nothing was kept."""

from __future__ import annotations

import json

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from seisweep.statistics.distributions import Distributions, of_values, value_of

kinds = st.sampled_from(
    [
        FloatDistribution(1e-4, 1e-2, log=True),
        FloatDistribution(0, 1),
        IntDistribution(1, 9, step=2),
        CategoricalDistribution(["a", None, True, 3, 0.5]),
    ]
)
trials = st.lists(st.dictionaries(st.sampled_from(["rate", "depth", "norm"]), kinds), max_size=8)


@given(trials)
def test_every_trial_gets_back_what_it_drew_from(drawn):
    kept = Distributions.of(enumerate(drawn))
    again = Distributions.from_data(json.loads(json.dumps(kept.as_data())))
    for number, one in enumerate(drawn):
        assert kept.drawn(number, one) == again.drawn(number, one) == one
    assert kept.drawn(0, ["no such setting"]) is None
    assert again.as_data() == kept.as_data()


def test_what_says_nothing_new_is_not_kept_again():
    kept, one = Distributions(), FloatDistribution(0, 1)
    assert kept.add(0, {"x": one})
    assert not kept.add(1, {"x": one})
    assert kept.add(2, {"x": FloatDistribution(0, 2)}), "a range that hangs on what was drawn before"
    assert [entry["from_trial"] for entry in kept.as_data()["x"]] == [0, 2]


@pytest.mark.parametrize("data", [{"x": [{}]}, {"x": [{"from_trial": 0, "distribution": {"name": "Other"}}]}, {"x": 3}])
def test_a_file_that_holds_something_else_is_refused(data):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Distributions.from_data(data)


def test_a_text_of_the_store_becomes_the_value_that_was_drawn():
    lists = CategoricalDistribution([["stead"], ["stead", "original"]])
    assert value_of("['stead', 'original']", lists) == ["stead", "original"]
    assert value_of("None", CategoricalDistribution([None, "None-such"])) is None
    assert value_of("1e-3", FloatDistribution(0, 1)) == 0.001
    assert value_of("8", IntDistribution(4, 16)) == 8
    with pytest.raises(ValueError, match="other is none of"):
        value_of("other", CategoricalDistribution(["a"]))


def test_without_a_record_the_values_span_the_ranges():
    (one, two) = of_values([{"x": 1, "rate": 0.5, "norm": "a"}, {"x": 3, "rate": 2, "norm": None}])
    assert one == two
    assert one["x"] == IntDistribution(1, 3)
    assert one["rate"] == FloatDistribution(0.5, 2)
    assert one["norm"] == CategoricalDistribution(["a", None])
    optuna.trial.create_trial(params={"x": 1, "rate": 0.5, "norm": "a"}, distributions=one, value=0)
