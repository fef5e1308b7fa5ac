"""What an earlier version has recorded is read as it was meant: a phase without labels was noise, and pretraining's
windows lay around picks."""

from __future__ import annotations

from typing import Any

import pytest
from seisweep.settings.earlier import as_it_began, as_it_was, with_the_space_of

from search_spaces.adaptation import adaptation
from search_spaces.distillation import distillation
from search_spaces.foreshock import foreshock
from search_spaces.pretraining import pretraining
from trainables.data.config import DataConfig
from trainables.data.waveform_sources import WaveformDataConfig

KEY = "data.missing_phase"


def test_a_sweep_of_pickers_goes_on_with_noise():
    assert as_it_began(distillation()).base[KEY] == "noise"


@pytest.mark.parametrize("said", [{"base": {KEY: "mask"}}, {"vary": {KEY: ["mask", "noise"]}}])
def test_what_was_said_stays(said):
    sweep = distillation().changed(**said)
    assert as_it_began(sweep) == sweep


def test_a_sweep_of_pretraining_goes_on_around_picks():
    assert as_it_began(pretraining()).base == {"data.windows": "picks"}
    said = pretraining().changed(base={"data.windows": "anywhere"})
    assert as_it_began(said) == said


def test_other_sweeps_stay():
    assert as_it_began(foreshock()) == foreshock()


def recorded() -> dict[str, Any]:
    data = DataConfig(dataset="ETHZ").model_dump(mode="json")
    return {"data": {key: value for key, value in data.items() if key != "missing_phase"}, "seed": 1}


def test_a_recorded_configuration_of_a_picker_says_noise():
    config = as_it_was(recorded())
    assert config["data"]["missing_phase"] == "noise"
    assert config["seed"] == 1
    assert DataConfig.model_validate(config["data"]).dataset == "ETHZ"


def test_a_recorded_configuration_of_pretraining_says_around_picks():
    data = WaveformDataConfig(dataset="ETHZ").model_dump(mode="json")
    assert as_it_was({"data": data}) == {"data": data}
    config = as_it_was({"data": {key: data[key] for key in ("dataset", "window_samples")}})
    assert config["data"] == {"windows": "picks", "dataset": "ETHZ", "window_samples": data["window_samples"]}


@pytest.mark.parametrize("config", [{"data": DataConfig(dataset="ETHZ").model_dump()}, {"data": {}}, {}, [], None])
def test_any_other_stays(config):
    assert as_it_was(config) == config


@pytest.mark.parametrize("space", ["space", "student_space"])
def test_a_sweep_that_began_with_an_earlier_space_is_still_the_same_sweep(space):
    begun = distillation().changed(space=f"search_spaces.distillation:{space}")
    assert with_the_space_of(begun, distillation()) == begun
    assert with_the_space_of(distillation(), distillation()) == distillation()
    assert with_the_space_of(begun, pretraining()) == pretraining()


def test_a_sweep_of_adaptation_that_searched_gains_is_still_the_same_sweep():
    begun = adaptation().changed(space="search_spaces.adaptation:space")
    assert with_the_space_of(begun, adaptation()) == begun
