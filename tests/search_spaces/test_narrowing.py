"""What a user fixes, lists or bounds is what the sampler sees; the rest of the space stays as it was."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.narrowing import default_point, dimensions, enumerate_space, narrowed_space, searched_keys
from search_spaces.sweep import Sweep

HERE = __name__


def small_space(trial):
    """A float, an integer with its own branch, and two choices."""
    if trial.suggest_float("alpha", 0.0, 1.0) > 0:
        trial.suggest_float("temperature", 1.0, 5.0)
    trial.suggest_float("rate", 1e-4, 1e-2, log=True)
    trial.suggest_int("patience", 5, 10)
    trial.suggest_categorical("channels", [4, 8, 16])


def listed_space(trial):
    if trial.suggest_categorical("schedule", ["full", "progressive"]) == "progressive":
        trial.suggest_int("unfreeze_at_epoch", 1, 3)
    trial.suggest_categorical("fraction", [0.1, 1.0])


@pytest.fixture
def sweep(monkeypatch):
    """Builds a sweep over one of this file's spaces, wherever pytest imported it from."""
    import sys

    monkeypatch.setitem(sys.modules, "narrowing_spaces", sys.modules[HERE])

    def build(space="small_space", **fields):
        return Sweep(**{"name": "mine", "trainable": "t", "space": f"narrowing_spaces:{space}", **fields})

    return build


def suggest(sweep, fixed=None):
    trial = optuna.trial.FixedTrial(fixed or {})
    narrowed_space(sweep)(trial)
    return trial


def distributions(sweep, number=1):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(number)]
    for trial in trials:
        narrowed_space(sweep)(trial)
    return trials


def test_what_a_search_may_take_in_words(sweep):
    assert dimensions(sweep(vary={"channels": [4, 8, 16], "seedling": [True, None]})) == {
        "alpha": "0 .. 1",
        "temperature": "1 .. 5, where it acts",
        "rate": "0.0001 .. 0.01 (log)",
        "patience": "5 .. 10",
        "channels": "4, 8 or 16",
        "seedling": "True or None",
    }
    points = [{"alpha": 0.1, "rate": 1}, {"alpha": 0.2, "rate": 1}]
    points = Sweep(name="mine", trainable="t", sampler="grid", points=points)
    assert dimensions(points) == {"alpha": "0.1 or 0.2", "rate": "1"}


def test_a_fixed_key_is_not_searched_and_decides_its_branch(sweep):
    assert "temperature" not in searched_keys(sweep(base={"alpha": 0}))
    assert "temperature" in searched_keys(sweep(base={"alpha": 0.5}))
    assert "alpha" not in searched_keys(sweep(base={"alpha": 0.5}))


@given(
    low=st.floats(0.01, 0.4),
    width=st.floats(0.01, 0.5),
    channels=st.lists(st.sampled_from([2, 4, 8, 32]), min_size=1, max_size=3, unique=True),
)
def test_suggestions_stay_inside_what_the_user_gave(low, width, channels):
    import sys

    sys.modules["narrowing_spaces"] = sys.modules[HERE]
    narrowed = Sweep(
        name="mine",
        trainable="t",
        space="narrowing_spaces:small_space",
        vary={
            "alpha": {"low": low, "high": low + width},
            "channels": channels,
            "patience": {"low": 6, "high": 7},
        },
    )
    for trial in distributions(narrowed, number=5):
        assert low <= trial.params["alpha"] <= low + width
        assert trial.params["channels"] in channels
        assert trial.params["patience"] in (6, 7)
        assert 1e-4 <= trial.params["rate"] <= 1e-2


def test_a_list_in_the_place_of_a_range_is_categorical(sweep):
    (trial,) = distributions(sweep(vary={"alpha": [0.0, 0.5], "patience": [5, 9]}))
    assert trial.distributions["alpha"] == optuna.distributions.CategoricalDistribution([0.0, 0.5])
    assert trial.distributions["patience"] == optuna.distributions.CategoricalDistribution([5, 9])


def test_a_range_keeps_the_scale_of_the_space(sweep):
    (trial,) = distributions(sweep(vary={"rate": {"low": 1e-3, "high": 3e-3}}))
    assert trial.distributions["rate"] == optuna.distributions.FloatDistribution(1e-3, 3e-3, log=True)


