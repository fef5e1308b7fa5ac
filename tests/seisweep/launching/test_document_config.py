"""The config.json of XiaoNet's document: what is taken, what is not, and that all of it is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from seisweep.cli import run
from seisweep.commands import run as run_module
from seisweep.launching import command_line
from seisweep.launching.document_config import FIXED, NOT_USED, SETTINGS, USE_CUDA, with_config
from seisweep.settings.overrides import Overrides, nest

from search_spaces.named import named_sweep
from search_spaces.sweep import single_run

PUBLIC = {
    "peak_detection": {"sampling_rate": 100, "height": 0.5, "distance": 80},
    "data": {"dataset_name": "ETHZ", "sampling_rate": 100, "window_len": 3001, "sample_fraction": 0.4},
    "training": {
        "batch_size": 32,
        "num_workers": 10,
        "learning_rate": 0.01,
        "epochs": 40,
        "patience": 5,
        "optimization": {"mixed_precision": False, "gradient_accumulation_steps": 2, "pin_memory": True},
    },
    "device": {"use_cuda": False, "device_id": 0},
}
TRAINING = single_run("distillation", {})


@pytest.fixture
def write(tmp_path):
    def written(held: Any) -> str:
        file = tmp_path / "config.json"
        file.write_text(held if isinstance(held, str) else json.dumps(held))
        return str(file)

    return written


def test_settings_of_the_file_are_ours_under_other_names(write):
    read = with_config(write(PUBLIC), TRAINING, Overrides({"training.epochs": 3}, {}))
    assert read.overrides.base == {
        "training.batch_size": 32,
        "training.learning_rate": 0.01,
        "training.patience": 5,
        "training.accumulation": 2,
        "training.precision": "fp32",
        "picks.distance_samples": 80,
        "data.dataset": "ETHZ",
        "data.few_shot_fraction": 0.4,
        "training.epochs": 3,
    }
    assert read.gpus == 0
    assert read.words[1:] == [
        "not taken, because you give other values: training.epochs=40",
        "4 without a counterpart here: peak_detection.height (thresholds are chosen on dev), training.num_workers "
        "(windows are cut where training runs), training.optimization.pin_memory (windows are cut where training "
        "runs), device.device_id (the profile chooses the GPU)",
    ]


def test_what_a_sweep_searches_stays_searched(write):
    sweep = named_sweep("distillation")
    read = with_config(write(PUBLIC), sweep, Overrides({"training.patience": 9}, {}))
    assert "training.learning_rate" not in read.overrides.base
    assert read.overrides.base["training.epochs"] == 40
    assert (
        "not taken, because distillation searches them: training.batch_size=32 training.learning_rate=0.01"
        in read.words
    )


def test_every_key_of_the_file_is_said(write):
    every = nest({key: FIXED.get(key, 1) for key in (*SETTINGS, *FIXED, *NOT_USED)})
    every["data"]["dataset_name"] = "ETHZ"
    every["training"]["optimization"]["mixed_precision"] = True
    every["device"] = {"use_cuda": True, "device_id": 0}
    said = " ".join(with_config(write(every | {"mine": {"x": 1}, "y": 2}), TRAINING, Overrides({}, {})).words)
    assert all(ours in said for ours in SETTINGS.values())
    assert all(key in said for key in NOT_USED)
    assert "2 unknown keys, which are not used: mine.x, y" in said
    assert USE_CUDA not in said, "true is what the profile does anyway"


@pytest.mark.parametrize(
    ("held", "complaint"),
    [
        ("{", "config.json: not JSON (Expecting"),
        ("[1]", "config.json: holds no settings, as"),
        ({"data": {"window_len": 1001}}, "config.json: data.window_len = 1001 is not possible here: it is 3001"),
        (
            {"peak_detection": {"sampling_rate": 50}},
            "peak_detection.sampling_rate = 50 is not possible here: it is 100",
        ),
        ({"training": {"batch_size": "many"}}, 'config.json: training.batch_size = "many" is not allowed'),
        ({"training": {"optimization": {"mixed_precision": 3}}}, "mixed_precision = 3 is not allowed: true or false"),
    ],
)
def test_what_cannot_be_taken_is_one_line(write, held, complaint, capsys, home):
    assert run(["train", "distillation", "--config", write(held), "data.dataset=ETHZ"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("seisweep: --config ")
    assert complaint in err
    assert err.count("\n") == 1
    assert not home.exists()


def test_a_missing_file_another_trainable_and_two_beginnings(write, capsys, home):
    for words, complaint in [
        (["distillation", "--config", "no.json"], "--config no.json: cannot be read (No such file or directory)"),
        (["finetuning", "--config", write(PUBLIC)], "only for training pickers (distillation, picking)"),
        (["distillation", "--config", write(PUBLIC), "--settings-from", "a/1"], "begin with one of them"),
    ]:
        assert run(["train", *words]) == 2
        assert complaint in capsys.readouterr().err


def test_the_command_that_is_recorded_says_the_settings_themselves(write, monkeypatch, capsys):
    seen: dict[str, Any] = {}

    def train_once(trainable: str, overrides: Overrides, profile: str, **asked: Any) -> None:
        seen.update(overrides=overrides, words=command_line.words(), fields=asked["fields"])

    monkeypatch.setattr(run_module, "train_once", train_once)
    monkeypatch.setattr(run_module, "finish", lambda ended: 0)
    assert run(["train", "picking", "--config", write(PUBLIC), "data.dataset=mine"]) == 0
    assert seen["overrides"].base["data.dataset"] == "mine"
    assert seen["fields"]["gpus_per_worker"] == 0
    assert list(seen["words"][:2]) == ["train", "--gpus=0"]
    assert "training.batch_size=32" in seen["words"]
    assert not any("config" in word for word in seen["words"])
    assert run(["train", "picking", "--gpus", "1", "--config", write(PUBLIC)]) == 0
    assert seen["fields"]["gpus_per_worker"] == 1, "what the user says goes before it"
