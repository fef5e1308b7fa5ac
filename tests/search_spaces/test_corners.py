from __future__ import annotations

from search_spaces.corners import corners
from search_spaces.named import named_sweep
from search_spaces.sweep import Sweep


def test_both_ends_of_every_range_and_every_choice_are_there():
    sweep = named_sweep("distillation").changed(vary={"student.base_channels": {"low": 4, "high": 21}})
    found = corners(sweep)
    assert {point["training.patience"] for point in found} == {5, 10}
    assert {point["student.pooling"] for point in found} == {2, 4}
    assert {point["loss.alpha"] for point in found} == {0.0, 1.0}
    assert all("loss.temperature" not in point for point in found if not point["loss.alpha"])


def test_points_are_all_there():
    points = [{"x": 1}, {"x": 2}]
    sweep = Sweep(name="own", trainable="distillation", points=points, sampler="grid", samples=None)
    assert corners(sweep) == points
