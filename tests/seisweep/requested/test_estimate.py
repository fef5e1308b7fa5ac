"""What is said of a sweep's sizes and time before it starts."""

from __future__ import annotations

import pytest
import torch
from seisweep.requested.estimate import (
    Size,
    extremes,
    how_large,
    how_long,
    larger_than_its_teacher,
    measured_pace,
    share_with_early_stopping,
)
from seisweep.requested.sweep import narrow
from seisweep.requested.trainable import Trainable
from seisweep.settings.overrides import Overrides, flatten, parse_overrides

from search_spaces.named import named_sweep
from trainables.training.rehearsal import Pace

PACE = Pace(step_s=0.5, steps=30, dev_s=5.0, epochs=12, teacher_parameters=268_443)


def sweep_of(*words: str, **fields: object):
    return narrow(named_sweep("distillation"), parse_overrides(["data.dataset=ETHZ", *words]), fields)


def test_smallest_and_largest_student_of_the_default_space(tmp_path):
    sizes = extremes(sweep_of(), Trainable.find("distillation"), tmp_path)
    assert [size.parameters for size in sizes] == [10_731, 164_451]
    assert sizes[0].settings["student.base_channels"] == 4
    assert how_large(sizes) == "models of 10,731 to 164,451 parameters"


def test_models_that_are_all_alike_are_one(tmp_path):
    sizes = extremes(sweep_of("student.base_channels=8"), Trainable.find("distillation"), tmp_path)
    assert how_large(sizes) == "a model of 41,715 parameters"


def test_a_trainable_that_does_not_say_what_it_trains_has_no_sizes(tmp_path, toy_sweep):
    toy = Trainable.find("toy_trainable:train")
    assert extremes(toy_sweep(), toy, tmp_path) == []
    assert measured_pace(toy_sweep(), toy, {}, tmp_path, 1, 0) is None


def test_a_student_larger_than_its_teacher_is_named():
    sizes = [Size({}, 10_731), Size({"student.base_channels": 24}, 368_211)]
    assert larger_than_its_teacher(sizes, PACE) == (
        "the largest student has 368,211 parameters (student.base_channels=24), its teacher 268,443"
    )
    assert larger_than_its_teacher(sizes[:1], PACE) == ""
    assert larger_than_its_teacher(sizes, None) == ""


def test_time_is_that_of_all_epochs_and_with_early_stopping_less():
    none = sweep_of(scheduler="none")
    assert how_long(none, 20, 2, PACE) == (
        "a step took 0.5 s here, 30 of them and dev make an epoch of 20 s: at that pace a trial trains for at most "
        "4 min, and all of them, 2 at a time, for at most 40 min"
    )
    assert "for 8 min (if asha stops weak ones early) to 40 min" in how_long(sweep_of(), 20, 2, PACE)
    assert how_long(none, 1, 1, PACE).endswith("a trial trains for at most 4 min")
    assert how_long(none, None, 2, PACE).endswith("a trial trains for at most 4 min")


def test_halving_lets_a_third_go_on_at_each_rung():
    sweep = sweep_of(grace_epochs=2, reduction_factor=3)
    assert share_with_early_stopping(sweep, 12) == pytest.approx((2 + 4 / 3 + 6 / 9) / 12)
    assert share_with_early_stopping(sweep, 2) == 1
    assert share_with_early_stopping(sweep_of(scheduler="none"), 12) == 1


def test_a_step_is_measured_on_a_few_traces_and_leaves_nothing(tiny, tmp_path):
    words = Overrides(dict(flatten(tiny)) | {"data.cache_dir": str(tmp_path / "cache")}, {})
    sweep = narrow(named_sweep("distillation"), words, {})
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    pace = measured_pace(sweep, Trainable.find("distillation"), {"loss.alpha": 0.5}, tmp_path / "cache", 1, 0)
    assert pace is not None
    assert (pace.steps, pace.epochs, pace.teacher_parameters) == (3, 3, 268_443)
    assert pace.step_s > 0
    assert pace.dev_s > 0
    assert list(tmp_path.iterdir()) == []
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
