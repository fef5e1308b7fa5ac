"""Several trials and other models in one opening and one card."""

from __future__ import annotations

import json

import pytest
import torch
from mlflow.tracking import MlflowClient
from promotable import record
from seisbench.models import EQTransformer
from seisweep.cli import run
from seisweep.promotion import openings, registry
from seisweep.promotion import promote as promote_module
from seisweep.record import tags
from seisweep.settings.home import Home

from search_spaces.sweep import single_run
from trainables.models.v5b import XiaoNetV5B
from trainables.promotion.picker import PickerCandidate


@pytest.fixture
def v5b(tmp_path):
    torch.manual_seed(0)
    torch.save({"model_state_dict": XiaoNetV5B().state_dict()}, tmp_path / "V5B.pth")
    return str(tmp_path / "V5B.pth")


def the_opening(own: Home):
    client = MlflowClient(own.mlflow_uri)
    (opening,) = client.search_runs([client.get_experiment_by_name(tags.PROMOTIONS).experiment_id])
    return opening


def test_trials_and_other_models_in_one_card(own, teacher_file, v5b, capsys):
    beside = f"{teacher_file},{v5b}"
    assert run(["promote", "picker", "--trials", "1,0", "--beside", beside, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    rows = {row["name"]: row for row in json.loads(out)}
    assert list(rows) == ["trial 1 fp32", "trial 0 fp32", "trial 0 int8", teacher_file.name, "V5B.pth"]
    assert rows["V5B.pth"]["parameters"] == 20_208
    assert rows[teacher_file.name]["parameters"] == 268_443
    assert rows["trial 0 int8"]["bytes"] < rows["trial 0 fp32"]["bytes"]
    (best,) = [row for row in rows.values() if row["minus_best"] is None]
    for row in rows.values():
        assert row["f1_low"] <= row["f1"] <= row["f1_high"] <= 1
        assert (row["minus_best"] or 0) == pytest.approx(row["f1"] - best["f1"])
    assert "champion: trial 0, the best of these trials on dev" in err
    assert "registered without an alias: trial 1" in err
    assert "opened 1 time\n" in err

    opening = the_opening(own)
    assert (opening.data.tags["trials"], opening.data.tags["beside"]) == ("1, 0", f"{teacher_file.name}, V5B.pth")
    card = json.loads((own.pickers_dir / "picker" / "model.json").read_text())["card"]
    (table,) = card["side_by_side"]
    models = {model["name"]: model for model in table["models"]}
    for precision in ("fp32", "int8"):
        alone, here = card["metrics"]["test"][precision], models[f"trial 0 {precision}"]
        for name in ("f1", "p_f1", "s_f1"):
            assert here[name] == alone[name], "as it is scored alone"
    assert models["trial 0 fp32"]["f1"] == models["trial 1 fp32"]["f1"], "they have the same weights"
    for model in models.values():
        assert model["f1"]["low"] <= model["f1"]["value"] <= model["f1"]["high"]
        less = model["f1"]["value"] - models[table["best"]]["f1"]["value"]
        assert model["f1_less_best"]["value"] == pytest.approx(less)
    assert (table["windows"], table["events"]) == tuple(card["metrics"]["test"][key] for key in ("windows", "events"))

    client = MlflowClient(own.mlflow_uri)
    versions = client.search_model_versions("name = 'picker'")
    assert sorted((one.tags[tags.TRIAL], one.tags["precision"]) for one in versions) == [
        ("0", "fp32"),
        ("0", "int8"),
        ("1", "fp32"),
    ]
    champion = client.get_model_version_by_alias("picker", "champion")
    assert (champion.tags[tags.TRIAL], champion.tags["precision"]) == ("0", "int8")
    assert "## Side by side" in champion.description
    assert run(["promote", "picker"]) == 2
    assert "for picker trials 1, 0 beside " in capsys.readouterr().err


def test_a_model_with_windows_of_another_length_and_curves_stands_beside(own, tmp_path, capsys):
    torch.manual_seed(0)
    EQTransformer(in_samples=768, lstm_blocks=1).save(tmp_path / "short", version_str="1")
    assert run(["promote", "picker", "--beside", f"{tmp_path / 'short'},picker/1", "--format", "json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["trial 0 fp32", "trial 0 int8", "short", "picker/1"]
    assert rows["picker/1"]["parameters"] == rows["trial 0 fp32"]["parameters"]
    card = json.loads((own.pickers_dir / "picker" / "model.json").read_text())["card"]
    (table,) = card["side_by_side"]
    differences = {model["name"]: model["f1_less_best"] for model in table["models"]}
    assert all(one["low"] <= one["value"] <= one["high"] for one in differences.values())
    versions = MlflowClient(own.mlflow_uri).search_model_versions("name = 'picker'")
    assert {one.tags[tags.TRIAL] for one in versions} == {"0"}, "what stands beside is not registered"


class Killed(BaseException): ...


STEPS = {
    "comparing": (promote_module, "compare"),
    "registering": (MlflowClient, "create_model_version"),
    "uploading": (registry, "_log"),
    "ending": (MlflowClient, "set_terminated"),
}


@pytest.mark.parametrize("step", STEPS)
def test_one_that_is_killed_goes_on_with_its_opening(own, v5b, monkeypatch, capsys, step):
    place, name = STEPS[step]
    does = getattr(place, name)

    def last_thing(*given, **more):
        does(*given, **more)
        raise Killed

    words = ["promote", "picker", "--trials", "0,1", "--beside", v5b]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, last_thing)
        patch.setattr(openings.Openings, "_ends", lambda *given: None)
        with pytest.raises(Killed):
            run(words)
    assert run(["promote", "picker", "--trials", "0,1"]) == 2, "another question"
    assert run(words) == 0
    assert "opened 1 time\n" in capsys.readouterr().err
    opening = the_opening(own)
    assert (opening.data.tags[tags.STATE], opening.info.status) == ("done", "FINISHED")
    client = MlflowClient(own.mlflow_uri)
    versions = client.search_model_versions("name = 'picker'")
    assert sorted((one.tags[tags.TRIAL], one.tags["precision"]) for one in versions) == [
        ("0", "fp32"),
        ("0", "int8"),
        ("1", "fp32"),
    ]
    models = client.search_logged_models([opening.info.experiment_id])
    assert sorted(one.name for one in models) == ["fp32", "fp32_trial_1", "int8"]
    assert len(client.get_metric_history(opening.info.run_id, "test_int8/f1")) == 1


def test_several_data_sets_have_a_table_each(own, student, earthquakes, tmp_path, capsys):
    import shutil

    config, done = student
    second = tmp_path / "second"
    shutil.copytree(earthquakes, second)
    metadata = (second / "metadata.csv").read_text().splitlines()
    (second / "metadata.csv").write_text("\n".join(metadata[:-1]) + "\n")  # another one
    both = config.model_copy(
        update={"data": config.data.model_copy(update={"dataset": [str(earthquakes), str(second)]})}
    )
    from trainables import distillation

    facts = distillation.preflight(both)
    trial = ("done", done.checkpoint, both.model_dump(mode="json"), done.reports[-1])
    record(own, single_run("distillation", {}, {"dev/f1": "max"}), "both", facts, [trial, trial])
    assert run(["promote", "both", "--trials", "0,1", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["data"] for row in rows} == {earthquakes.name, "second"}
    card = json.loads((own.pickers_dir / "both" / "model.json").read_text())["card"]
    assert sum(table["windows"] for table in card["side_by_side"]) == card["metrics"]["test"]["windows"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--trials 0,x", "--trials 0,x: give numbers of trials, as 0,1,2"),
        ("--trials 0,0", "--trials 0,0: one is there twice"),
        ("--trials 0,1 --trial 1", "--trial names one trial, --trials several"),
        ("--trials 0,2", "trial 2 of picker is stopped: only a trial that is done can be promoted"),
        ("--trials 0,9", "picker has no trial 9; it has 4"),
        ("--beside ,stead", "--beside ,stead: give models as evaluate takes them"),
        ("--beside nowhere.pth", "nowhere.pth: no such file or folder"),
    ],
)
def test_what_cannot_stand_side_by_side_is_one_line_and_opens_nothing(own, words, complaint, capsys, monkeypatch):
    monkeypatch.setattr(PickerCandidate, "measure", lambda *given: pytest.fail("work has started"))
    assert run(["promote", "picker", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert err.count("\n") == 1
    assert MlflowClient(own.mlflow_uri).get_experiment_by_name(tags.PROMOTIONS) is None


def test_a_model_of_other_classes_is_refused_before_anything_starts(own, student, tmp_path, capsys, monkeypatch):
    import onnx

    from trainables.export.artifacts import FP32_FILE
    from trainables.export.onnx import save
    from trainables.run import ARTIFACTS

    model = onnx.load(student[1].checkpoint / ARTIFACTS / FP32_FILE)
    facts = {prop.key: prop.value for prop in model.metadata_props}
    save(model, tmp_path / "classifier.onnx", facts | {"classes": "pre, post"})
    monkeypatch.setattr(PickerCandidate, "measure", lambda *given: pytest.fail("work has started"))
    assert run(["promote", "picker", "--beside", str(tmp_path / "classifier.onnx")]) == 2
    err = capsys.readouterr().err
    assert "classifier.onnx is not a picker" in err
    assert "its classes: pre, post" in err
    assert err.count("\n") == 1
    assert MlflowClient(own.mlflow_uri).get_experiment_by_name(tags.PROMOTIONS) is None
