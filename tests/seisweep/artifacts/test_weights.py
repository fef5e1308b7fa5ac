"""Weights that a setting names by what the record calls them: a run, a model, a trial of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from seisweep.artifacts.weights import with_local_weights
from seisweep.record import tags
from seisweep.settings.profile import Profile

from search_spaces.sweep import Choice, single_run


@pytest.fixture
def client(engine_home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return MlflowClient(tracking_uri=engine_home.mlflow_uri)


@pytest.fixture
def log_run(client, engine_home, tmp_path):
    """Logs a run with these files, with these tags; its id."""
    experiment = client.create_experiment("pretraining", artifact_location=engine_home.artifacts_dir.as_uri())

    def log(files: dict[str, str], **run_tags: str) -> str:
        run_id = client.create_run(experiment, tags=run_tags).info.run_id
        for name, text in files.items():
            file = tmp_path / "logged" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            client.log_artifact(run_id, str(file))
        return run_id

    return log


@pytest.fixture
def log_sweep(client, log_run, engine_home):
    """Records a sweep whose trials have these scores, each with a file of its own number; run ids of the trials."""

    def log(name: str, scores: list[float]) -> list[str]:
        common = {tags.SWEEP: name, tags.SWEEP_ID: f"id of {name}"}
        log_run({}, **common, **{tags.ROLE: tags.SWEEP_ROLE, tags.OBJECTIVES: '{"dev/accuracy": "max"}'})
        trials = []
        for number, score in enumerate(scores):
            own = {tags.ROLE: "trial", tags.TRIAL: str(number), tags.STATE: "done", tags.SEED: "0"}
            trials.append(log_run({"encoder.pt": f"weights of trial {number}"}, **common, **own))
            client.log_metric(trials[-1], "dev/accuracy", score)
        engine_home.sweep_dir(name).mkdir()
        return trials

    return log


def fetched(name, home, key="model.pretrained"):
    sweep, found = with_local_weights(single_run("finetuning", {key: name}), Profile(), home)
    return Path(sweep.base[key]), found.get(tags.WEIGHTS_FROM)


def test_a_run_becomes_a_copy_in_the_home_that_outlives_the_run(client, log_run, engine_home):
    run_id = log_run({"encoder.pt": "weights", "training_history.png": "a figure"})
    folder, origin = fetched(f"runs:/{run_id}", engine_home)
    assert origin == f"runs:/{run_id}"
    assert folder.is_relative_to(engine_home.cache_dir)
    assert {file.name for file in folder.iterdir()} == {"encoder.pt", "training_history.png"}
    assert fetched(f"runs:/{run_id}/", engine_home)[0] == folder, "the same content lies there once"
    assert fetched(f"runs:/{run_id}/encoder.pt", engine_home)[0].read_text() == "weights"
    assert not list(folder.parent.glob(".arriving*"))


def test_a_trial_and_the_best_one_of_a_sweep(log_sweep, engine_home):
    runs = log_sweep("pretraining-1", [0.2, 0.5, 0.3])
    best, origin = fetched("pretraining-1", engine_home)
    assert best.read_text() == "weights of trial 1"
    assert origin == f"pretraining-1 (runs:/{runs[1]})"
    assert fetched("pretraining-1/2", engine_home)[0].read_text() == "weights of trial 2"


def test_a_registered_model_by_its_alias(client, log_run, engine_home):
    client.create_registered_model("norcia")
    for text in ("first", "second"):
        run_id = log_run({"encoder.pt": text})
        source = client.get_run(run_id).info.artifact_uri
        version = client.create_model_version("norcia", source, run_id).version
        client.set_registered_model_alias("norcia", "champion", version)
        assert fetched("models:/norcia@champion", engine_home)[0].read_text() == text


def test_the_pair_of_a_picker_is_named_by_its_stem(log_run, engine_home):
    run_id = log_run({"phasenet.json.v1": "{}", "phasenet.pt.v1": "weights", "history.png": "a figure"})
    assert fetched(f"runs:/{run_id}", engine_home, "teacher.weights")[0].name == "phasenet"


def test_a_student_goes_on_from_a_trial_or_a_run(log_run, log_sweep, engine_home):
    log_sweep("distillation-1", [0.5, 0.7])
    file, origin = fetched("distillation-1/0", engine_home, "student.pretrained")
    assert file.read_text() == "weights of trial 0"
    assert origin.startswith("distillation-1/0 (runs:/")
    run_id = log_run({"xiaonet.pt.v1": "tensors", "xiaonet.json.v1": "{}", "model_fp32.onnx": "graph"})
    stem, _ = fetched(f"runs:/{run_id}", engine_home, "student.pretrained")
    assert (stem.name, stem.with_name("xiaonet.pt.v1").read_text()) == ("xiaonet", "tensors")
    with pytest.raises(ValueError, match=r"^student\.pretrained=nowhere-1: no sweep"):
        fetched("nowhere-1", engine_home, "student.pretrained")


def test_paths_and_names_of_seisbench_stay(engine_home, client, tmp_path):
    (tmp_path / "here").mkdir()
    engine_home.sweep_dir("here").mkdir()
    base = {"teachers": ["stead", "seisbench:new"], "teacher.weights": "here", "data.dataset": "runs:/1"}
    sweep = single_run("picking", base)
    assert with_local_weights(sweep, Profile(), engine_home) == (sweep, {})


def test_each_of_several_is_fetched(log_sweep, engine_home):
    log_sweep("pretraining-1", [0.2, 0.5])
    varied = {"model.pretrained": Choice(values=["pretraining-1/0", "pretraining-1/1", None])}
    sweep, _ = with_local_weights(single_run("finetuning", {}).changed(vary=varied), Profile(), engine_home)
    chosen = sweep.vary["model.pretrained"].values
    assert [Path(value).read_text() for value in chosen[:2]] == ["weights of trial 0", "weights of trial 1"]
    assert chosen[2] is None


def test_each_of_a_list_and_of_listed_points_is_fetched(log_sweep, engine_home):
    log_sweep("pretraining-1", [0.2, 0.5])
    base = {"teachers": ["pretraining-1/0", "stead"]}
    sweep, _ = with_local_weights(single_run("distillation", base), Profile(), engine_home)
    recorded, name = sweep.base["teachers"]
    assert (Path(recorded).read_text(), name) == ("weights of trial 0", "stead")
    listed = single_run("distillation", {}).changed(
        sampler="grid", points=[{"teachers": ["stead"]}, {"teachers": ["stead", "pretraining-1"]}]
    )
    points = with_local_weights(listed, Profile(), engine_home)[0].points
    assert points is not None
    assert points[0] == {"teachers": ["stead"]}
    assert Path(points[1]["teachers"][1]).read_text() == "weights of trial 1"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("runs:/0123456789", "model.pretrained=runs:/0123456789: no such files in sqlite:"),
        ("models:/norcia@champion", "model.pretrained=models:/norcia@champion: no such files in"),
        ("pretraining-1/7", "model.pretrained=pretraining-1/7: pretraining-1 has no trial 7; it has 1"),
        ("nothing-1/0", "model.pretrained=nothing-1/0: no sweep, run, file or folder of this name"),
    ],
)
def test_what_is_not_recorded_is_one_line(log_sweep, engine_home, name, complaint):
    log_sweep("pretraining-1", [0.2])
    with pytest.raises(ValueError, match=r"^[^\n]+$") as raised:
        fetched(name, engine_home)
    assert complaint in str(raised.value)


def test_a_run_that_left_no_files_is_refused(log_run, engine_home):
    with pytest.raises(ValueError, match=r"has no files in .*; its training did not finish"):
        fetched(f"runs:/{log_run({})}", engine_home)


def test_names_of_seisbench_are_for_pickers_and_a_trainable_of_ones_own_knows_its_names(engine_home, toy_sweep):
    def local(trainable: str, name: str) -> object:
        sweep = toy_sweep(trainable=trainable, base={"model.pretrained": name})
        return with_local_weights(sweep, Profile(), engine_home)[0].base["model.pretrained"]

    assert local("picking", "stead") == "stead"
    assert local("mine:train", "resnet50") == "resnet50"
    for trainable, name in [("picking", "resnet50"), ("finetuning", "stead")]:
        with pytest.raises(ValueError, match=f"model.pretrained={name}: no sweep, run,"):
            local(trainable, name)
