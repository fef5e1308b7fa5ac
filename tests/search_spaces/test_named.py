"""The named sweeps exist, hold what the documents prescribe, and name only keys that their trainable has."""

from __future__ import annotations

import subprocess
import sys

import optuna
import pytest
from seisweep.settings.overrides import build_config

from search_spaces.corners import corners
from search_spaces.named import NAMED, descriptions, named_sweep, objectives_of
from search_spaces.narrowing import dimensions, enumerate_space, narrowed_space, searched_keys
from search_spaces.sweep import single_run


@pytest.mark.parametrize("name", NAMED)
def test_every_named_sweep_is_called_what_it_is(name):
    sweep = named_sweep(name)
    assert sweep.name == name
    assert descriptions()[name] == sweep.description != ""
    assert searched_keys(sweep)


def test_distillation_space():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trial = study.ask()
    from search_spaces.distillation import xiaonet_space

    xiaonet_space(trial)
    searched = trial.distributions
    assert (searched["loss.alpha"].low, searched["loss.alpha"].high) == (0, 1)
    assert (searched["loss.temperature"].low, searched["loss.temperature"].high) == (1, 5)
    widths, rates = searched["student.base_channels"], searched["training.learning_rate"]
    assert (widths.low, widths.high, widths.step) == (4, 16, 1)
    assert (rates.low, rates.high, rates.log) == (1e-4, 1.6e-2, True)


@pytest.mark.parametrize("name", ["distillation", "distillation-pareto"])
def test_no_student_of_the_default_space_is_larger_than_a_phasenet(name):
    from seisbench.models import PhaseNet

    from trainables.models.xiaonet import StudentConfig, build_student

    def size(network) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trial = study.ask()
    narrowed_space(named_sweep(name))(trial)
    widest = trial.distributions["student.base_channels"].high
    for pooling in trial.distributions["student.pooling"].choices:
        assert size(build_student(StudentConfig(base_channels=widest, pooling=pooling))) < size(PhaseNet())


def test_a_list_may_leave_the_default_space():
    sweep = named_sweep("distillation").changed(vary={"student.base_channels": [24, 32]})
    assert dimensions(sweep)["student.base_channels"] == "24 or 32"


@pytest.mark.parametrize(("space", "widths"), [("space", [4, 8, 12, 16, 24, 32]), ("student_space", [4, 8, 12, 16])])
def test_what_a_recorded_sweep_draws_from_stays_as_it_was(space, widths):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trial = study.ask()
    narrowed_space(named_sweep("distillation").changed(space=f"search_spaces.distillation:{space}"))(trial)
    assert list(trial.distributions["student.base_channels"].choices) == widths
    assert trial.distributions["training.learning_rate"].high == 3e-3


def test_no_temperature_without_a_teachers_share():
    from search_spaces.distillation import space

    fixed = {"student.base_channels": 8, "student.pooling": 2, "student.dropout": 0.0}
    fixed |= {"training.learning_rate": 1e-3, "training.batch_size": 64, "training.patience": 7}
    trial = optuna.trial.FixedTrial({"loss.alpha": 0.0, **fixed})
    space(trial)
    assert "loss.temperature" not in trial.params


def test_few_shot_is_a_grid_over_fractions_and_seeds():
    sweep = named_sweep("distillation-fewshot")
    assert [point["data.few_shot_fraction"] for point in enumerate_space(sweep)] == [0.05, 0.1, 0.2, 0.5, 1.0]
    assert len(sweep.seeds) == 3


def test_pareto_puts_accuracy_first():
    assert named_sweep("distillation-pareto").objectives == {
        "dev/f1": "max",
        "int8/bytes": "min",
        "int8/latency_ms": "min",
    }
    assert named_sweep("distillation-pareto").first_objective == ("dev/f1", "max")


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match=r"no sweep named distilation: did you mean distillation\?"):
        named_sweep("distilation")


def test_names_are_listed_without_heavy_imports():
    code = (
        "import sys; from search_spaces.named import descriptions; descriptions(); "
        "assert not {'optuna', 'torch', 'ray', 'mlflow'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_single_training_counts_what_its_trainables_sweep_counts():
    assert objectives_of("pretraining") == {"dev/accuracy": "max"}
    assert objectives_of("finetuning") == {"dev/macro_f1": "max"}
    assert objectives_of("my_module:train") == {}
    assert single_run("my_module:train", {}, {}).objectives == {"dev/f1": "max"}


def test_a_sweep_of_adaptation_that_searched_gains_goes_on_with_them():
    begun = named_sweep("adaptation").changed(space="search_spaces.adaptation:space")
    assert searched_keys(begun) == ["training.learning_rate", "student.dropout", "data.max_amplitude_scale"]


def test_adaptation_varies_little_of_a_student_of_one_size():
    sweep = named_sweep("adaptation")
    assert searched_keys(sweep) == ["training.learning_rate", "student.dropout"]
    assert (sweep.base["student.base_channels"], sweep.base["student.pooling"]) == (8, 4)
    assert sweep.required == ["data.streams"]


STREAMS = {"data.dataset": "there", "data.streams": "archive"}


def test_an_ablation_without_streams_has_three_conditions():
    sweep = named_sweep("distillation-ablation").changed(base={"data.dataset": "there"})
    assert enumerate_space(sweep) == [{"loss.alpha": 0.0}, {"loss.alpha": 0.5}, {"loss.alpha": 1.0}]
    assert sweep.seeds == [0, 1, 2, 3, 4]


def test_an_ablation_with_streams_has_five_as_nobody_teaches_them_without_a_teacher():
    from trainables.distillation import DistillationConfig

    sweep = named_sweep("distillation-ablation").changed(base=STREAMS)
    points = [(point["loss.alpha"], point["data.streams_share"]) for point in enumerate_space(sweep)]
    assert points == [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (1.0, 0.0), (1.0, 0.5)]
    assert sorted((one["loss.alpha"], one["data.streams_share"]) for one in corners(sweep)) == points
    for point in enumerate_space(sweep):
        config = build_config(DistillationConfig, sweep.base | point)
        assert config.data.learns_from_streams == (point["data.streams_share"] > 0)
    other_share = sweep.changed(vary={"data.streams_share": [0, 0.3]})
    assert [point["data.streams_share"] for point in enumerate_space(other_share)] == [0, 0, 0.3, 0, 0.3]


def test_a_wide_student_is_searched_with_its_labels_width():
    from trainables.distillation import DistillationConfig

    sweep = named_sweep("distillation-wide")
    assert "data.sigma_samples" in searched_keys(sweep)
    config = build_config(DistillationConfig, sweep.base | {"data.dataset": "there"})
    assert (config.student.context, config.training.schedule) == ("wide", "cosine")
    assert config.data.rotate_horizontals
    assert config.data.flip_sign


@pytest.mark.parametrize("name", ["distillation", "distillation-pareto", "distillation-wide"])
def test_the_size_of_a_student_that_goes_on_is_not_searched_unless_it_is_asked_for(name):
    sweep = named_sweep(name)
    sizes = {"student.base_channels", "student.pooling"} & set(searched_keys(sweep))
    begun = sweep.changed(base=sweep.base | {"student.pretrained": "earlier"})
    assert sizes
    assert not sizes & set(searched_keys(begun))
    asked = begun.changed(vary={"student.base_channels": [8, 16]})
    assert dimensions(asked)["student.base_channels"] == "8 or 16"
