"""`evaluate --tasks` as a user has it, and several data sets as one table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from seisweep.cli import run
from task_records import write_records

from trainables.models.xiaonet import StudentConfig, build_student


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tasks") / "records"
    write_records(folder)
    return folder


@pytest.fixture(scope="module")
def students(tmp_path_factory) -> list[str]:
    import torch

    folder = tmp_path_factory.mktemp("students")
    for name in ("one", "other"):
        torch.manual_seed(len(name))
        build_student(StudentConfig(base_channels=2, pooling=4)).save(folder / name, version_str="1")
    return [str(folder / name) for name in ("one", "other")]


def test_each_measure_of_each_model_has_a_row(records, students, home, tmp_path, capsys):
    words = [*students, "--tasks", f"data.dataset={records}", "tasks.outlier_s=1.5", "--format", "json"]
    assert run(["evaluate", *words, "--targets", str(tmp_path / "targets")]) == 0
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert [row["model"] for row in rows[:2]] == students
    assert {row["task"] for row in rows} == {"event-detection", "phase-identification", "onset-time"}
    assert len(rows) == 2 * (4 + 2 + 10)
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"], row
        assert (row["minus_first"] is None) == (row["model"] == students[0])
    assert "an onset is an outlier beyond 1.5 s" in err
    assert "thresholds are chosen on" in err
    assert f"windows are kept in {tmp_path / 'targets'}\n" in err
    written = pd.read_csv(tmp_path / "targets" / "task1.csv")
    assert set(written["trace_split"]) == {"dev"}
    assert f"{(written['trace_type'] == 'noise').sum()} with noise" in err

    assert run(["evaluate", *words, "--targets", str(tmp_path / "targets")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == rows, "the same windows, the same numbers"
    assert f"windows are read from {tmp_path / 'targets'}\n" in err
    assert not home.exists()


def test_one_task_of_several_data_sets(records, students, home, tmp_path, capsys):
    write_records(tmp_path / "more", seed=1)
    data = f"data.dataset={records},{tmp_path / 'more'}"
    assert run(["evaluate", students[0], "--task", "onset-time", data, "--format", "csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["data"] for row in rows] == [str(records)] * 10 + [str(tmp_path / "more")] * 10
    assert {row["task"] for row in rows} == {"onset-time"}
    assert "minus_first" not in rows[0]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--tasks"], "data.dataset is missing"),
        (["--tasks", "data.dataset=QUIET"], "cannot be used for event-detection: no noise in split dev"),
        (["--tasks", "data.dataset=RECORDS", "picks.tolerance_s=1"], "unknown key picks.tolerance_s"),
        (["--tasks", "data.dataset=RECORDS", "tasks.seed=-1"], "tasks.seed = -1 is not allowed"),
        (
            ["--tasks", "data.dataset=RECORDS", "--thresholds", "best"],
            "does not go with --tasks, which choose their own",
        ),
        (["--tasks", "data.dataset=RECORDS,QUIET", "--targets", "x"], "holds the windows of one data set"),
        (["data.dataset=RECORDS,RECORDS"], "is named twice"),
        (["data.dataset=RECORDS", "data.sigma_samples=1,2"], "data.sigma_samples has several values"),
    ],
)
def test_wrong_use_is_one_line(records, students, home, tmp_path, capsys, words, complaint):
    write_records(tmp_path / "quiet", with_noise=False)
    metadata = pd.read_csv(tmp_path / "quiet" / "metadata.csv")
    early = metadata["trace_P_arrival_sample"] <= 30 * metadata["trace_sampling_rate_hz"]
    metadata[early].to_csv(tmp_path / "quiet" / "metadata.csv", index=False)
    words = [word.replace("RECORDS", str(records)).replace("QUIET", str(tmp_path / "quiet")) for word in words]
    capsys.readouterr()  # of writing the records
    assert run(["evaluate", students[0], *words]) == 2
    out, err = capsys.readouterr()
    assert complaint in err
    assert err.count("\n") == 1
    assert not out
    assert not home.exists()


def test_a_model_of_other_classes_is_refused_before_data_are_read(home, tmp_path, capsys):
    import onnx
    from onnx import TensorProto, helper

    mean = helper.make_node("ReduceMean", ["waveforms"], ["probabilities"], axes=[2], keepdims=0)
    given = helper.make_tensor_value_info("waveforms", TensorProto.FLOAT, [None, 3, 2500])
    answered = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3])
    graph = helper.make_graph([mean], "classifier", [given], [answered])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model.metadata_props.add(key="classes", value="pre, post")
    onnx.save(model, tmp_path / "classifier.onnx")
    for words in (["--tasks"], []):
        assert run(["evaluate", str(tmp_path / "classifier.onnx"), "data.dataset=/nowhere", *words]) == 2
        err = capsys.readouterr().err
        assert "is not a picker, which has curves of P and S" in err
        assert "its classes: pre, post" in err
        assert err.count("\n") == 1


def test_several_data_sets_are_one_table(records, students, home, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("seisbench.cache_root", tmp_path / "seisbench")
    write_records(tmp_path / "more", seed=1)
    words = [*students, f"data.dataset={records},{tmp_path / 'more'}", "data.dev_windows_per_trace=1"]
    assert run(["evaluate", *words, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in rows] == [*students, "mean of 2, torch"]
    for row in rows:
        for name in ("records f1", "records p_f1", "more s_f1"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    assert rows[0]["more minus_first"] is None
    difference = rows[1]["more f1"] - rows[0]["more f1"]
    assert rows[1]["more minus_first"] == pytest.approx(difference)

    assert run(["evaluate", *words]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert "records f1" in heading
    assert "f1_low" not in heading
    assert len(lines) == 3
    assert f"{rows[0]['records f1']:.3f} ({rows[0]['records f1_low']:.3f} to" in lines[0]

    assert run(["evaluate", students[0], f"data.dataset={records}", *words[3:], "--format", "json"]) == 0
    alone = {row["phase"]: row for row in json.loads(capsys.readouterr().out)}
    assert (alone["both"]["f1"], alone["both"]["f1_low"]) == (rows[0]["records f1"], rows[0]["records f1_low"])
    assert alone["P"]["f1_high"] == rows[0]["records p_f1_high"]
