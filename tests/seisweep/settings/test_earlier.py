"""What an earlier version has recorded is read as it was meant: a phase without labels was noise."""

from __future__ import annotations

from typing import Any

import pytest
from seisweep.settings.earlier import as_it_began, as_it_was

from search_spaces.distillation import distillation
from search_spaces.pretraining import pretraining
from trainables.data.config import DataConfig

KEY = "data.missing_phase"


def test_a_sweep_of_pickers_goes_on_with_noise():
    assert as_it_began(distillation()).base[KEY] == "noise"


@pytest.mark.parametrize("said", [{"base": {KEY: "mask"}}, {"vary": {KEY: ["mask", "noise"]}}])
def test_what_was_said_stays(said):
    sweep = distillation().changed(**said)
    assert as_it_began(sweep) == sweep


def test_sweeps_without_pickers_stay():
    assert as_it_began(pretraining()) == pretraining()


def recorded() -> dict[str, Any]:
    data = DataConfig(dataset="ETHZ").model_dump(mode="json")
    return {"data": {key: value for key, value in data.items() if key != "missing_phase"}, "seed": 1}


def test_a_recorded_configuration_of_a_picker_says_noise():
    config = as_it_was(recorded())
    assert config["data"]["missing_phase"] == "noise"
    assert config["seed"] == 1
    assert DataConfig.model_validate(config["data"]).dataset == "ETHZ"


@pytest.mark.parametrize("config", [{"data": DataConfig(dataset="ETHZ").model_dump()}, {"data": {}}, {}, [], None])
def test_any_other_stays(config):
    assert as_it_was(config) == config
