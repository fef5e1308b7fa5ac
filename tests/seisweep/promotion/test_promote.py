"""Promotion: the test split once, on the record; models that run without torch; one line where it cannot be."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import obspy
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from promotable import record
from seisweep import results
from seisweep.cli import run
from seisweep.promotion import openings, registry
from seisweep.promotion import promote as promote_module
from seisweep.record import tags
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

from trainables import distillation, finetuning
from trainables.data.synthetic_sequence import write_synthetic_sequence
from trainables.export.artifacts import FP32_FILE, INT8_FILE
from trainables.export.onnx import OnnxPicker
from trainables.promotion.picker import PickerCandidate
from trainables.run import ARTIFACTS, LocalRun


def openings_of(home: Home) -> list[str]:
    """States of everything that opened a test split in this store."""
    client = MlflowClient(home.mlflow_uri)
    experiment = client.get_experiment_by_name(tags.PROMOTIONS)
    runs = client.search_runs([experiment.experiment_id], order_by=["start_time"]) if experiment else []
    return [run.data.tags[tags.STATE] for run in runs]


def test_a_promoted_picker_and_what_a_user_sees(own, student, capsys, monkeypatch):
    monkeypatch.setattr(MlflowClient, "get_metric_history", _one_by_one)
    assert run(["promote", "picker", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    shown = {row["metric"]: row for row in json.loads(out)}
    recorded = results.load("picker").runs[0].data.metrics
    for precision in ("fp32", "int8"):
        f1 = shown["f1"]
        assert f1[f"{precision} dev"] == pytest.approx(recorded[f"{precision}/f1"], abs=1e-3)
        assert f1[f"{precision} test_low"] <= f1[f"{precision} test"] <= f1[f"{precision} test_high"]
    for words in (
        "opened 1 time",
        "picker (fp32 version 1, int8 version 2, champion version 2)",
        "models:/picker@int8",
    ):
        assert words in err

    client = MlflowClient(own.mlflow_uri)
    card = client.get_model_version_by_alias("picker", "champion").description
    for words in ("## Limits", "opened 1 time", "synthetic: yes", "0123abc", "torch 2", "licence: not stated", "Zhu"):
        assert words in card
    promotion = client.search_runs([client.get_experiment_by_name(tags.PROMOTIONS).experiment_id])[0]
    found = promotion.data.metrics
    assert found["test_int8/f1_low"] <= found["test_int8/f1"] <= found["test_int8/f1_high"]
    described = json.loads((own.pickers_dir / "picker" / "model.json").read_text())
    assert described["card"]["metrics"]["test"]["int8"]["f1"]["value"] == found["test_int8/f1"]
    metadata = pd.read_csv(f"{student[0].data.dataset}/metadata.csv", low_memory=False)
    of_test = metadata[metadata.split == "test"]
    assert described["card"]["metrics"]["test"]["windows"] == 2 * len(of_test)
    assert {file.name for file in (own.pickers_dir / "picker").iterdir()} == {
        *(INT8_FILE, FP32_FILE, "model.json", "pick.pyz"),
        *("xiaonet.py", "xiaonet.json.v1", "xiaonet.pt.v1", "README.md"),
    }
    assert (own.pickers_dir / "picker" / "README.md").read_text().count("## Limits") == 1, "with the card"

    assert run(["promote", "picker"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("seisweep: this test split was opened before: 20")
    assert "for picker trial 0 by" in err
    assert run(["promote", "picker", "--trial", "1"]) == 2, "another trial, the same test split"
    assert openings_of(own) == ["done"]
    capsys.readouterr()

    assert run(["promote", "picker", "--trial", "1", "--again"]) == 0
    err = capsys.readouterr().err
    assert "opened 2 times" in err
    assert "only FP32 is registered: the gate's verdict on INT8 is refused: No convolution runs in INT8." in err
    model = client.get_registered_model("picker")
    assert {alias: str(version) for alias, version in model.aliases.items()} == {"fp32": "3", "champion": "3"}
    assert "opened 2 times (before: 20" in client.get_model_version("picker", "3").description


def _one_by_one(*given: object) -> None:
    pytest.fail("a server would be asked for every metric of the run")


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from pathlib import Path
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
found = mlflow.pyfunc.load_model("models:/picker@int8").predict(np.load(sys.argv[2]))
np.save(sys.argv[3], found["probabilities"])
sys.path.insert(0, sys.argv[4] + "/pick.pyz")
from trainables.edge.job import run
from trainables.edge.network import load_onnx
model = Path(mlflow.artifacts.download_artifacts("models:/picker@int8/model.onnx"))
run(load_onnx(model), [sys.argv[5]], Path(sys.argv[6]))
"""


