"""Perturbed settings: beside the old ones, inside the space, and never the shape of a model."""

from __future__ import annotations

import pytest

from search_spaces.distillation import distillation
from search_spaces.perturbation import perturb, perturbed_keys
from search_spaces.sweep import Sweep

PARAMS = {
    "loss.alpha": 0.5,
    "loss.temperature": 3.0,
    "student.base_channels": 8,
    "student.pooling": 4,
    "student.dropout": 0.1,
    "training.learning_rate": 1e-3,
    "training.batch_size": 64,
    "training.patience": 7,
}


def many(sweep: Sweep, params: dict, keys: list[str]) -> list[dict]:
    return [perturb(sweep, params, keys, str(seed)) for seed in range(200)]


def test_real_numbers_change_and_architecture_does_not():
    sweep = distillation()
    keys = perturbed_keys(sweep)
    assert keys == ["loss.alpha", "loss.temperature", "student.dropout", "training.learning_rate"]
    for point in many(sweep, PARAMS, keys):
        assert all(point[key] == value for key, value in PARAMS.items() if key not in keys)
        assert point.keys() - {"loss.temperature"} == PARAMS.keys() - {"loss.temperature"}
        assert 1e-4 <= point["training.learning_rate"] <= 1.6e-2


def test_three_of_four_are_a_fifth_smaller_or_larger():
    rates = [p["training.learning_rate"] / 1e-3 for p in many(distillation(), PARAMS, ["training.learning_rate"])]
    beside = [any(rate == pytest.approx(factor) for factor in (0.8, 1.2)) for rate in rates]
    assert 0.65 < sum(beside) / len(beside) < 0.85
    assert min(rates) < 0.7
    assert max(rates) > 1.5


def test_values_stay_within_what_the_user_left():
    sweep = distillation().changed(vary={"loss.alpha": {"low": 0.45, "high": 0.55}}, base={"student.dropout": 0.1})
    assert "student.dropout" not in perturbed_keys(sweep)
    assert {0.45, 0.55} <= {p["loss.alpha"] for p in many(sweep, PARAMS, ["loss.alpha"])}
    assert all(0.45 <= p["loss.alpha"] <= 0.55 for p in many(sweep, PARAMS, ["loss.alpha"]))


def test_whole_numbers_and_lists_change_where_they_are_named():
    sweep = distillation().changed(perturb=["training.patience", "training.batch_size"])
    points = many(sweep, PARAMS | {"training.patience": 5}, perturbed_keys(sweep))
    assert {p["training.patience"] for p in points} == {5, 6, 7, 8, 9, 10}
    assert {p["training.batch_size"] for p in points} == {32, 64, 128}


def test_it_depends_on_the_seed_alone():
    sweep = distillation()
    keys = perturbed_keys(sweep)
    assert perturb(sweep, PARAMS, keys, "a") == perturb(sweep, PARAMS, keys, "a")
    assert len({point["training.learning_rate"] for point in many(sweep, PARAMS, keys)}) > 20


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"space": None, "vary": {"student.pooling": [2, 4]}}, r"no range of real numbers is searched \(student.pool"),
        ({"perturb": ["training.epochs"]}, "perturb names training.epochs, which is not searched"),
    ],
)
def test_nothing_to_change(fields, complaint):
    with pytest.raises(ValueError, match=complaint):
        perturbed_keys(distillation().changed(**fields))