def test_a_range_over_choices_keeps_those_inside(sweep):
    (trial,) = distributions(sweep(vary={"channels": {"low": 5, "high": 16}}))
    assert trial.distributions["channels"] == optuna.distributions.CategoricalDistribution([8, 16])


def test_keys_that_the_space_does_not_name_become_dimensions(sweep):
    narrowed = sweep(vary={"sigma": {"low": 10, "high": 30}, "noise": {"low": 0.0, "high": 1.0}, "norm": ["a", "b"]})
    (trial,) = distributions(narrowed)
    assert isinstance(trial.distributions["sigma"], optuna.distributions.IntDistribution)
    assert isinstance(trial.distributions["noise"], optuna.distributions.FloatDistribution)
    assert trial.params["norm"] in ("a", "b")


def test_a_narrowed_key_behind_an_if_stays_behind_it(sweep):
    narrowed = sweep(base={"alpha": 0}, vary={"temperature": [2, 3]})
    assert "temperature" not in searched_keys(narrowed)


@pytest.mark.parametrize(
    ("vary", "complaint"),
    [
        ({"channels": {"low": 5, "high": 7}}, r"channels=5..7 leaves nothing of its choices 4, 8, 16"),
        ({"patience": {"low": 5.5, "high": 7}}, "patience is a whole number"),
        ({"rate": {"low": 0, "high": 1}}, "logarithmic"),
    ],
)
def test_a_narrowing_that_cannot_be_is_refused(sweep, vary, complaint):
    with pytest.raises(ValueError, match=complaint):
        searched_keys(sweep(vary=vary))


def test_a_space_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="space no_such_module:space cannot be loaded"):
        searched_keys(Sweep(name="mine", trainable="t", space="no_such_module:space"))


def test_defaults_come_first_as_far_as_the_user_allows(sweep):
    defaults = {"alpha": 0.5, "temperature": 3.0, "rate": 1e-3, "patience": 7, "channels": 16, "epochs": 50}
    everything = {"alpha": 0.5, "temperature": 3.0, "rate": 1e-3, "patience": 7, "channels": 16}
    assert default_point(sweep(), defaults) == everything
    narrowed = sweep(base={"patience": 7}, vary={"alpha": [0.1, 0.2], "channels": [16, 32]})
    assert default_point(narrowed, defaults) == {"temperature": 3.0, "rate": 1e-3, "channels": 16}


def test_enumeration_follows_the_branches(sweep):
    points = enumerate_space(sweep("listed_space", sampler="grid"))
    assert points[:2] == [{"schedule": "full", "fraction": 0.1}, {"schedule": "full", "fraction": 1.0}]
    assert len(points) == 2 + 3 * 2
    assert len({tuple(sorted(point.items())) for point in points}) == len(points)


def test_enumeration_wants_lists(sweep):
    with pytest.raises(ValueError, match=r"a grid needs lists: alpha is the range 0..1"):
        enumerate_space(sweep(sampler="grid"))


def test_a_narrowed_space_of_ranges_can_be_enumerated(sweep):
    lists = {"alpha": [0.0, 0.5], "temperature": [1, 4], "rate": [1e-3], "patience": [5], "channels": [4, 8]}
    points = enumerate_space(sweep(sampler="grid", vary=lists))
    assert len(points) == (1 + 2) * 2
    assert all(("temperature" in point) == (point["alpha"] > 0) for point in points)


def test_nothing_varies_without_a_space():
    assert enumerate_space(Sweep(name="mine", trainable="t")) == [{}]
    assert searched_keys(Sweep(name="mine", trainable="t")) == []


def test_listed_points_are_the_whole_space():
    points = [{"alpha": 0, "rate": 0.1}, {"rate": 0.2, "alpha": 0.5, "temperature": 3}]
    listed = Sweep(name="mine", trainable="t", points=points, sampler="grid")
    assert enumerate_space(listed) == points
    assert searched_keys(listed) == ["alpha", "rate", "temperature"]
    assert default_point(listed, {"alpha": 0.5}) == {}