@pytest.mark.integration
def test_mlflow_gives_the_int8_model_by_alias_without_torch(own, student, tmp_path, capsys):
    assert run(["promote", "picker"]) == 0
    rng = np.random.default_rng(0)
    np.save(tmp_path / "windows.npy", rng.uniform(-1, 1, (5, 3, 3001)).astype(np.float32))
    header = {"network": "XX", "station": "A", "sampling_rate": 100}
    traces = [np.cumsum(rng.normal(size=9000)).astype(np.float32) for _ in "ENZ"]
    stream = obspy.Stream(
        obspy.Trace(data, {**header, "channel": f"HH{c}"}) for c, data in zip("ENZ", traces, strict=True)
    )
    stream.write(str(tmp_path / "a.mseed"), format="MSEED")
    given = [own.mlflow_uri, tmp_path / "windows.npy", tmp_path / "found.npy", own.pickers_dir / "picker"]
    given += [tmp_path / "a.mseed", tmp_path / "picks.csv"]
    code = [sys.executable, "-c", WITHOUT_TORCH, *map(str, given)]
    done = subprocess.run(code, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file = student[1].checkpoint / ARTIFACTS / INT8_FILE
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), OnnxPicker(file)(np.load(tmp_path / "windows.npy")))
    capsys.readouterr()
    for model in (str(file), "models:/picker@int8", str(own.pickers_dir / "picker")):
        assert run(["pick", model, str(tmp_path / "a.mseed")]) == 0
        assert capsys.readouterr().out == (tmp_path / "picks.csv").read_text()


def test_an_opening_counts_whatever_comes_after_it(own, monkeypatch, capsys):
    """For every other trial; the same one goes on with it, and it counts once."""
    measure = PickerCandidate.measure

    def dies(self, split, opening=None):
        if split == "test":
            raise MemoryError("no more")
        return measure(self, split, opening)

    with monkeypatch.context() as patch:
        patch.setattr(PickerCandidate, "measure", dies)
        assert run(["promote", "picker"]) == 1
    assert openings_of(own) == ["failed"]
    assert run(["promote", "picker", "--trial", "1"]) == 2
    assert "opened before" in capsys.readouterr().err
    assert run(["promote", "picker"]) == 0
    assert "opened 1 time\n" in capsys.readouterr().err
    assert openings_of(own) == ["done"]


class Killed(BaseException): ...


