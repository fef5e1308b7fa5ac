"""Pickers are scored with what they were trained with, unless the user says otherwise, and the line says which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from seisweep.artifacts.reference import Reference
from seisweep.artifacts.trained_with import OF_TRAINING, TrainedWith, scoring, trained_with

from trainables.data.batches import DevWindows
from trainables.data.config import DataConfig
from trainables.data.windows import open_store

CACHE = Path("/cache")
ONE = TrainedWith({"data.dataset": "/own", "data.dev_windows_per_trace": 3, "picks.tolerance_s": 0.3})


def test_what_is_recorded_holds_and_is_said():
    config, line = scoring({}, {"own-1/3": ONE}, CACHE)
    assert (config.data.dataset, config.data.dev_windows_per_trace, config.picks.tolerance_s) == ("/own", 3, 0.3)
    assert config.data.cache_dir == CACHE
    assert line == (
        "settings as own-1/3 was trained: data.dataset=/own data.dev_windows_per_trace=3 picks.tolerance_s=0.3"
    )


def test_what_the_user_says_goes_before_it_and_is_said():
    config, line = scoring({"data.dataset": "/mine", "picks.tolerance_s": 0.3}, {"own-1/3": ONE}, CACHE)
    assert (config.data.dataset, config.data.dev_windows_per_trace) == ("/mine", 3)
    assert line == (
        "settings as own-1/3 was trained: data.dev_windows_per_trace=3; "
        "as given: data.dataset=/mine (trained with /own) picks.tolerance_s=0.3"
    )


def test_a_model_of_which_nothing_is_recorded_joins_the_others():
    config, line = scoring({}, {"stead": None, "own-1/3": ONE}, CACHE)
    assert config.data.dataset == "/own"
    assert line.endswith("; there is no record of the training of stead")
    with pytest.raises(ValueError, match=r"data.dataset is missing: give data.dataset="):
        scoring({}, {"stead": None}, CACHE)
    assert scoring({"data.dataset": "/mine"}, {"stead": None}, CACHE)[1] == (
        "settings as given: data.dataset=/mine; there is no record of the training of stead"
    )


def test_a_model_of_several_data_sets_is_scored_on_all_or_on_what_the_user_says():
    both = TrainedWith({**ONE.settings, "data.dataset": ["/a", "/b"], "data.shares": [2.0, 1.0]})
    config, line = scoring({}, {"own-1/3": both}, CACHE)
    assert config.data.dataset == ["/a", "/b"]
    assert "data.dataset=[/a,/b]" in line
    assert scoring({"data.dataset": "/mine"}, {"own-1/3": both}, CACHE)[0].data.dataset == "/mine"
    with pytest.raises(ValueError, match=r"^data.dataset: a/1 was trained with /own and b/2 with "):
        scoring({}, {"a/1": ONE, "b/2": both}, CACHE)


def test_models_that_were_trained_with_different_windows_are_for_the_user_to_decide():
    other = TrainedWith({**ONE.settings, "data.dev_windows_per_trace": 8, "data.sigma_samples": 10.0})
    with pytest.raises(ValueError, match=r"^data.dev_windows_per_trace: a/1 was trained with 3 and b/2 with 8; say "):
        scoring({}, {"a/1": ONE, "b/2": other}, CACHE)
    config, _ = scoring({"data.dev_windows_per_trace": 5}, {"a/1": ONE, "b/2": other}, CACHE)
    assert config.data.dev_windows_per_trace == 5


ADDED = {"noise_share": 0.5, "noise_snr_db": (0, 9), "second_event_share": 0.5, "second_event_ratio": (0.5, 1)}
ADDED |= {"gap_share": 0.5, "gap_length_s": (1, 2), "rate_change": 0.02}


def test_what_training_alone_reads_may_differ():
    assert set(OF_TRAINING) <= {f"data.{name}" for name in DataConfig.model_fields}
    values = {"few_shot_fraction": 0.5, "few_shot_seed": 3, "sigma_samples": 10, "max_time_shift_s": 1}
    values |= {"max_amplitude_scale": 2, "cache_dir": "/elsewhere", "shares": [1.0]}
    values |= {"rotate_horizontals": True, "flip_sign": True, "dead_component_share": 0.1} | ADDED
    assert {f"data.{name}" for name in values} == set(OF_TRAINING)
    other = TrainedWith(ONE.settings | {f"data.{name}": value for name, value in values.items()})
    scoring({}, {"a/1": ONE, "b/2": other}, CACHE)


def test_what_training_alone_reads_changes_no_dev_window(earthquakes, tmp_path):
    plain = {"dataset": str(earthquakes), "dev_windows_per_trace": 2, "cache_dir": tmp_path}
    values = {"few_shot_fraction": 0.5, "few_shot_seed": 3, "sigma_samples": 10, "max_time_shift_s": 1}
    values |= {
        "max_amplitude_scale": 2,
        "rotate_horizontals": True,
        "flip_sign": True,
        "dead_component_share": 0.1,
    } | ADDED
    configs = [DataConfig(**plain), DataConfig(**plain, **values)]
    (raw, at), (other_raw, other_at) = (
        next(DevWindows(open_store(config, "dev"), config).batches(64)) for config in configs
    )
    np.testing.assert_array_equal(raw.raw_BXT, other_raw.raw_BXT)
    np.testing.assert_array_equal(raw.normalised_BXT, other_raw.normalised_BXT)
    np.testing.assert_equal(at, other_at)


def test_settings_that_a_picker_does_not_have_are_left_out_and_said():
    config, line = scoring({}, {"a/1": TrainedWith({**ONE.settings, "data.colour": "red"})}, CACHE)
    assert config.data.dataset == "/own"
    assert line.endswith("; left out, because pickers do not have them: data.colour")


CONFIG = {"seed": 0, "data": {"dataset": "/own", "dev_windows_per_trace": 3}, "picks": {"tolerance_s": 0.3}}


@pytest.mark.parametrize(
    ("file", "content"), [("config.json", CONFIG), ("model.json", {"file": "a.onnx", "card": {"settings": CONFIG}})]
)
def test_a_folder_of_files_says_what_it_was_trained_with(tmp_path, file, content):
    (tmp_path / file).write_text(json.dumps(content))
    found = trained_with(Reference(str(tmp_path), "path", path=tmp_path), [tmp_path / "a.onnx"])
    assert found == ONE


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"data": 3}', '{"data": {"dataset": 3}}'])
def test_any_other_file_of_that_name_says_nothing(tmp_path, content):
    for file in ("config.json", "model.json"):
        (tmp_path / file).write_text(content)
    assert trained_with(Reference("a.onnx", "path", path=tmp_path / "a.onnx"), [tmp_path / "a.onnx"]) is None


def test_a_name_of_seisbench_says_nothing():
    assert trained_with(Reference("stead", "seisbench"), ["stead"]) is None
