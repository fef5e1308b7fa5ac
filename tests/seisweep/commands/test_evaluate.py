"""Scores of several pickers and of the mean of their probabilities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from seisweep.artifacts.pickers import Picker, means_of
from seisweep.cli import run
from seisweep.commands.evaluate import models_and_settings, score

from trainables.data.batches import DevWindows
from trainables.data.config import DataConfig
from trainables.data.windows import open_store
from trainables.evaluation.picks import PickConfig
from trainables.models.xiaonet import StudentConfig, build_student


def picker(name: str, precision: str = "torch", factors: tuple[float, float] = (1, 1)) -> Picker:
    """Answers with the labels, those of P and S times these factors."""

    def probabilities(batch) -> np.ndarray:
        return batch.labels_BCT.numpy() * np.array([*factors, 1], dtype=np.float32)[:, None]

    return Picker(name, probabilities, precision)


@pytest.fixture
def dev(earthquakes: Path, tmp_path_factory) -> DevWindows:
    cache = tmp_path_factory.getbasetemp() / "cache"
    config = DataConfig(dataset=str(earthquakes), dev_windows_per_trace=2, cache_dir=cache)
    return DevWindows(open_store(config, "dev"), config)


def test_the_mean_of_a_picker_of_p_and_one_of_s_picks_both(dev):
    one, other = picker("p", factors=(1, 0)), picker("s", factors=(0, 0.5))
    rows = score([one, other], dev, PickConfig(), {"mean": [one, other]})
    f1 = {(row["model"], row["phase"]): row["f1"] for row in rows}
    assert f1["p", "P"] == f1["s", "S"] == f1["mean", "P"] == f1["mean", "S"] == f1["mean", "both"] == 1
    assert f1["p", "S"] == f1["s", "P"] == 0
    thresholds = {(row["model"], row["phase"]): row["threshold"] for row in rows}
    assert thresholds["mean", "P"] <= 0.5, "half of what the one says, as the other says nothing"
    assert thresholds["mean", "S"] <= 0.25
    assert list(dict.fromkeys(row["model"] for row in rows)) == ["p", "s", "mean"]


def test_files_of_one_precision_are_averaged():
    one = [picker("a xiaonet"), picker("a model_fp32.onnx", "fp32"), picker("a model_int8.onnx", "int8")]
    other = [picker("b xiaonet"), picker("b model_int8_refused.onnx", "int8"), picker("b model_fp32.onnx", "fp32")]
    means = means_of([one, other])
    assert list(means) == ["mean of 2, torch", "mean of 2, fp32"], "a refused file is averaged with none"
    assert [member.name for member in means["mean of 2, fp32"]] == ["a model_fp32.onnx", "b model_fp32.onnx"]
    assert means_of([one]) == {}


def test_what_has_no_precision_in_common_is_averaged_as_it_is():
    means = means_of([[picker("a", "int8")], [picker("b"), picker("b.onnx", "fp32")]])
    assert {name: [one.name for one in members] for name, members in means.items()} == {
        "mean of 2, int8 and torch": ["a", "b"]
    }


def test_models_stand_before_settings():
    words = ["stead", "./a=b.onnx", "data.dataset=x", "runs:/1", "picks.tolerance_s=1"]
    assert models_and_settings(words) == (["stead", "./a=b.onnx", "runs:/1"], ["data.dataset=x", "picks.tolerance_s=1"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("data.dataset=x", "evaluate wants a model"),
        ("a.onnx a.onnx data.dataset=x", "a.onnx is there twice"),
    ],
)
def test_wrong_use_is_one_line(words, complaint, home, capsys):
    assert run(["evaluate", *words.split()]) == 2
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.err.count("\n") == 1
    assert not home.exists()


def test_evaluate_scores_each_of_several_and_their_mean(earthquakes, home, tmp_path, capsys):
    from trainables.models.xiaonet import StudentConfig, build_student

    names = [str(tmp_path / name) for name in ("one", "other")]
    for name in names:
        build_student(StudentConfig(base_channels=2, pooling=4)).save(name)
    setting = [f"data.dataset={earthquakes}", "data.dev_windows_per_trace=1"]
    assert run(["evaluate", *names, *setting, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["phase"] for row in rows] == ["P", "S", "both"] * 3
    assert [row["model"] for row in rows[::3]] == [*names, "mean of 2, torch"]


def test_evaluate_makes_no_home_and_leaves_nothing_of_data_that_it_cannot_use(earthquakes, home, tmp_path, monkeypatch):
    monkeypatch.setattr("seisbench.cache_root", tmp_path / "seisbench")
    build_student(StudentConfig(base_channels=4, pooling=4)).save(tmp_path / "student", version_str="1")
    (tmp_path / "empty").mkdir()
    assert run(["evaluate", str(tmp_path / "student"), f"data.dataset={tmp_path / 'empty'}"]) == 2
    assert not (tmp_path / "seisbench").exists()
    assert (
        run(["evaluate", str(tmp_path / "student"), f"data.dataset={earthquakes}", "data.dev_windows_per_trace=1"]) == 0
    )
    assert not home.exists()