STEPS = {
    "opening": (openings.Openings, "_numbered"),
    "reading": (PickerCandidate, "measure"),
    "writing the card": (promote_module, "_written"),
    "uploading": (registry, "_log"),
    "registering": (MlflowClient, "create_model_version"),
    "naming": (MlflowClient, "set_registered_model_alias"),
    "ending": (MlflowClient, "set_terminated"),
    "scoring": (MlflowClient, "log_batch"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_promotion_that_is_killed_goes_on_with_its_opening(own, monkeypatch, capsys, step):
    """Right after each step: one opening, one version of each model, each score once."""
    place, name = STEPS[step]
    does = getattr(place, name)

    def last_thing(*given, **more):
        found = does(*given, **more)
        if step == "reading" and given[1] == "dev":
            return found
        if step == "scoring":
            if not more.get("metrics"):
                return found
            MlflowClient.set_tag(given[0], given[1], tags.STATE, "running")  # scores arrive before what is said of them
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(place, name, last_thing)
        patch.setattr(openings.Openings, "_ends", lambda *given: None)  # who is killed writes nothing more
        with pytest.raises(Killed):
            run(["promote", "picker"])
    assert openings_of(own) == ["running"]
    assert run(["promote", "picker"]) == 0
    assert "opened 1 time\n" in capsys.readouterr().err
    check_one_promotion(own)
    assert run(["promote", "picker"]) == 2
    check_one_promotion(own)


def check_one_promotion(own: Home) -> None:
    client = MlflowClient(own.mlflow_uri)
    experiment = client.get_experiment_by_name(tags.PROMOTIONS).experiment_id
    (opening,) = client.search_runs([experiment])
    assert (opening.data.tags[tags.STATE], opening.info.status) == ("done", "FINISHED")
    versions = client.search_model_versions("name = 'picker'")
    assert sorted(one.tags["precision"] for one in versions) == ["fp32", "int8"]
    assert {one.run_id for one in versions} == {opening.info.run_id}
    models = client.search_logged_models([experiment])
    assert sorted(one.name for one in models) == ["fp32", "int8"]
    assert len(client.get_metric_history(opening.info.run_id, "test_int8/f1")) == 1
    (int8,) = (one for one in models if one.name == "int8")
    of_model = {one.key for one in client.get_logged_model(int8.model_id).metrics or []}
    assert "test_int8/f1" in of_model
    assert not any("fp32" in key for key in of_model)


def test_an_opening_that_a_merge_has_brought_is_completed_with_its_models(own, capsys):
    """Registered models do not come along."""
    assert run(["promote", "picker"]) == 0
    client = MlflowClient(own.mlflow_uri)
    client.delete_registered_model("picker")
    assert run(["promote", "picker"]) == 0
    assert "opened 1 time\n" in capsys.readouterr().err
    check_one_promotion(own)


def test_of_two_promotions_at_once_the_first_one_opens(own, monkeypatch):
    def record_of():
        return openings.Openings.of(own_store(own), "data 1")

    first, second = record_of(), record_of()
    monkeypatch.setattr(openings.Openings, "check", lambda *given: None)  # both looked before either wrote
    about = {tags.SWEEP: "one", tags.PROMOTED_RUN: "trial", tags.MODELS: "digests"}
    with first.opened("one", about, again=False) as opened:
        assert (opened.opening.number, opened.earlier) == (1, [])
        others = about | {tags.MODELS: "others"}
        with pytest.raises(ValueError, match=r"opened before: .* for one"), second.opened("two", others, again=False):
            pytest.fail("it was opened a second time")
    assert openings_of(own) == ["running", "refused"]
    with second.opened("two", others, again=True) as opened:
        assert opened.opening.number == 2, "the one that was refused has read nothing"


def test_test_records_of_a_mixture_are_opened_with_those_of_its_data_sets(own):
    about = {tags.SWEEP: "one", tags.PROMOTED_RUN: "trial", tags.MODELS: "digests"}
    with openings.Openings.of(own_store(own), "data 1, split by its metadata").opened("one", about, again=False):
        pass
    mixture = openings.Openings.of(own_store(own), "data 0+1, split by its metadata")
    others = about | {tags.SWEEP: "two", tags.PROMOTED_RUN: "other"}
    with pytest.raises(ValueError, match=r"opened before: .* for one"):
        mixture.check(others, again=False)
    with mixture.opened("two", others, again=True) as opened:
        assert opened.opening.number == 1
        assert [run.data.tags[tags.SWEEP] for run in opened.earlier] == ["one"]
    for unlike in ("data 2+3, split by its metadata", "data 1, 2 classes"):
        openings.Openings.of(own_store(own), unlike).check(others, again=False)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("picked", "no sweep named picked in sqlite:"),
        ("unfinished", "no trial of unfinished has finished (1 stopped)"),
        ("picker --trial 2", "trial 2 of picker is stopped: only a trial that is done can be promoted"),
        ("picker --trial 3", "trial 3 of picker is failed (out of luck): only a trial"),
        ("picker --trial 9", "picker has no trial 9; it has 4"),
        (
            "encoder",
            "encoder trained pretraining: only pickers and classifiers can be promoted, trained by distillation",
        ),
    ],
)
def test_what_cannot_be_promoted_is_one_line_and_opens_nothing(own, words, complaint, capsys):
    assert run(["promote", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert err.count("\n") == 1
    assert openings_of(own) == []


def test_changed_data_and_missing_files_open_nothing(own, student, tmp_path, capsys):
    client = MlflowClient(own.mlflow_uri)
    trial = results.load("picker").runs[0]
    client.set_tag(trial.info.run_id, tags.DATA_FINGERPRINT, "000000000000")
    assert run(["promote", "picker", "--trial", "0"]) == 2
    assert "has changed since trial 0 of picker was trained on it" in capsys.readouterr().err
    no_files = client.create_run(trial.info.experiment_id, tags={**trial.data.tags, tags.TRIAL: "9"})
    client.set_tag(no_files.info.run_id, tags.DATA_FINGERPRINT, distillation.preflight(student[0])["data_fingerprint"])
    client.log_dict(no_files.info.run_id, student[0].model_dump(mode="json"), tags.CONFIG_FILE)
    assert run(["promote", "picker", "--trial", "9"]) == 2
    assert "trial 9 of picker cannot be promoted: there is no model_fp32.onnx" in capsys.readouterr().err
    assert openings_of(own) == []


def test_a_promoted_classifier(own, tmp_path, capsys):
    from search_spaces.sweep import single_run

    write_synthetic_sequence(tmp_path / "nrca", num_events=200)
    settings = {
        "data": {"dataset": str(tmp_path / "nrca"), "num_classes": 2},
        "model": {
            "backbone": "transformer",
            "d_model": 8,
            "n_layers": 1,
            "num_heads": 2,
            "conv_width": 8,
            "conv_layers": 6,
        },
        "training": {"epochs": 1, "batch_size": 8, "limit_train_batches": 4, "precision": "fp32"},
    }
    config = finetuning.FinetuningConfig.model_validate(settings)
    done = LocalRun(tmp_path / "run")
    finetuning.train(config, done)
    sweep = single_run("finetuning", {}, {"dev/accuracy": "max"})
    trials = [("done", done.checkpoint, config.model_dump(mode="json"), done.reports[-1])]
    record(own, sweep, "classifier", finetuning.preflight(config), trials)
    assert run(["promote", "classifier", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    shown = {row["metric"]: row for row in json.loads(out)}
    assert shown["accuracy"]["fp32 dev"] == pytest.approx(done.reports[-1]["dev/accuracy"], abs=0.02)
    assert "registered: classifier (fp32 version 1, champion version 1)" in err
    assert "picker folder" not in err
    card = MlflowClient(own.mlflow_uri).get_model_version("classifier", "1").description
    assert "2 classes, fixed, temporal, seed 42" in card
    assert "classes: pre, post" in card
