"""Scores of several pickers and of the mean of their probabilities."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import seisweep
from seisweep.artifacts.pickers import Picker, means_of
from seisweep.cli import run
from seisweep.commands.evaluate import models_and_settings, stored_thresholds
from seisweep.commands.evaluate_scores import in_full, score
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

from search_spaces.named import named_sweep
from trainables import picking
from trainables.data.batches import DevWindows
from trainables.data.config import DataConfig
from trainables.data.synthetic import write_local_earthquakes
from trainables.data.windows import open_store
from trainables.evaluation.picks import PickConfig
from trainables.export.document_names import write_document_names
from trainables.export.onnx import export_onnx
from trainables.export.picker_folder import write_picker_folder
from trainables.models.xiaonet import StudentConfig, build_student
from trainables.run import LocalRun


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
    rows = in_full(score([one, other], dev, PickConfig(), {"mean": [one, other]}))
    f1 = {(row["model"], row["phase"]): row["f1"] for row in rows}
    assert f1["p", "P"] == f1["s", "S"] == f1["mean", "P"] == f1["mean", "S"] == f1["mean", "both"] == 1
    assert f1["p", "S"] == f1["s", "P"] == 0
    thresholds = {(row["model"], row["phase"]): row["threshold"] for row in rows}
    assert thresholds["mean", "P"] <= 0.5, "half of what the one says, as the other says nothing"
    assert thresholds["mean", "S"] <= 0.25
    assert list(dict.fromkeys(row["model"] for row in rows)) == ["p", "s", "mean"]


def test_pickers_with_and_without_a_curve_of_noise_have_a_mean(dev):
    def of_curves(batch) -> np.ndarray:
        return batch.labels_BCT.numpy()[:, :2]

    one, other = picker("distribution"), Picker("curves", of_curves, "torch", classes="PS")
    scored = score([one, other], dev, PickConfig(), {"mean": [one, other]})
    assert [one.counts.f1() for one in scored] == [1, 1, 1]


def test_a_state_dict_and_an_onnx_file_with_the_name_of_one(earthquakes, home, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = build_student(StudentConfig(base_channels=2, pooling=4)).eval()
    write_document_names(model, tmp_path, {"P": 0.35, "S": 0.2}, None)
    export_onnx(model, tmp_path / "a.onnx", {"P": 0.35, "S": 0.2})
    (tmp_path / "a.onnx").rename("saved_model_int8.pth")
    data = [f"data.dataset={earthquakes}", "data.dev_windows_per_trace=2", f"data.cache_dir={tmp_path / 'cache'}"]
    assert run(["evaluate", "best_model.pth", "saved_model_int8.pth", *data, "--format", "json"]) == 0
    rows = [row for row in json.loads(capsys.readouterr().out) if row["phase"] == "P"]
    assert [row["model"] for row in rows[:2]] == ["best_model.pth", "saved_model_int8.pth"]
    assert {row["threshold"] for row in rows} == {0.35}
    assert rows[0]["f1"] == rows[1]["f1"], "the same network"


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
        ("data.dataset=x", "give a model"),
        ("a.onnx a.onnx data.dataset=x", "a.onnx is named twice"),
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


def test_thresholds_of_a_mean_are_the_mean_of_its_members_own(dev):
    one, other = picker("one")._replace(stored={"P": 0.2, "S": 0.31}), picker("other")  # 0.3 where none is stored
    thresholds = stored_thresholds([one, other], {"mean": [one, other]})
    assert thresholds["one"] == {"P": 0.2, "S": 0.31}
    assert thresholds["other"] == {"P": 0.3, "S": 0.3}
    rows = in_full(score([one, other], dev, PickConfig(), {"mean": [one, other]}, thresholds))
    shown = {(row["model"], row["phase"]): row["threshold"] for row in rows}
    assert shown["mean", "P"] == pytest.approx(0.25)
    assert shown["mean", "S"] == pytest.approx(0.305)


DATA = {
    "dev_windows_per_trace": 3,
    "sigma_samples": 20.0,
    "store_dtype": "float16",
    "max_time_shift_s": 1.0,
    "few_shot_fraction": 0.8,
}
"""None of them as the defaults have it, as `picks` below."""


@pytest.fixture(scope="module")
def kept(earthquakes: Path, empty_store: Path, tmp_path_factory) -> tuple[Home, Path, Path]:
    """A home whose sweep `own-1` has one trial, a XiaoNet that picks some of it; its data; other data."""
    folder = tmp_path_factory.mktemp("kept")
    other = folder / "other"
    write_local_earthquakes(other, num_events=12, seed=1)
    settings: dict[str, Any] = {
        "model": {"architecture": "xiaonet"},
        "student": {"base_channels": 4, "pooling": 4},
        "data": {"dataset": str(earthquakes), "cache_dir": str(folder / "cache"), **DATA},
        "picks": {"tolerance_s": 0.3, "distance_samples": 60},
        "training": {"epochs": 4, "steps_per_epoch": 20, "batch_size": 16, "learning_rate": 0.01},
        "export": {"calibration_windows": 16, "max_f1_loss": 0.5},
    }
    config = picking.PickingConfig.model_validate(settings)
    run_here = LocalRun(folder / "run")
    picking.train(config, run_here)

    home = Home(folder / "home").prepare()
    shutil.copy(empty_store, home.database)
    home.sweep_dir("own-1").mkdir()
    ledger = Ledger(home.sweep_dir("own-1") / "ledger.jsonl")
    facts = picking.preflight(config)
    tracker = Tracker(own_store(home), named_sweep("picking"), "own-1", "id", facts)
    tracker.begin("", {})
    tracker.trial_begins(ledger.begin_trial(0, {}, 0), config.model_dump(mode="json"))
    for report in run_here.reports:
        tracker.report(ledger.report(0, report))
    ledger.end_trial(0, "done", "")
    tracker.trial_ends(ledger.trials[0], run_here.checkpoint)
    tracker.end("finished", None)
    ledger.close()
    return home, earthquakes, other


@pytest.fixture
def scored(kept, tmp_path, monkeypatch, capsys):
    """Runs `evaluate` in that home; rows by model and phase, and what it said."""
    monkeypatch.setenv("SEISWEEP_HOME", str(kept[0].root))
    monkeypatch.chdir(tmp_path)

    def evaluate(*words: str) -> tuple[dict[tuple[str, str], dict[str, Any]], str]:
        assert run(["evaluate", *words, "--format", "json"]) == 0
        out, err = capsys.readouterr()
        return {(row["model"], row["phase"]): row for row in json.loads(out)}, err

    return evaluate


def test_a_trial_scores_exactly_what_its_record_says(kept, scored):
    """Whatever names it: its data settings and its thresholds are those that it was trained with."""
    recorded = seisweep.load("own-1", kept[0].mlflow_uri)
    metrics, run_id = recorded.trials.loc[0], recorded.run(0).info.run_id
    assert 0.1 < metrics["dev/f1"] < 1
    files = recorded.artifacts(0)
    write_picker_folder(Path("edge"), files / "model_fp32.onnx", {"settings": recorded.config(0)})
    by_model = {"xiaonet": "dev/f1", "model_fp32.onnx": "fp32/f1", "model_int8.onnx": "int8/f1"}
    for name in ("own-1", "own-1/0", "own-1/best", f"runs:/{run_id}", str(files), str(files / "xiaonet"), "edge"):
        rows, said = scored(name)
        found = {model: row["f1"] for (model, phase), row in rows.items() if phase == "both"}
        assert found == {model: metrics[by_model[model]] for model in found}, name
        assert found, name
        for (model, phase), row in rows.items():
            if phase != "both":
                assert row["threshold"] == metrics[f"dev/{phase.lower()}_threshold"], (name, model)
        trained = f"settings as {name} was trained: data.dataset={kept[1]} data.dev_windows_per_trace=3 "
        assert f"{trained}data.store_dtype=float16 picks.distance_samples=60 picks.tolerance_s=0.3\n" in said
        assert "thresholds: as stored with each model\n" in said


def test_what_a_user_says_goes_before_the_record_and_is_said(kept, scored):
    rows, said = scored("own-1/0", "picks.tolerance_s=0.5")
    strict, _ = scored("own-1/0")
    assert rows["xiaonet", "P"]["recall"] >= strict["xiaonet", "P"]["recall"]
    assert "true within 0.5 s" in said
    assert "; as given: picks.tolerance_s=0.5 (trained with 0.3)\n" in said


def test_data_of_the_users_own_are_scored_at_the_stored_thresholds(kept, scored):
    home, own, other = kept
    metrics = seisweep.load("own-1", home.mlflow_uri).trials.loc[0]
    rows, said = scored("own-1/0", f"data.dataset={other}")
    for phase in "PS":
        assert rows["xiaonet", phase]["threshold"] == metrics[f"dev/{phase.lower()}_threshold"]
    assert f"as given: data.dataset={other} (trained with {own})" in said
    chosen, said = scored("own-1/0", f"data.dataset={other}", "--thresholds", "best")
    assert "thresholds: the best on these windows (--thresholds best), which flatter the F1\n" in said
    assert chosen["xiaonet", "both"]["f1"] > rows["xiaonet", "both"]["f1"], "chosen on what it is scored on"


def test_a_registered_model_is_scored_as_the_trial_behind_it_was_trained(kept, scored, tmp_path):
    import onnx
    from mlflow import MlflowClient
    from mlflow.onnx import save_model

    recorded = seisweep.load("own-1", kept[0].mlflow_uri)
    picked = onnx.load(recorded.artifacts(0) / "model_int8.onnx")
    save_model(picked, tmp_path / "registered", save_as_external_data=False, pip_requirements=[])
    client = MlflowClient(kept[0].mlflow_uri, kept[0].mlflow_uri)
    experiment = client.create_experiment("promotions", artifact_location=kept[0].artifacts_dir.as_uri())
    promotion = client.create_run(experiment, tags={"promoted_run": recorded.run(0).info.run_id}).info
    client.log_artifacts(promotion.run_id, str(tmp_path / "registered"))
    client.create_registered_model("own-1")
    version = client.create_model_version("own-1", promotion.artifact_uri, promotion.run_id).version
    client.set_registered_model_alias("own-1", "champion", version)
    for name in ("models:/own-1@champion", "models:/own-1/1"):
        rows, said = scored(name)
        assert [row["f1"] for (_, phase), row in rows.items() if phase == "both"] == [recorded.trials.loc[0]["int8/f1"]]
        assert f"settings as {name} was trained: data.dataset={kept[1]} " in said


def test_data_that_are_gone_are_named_with_who_wants_them(kept, tmp_path, home, capsys):
    recorded = seisweep.load("own-1", kept[0].mlflow_uri)
    moved = tmp_path / "moved"
    shutil.copytree(recorded.artifacts(0), moved)
    config = recorded.config(0)
    config["data"]["dataset"] = str(tmp_path / "gone")
    (moved / "config.json").write_text(json.dumps(config))
    assert run(["evaluate", str(moved)]) == 2
    assert capsys.readouterr().err == (
        f"seisweep: data.dataset={tmp_path}/gone: no such folder "
        f"(the data that {moved} was trained on; data.dataset=... names other data)\n"
    )
    assert not home.exists()


def test_settings_are_looked_at_before_any_model(home, capsys):
    assert run(["evaluate", "stead", "data.dataset=x", "data.dev_windows_per_trace=0"]) == 2
    assert "data.dev_windows_per_trace = 0 is not allowed" in capsys.readouterr().err
    assert run(["evaluate", "stead", "data.colour=red"]) == 2
    assert "unknown key data.colour" in capsys.readouterr().err
    assert not home.exists()


def test_data_that_have_changed_since_are_named(kept, scored, tmp_path, monkeypatch):
    changed = "has changed since own-1/0 was trained on it"
    assert changed not in scored("own-1/0")[1]
    monkeypatch.setattr("seisweep.artifacts.trained_with.fingerprints", lambda dataset: "another")
    assert f"{kept[1]} {changed}\n" in scored("own-1/0")[1]


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
