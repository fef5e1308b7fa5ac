"""`seisweep pick` finds its model wherever it lies, and writes what SeisBench's classify finds."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import obspy
import pytest
import torch
from seisweep.cli import run

from trainables.export.artifacts import save_seisbench
from trainables.export.onnx import export_onnx
from trainables.export.picker_folder import write_picker_folder
from trainables.models.xiaonet import StudentConfig, XiaoNet, build_student

THRESHOLDS = {"P": 0.5, "S": 0.3}


@pytest.fixture(scope="module")
def trial(tmp_path_factory) -> Path:
    """Files of a trial: a SeisBench pair and FP32 ONNX, of a student with random weights and lively curves."""
    torch.manual_seed(3)
    model = build_student(StudentConfig(base_channels=4, pooling=4)).eval()
    with torch.no_grad():
        model.head.weight.mul_(200)
        model.head.bias.zero_()
    folder = tmp_path_factory.mktemp("trial")
    save_seisbench(model, folder, THRESHOLDS, "random weights")
    export_onnx(model, folder / "model_fp32.onnx", THRESHOLDS)
    return folder


@pytest.fixture
def waveforms(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    header = {"network": "XX", "station": "ABC", "sampling_rate": 100, "starttime": obspy.UTCDateTime(2024, 1, 1)}
    noise = [np.cumsum(rng.normal(size=12_000)).astype(np.float32) for _ in "ENZ"]
    stream = obspy.Stream(
        obspy.Trace(data, {**header, "channel": f"HH{c}"}) for c, data in zip("ENZ", noise, strict=True)
    )
    stream.write(str(tmp_path / "a.mseed"), format="MSEED")
    return tmp_path / "a.mseed"


def rows(capsys) -> list[tuple[str, str, str]]:
    """Station, phase and time of each pick on standard output."""
    return [(row["station"], row["phase"], row["time"]) for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]


def test_every_form_of_a_picker_picks_as_classify_does(trial, waveforms, home, tmp_path, capsys):
    student = XiaoNet.load(trial / "xiaonet", version_str="1")
    picks = student.classify(obspy.read(str(waveforms))).picks
    expected = sorted(("ABC", pick.phase, str(pick.peak_time)) for pick in picks)
    assert len(expected) > 5
    write_picker_folder(tmp_path / "folder", trial / "model_fp32.onnx", {})
    models = [trial / "model_fp32.onnx", trial / "xiaonet", trial / "xiaonet.json.v1", trial, tmp_path / "folder"]
    for model in models:
        assert run(["pick", str(model), str(waveforms)]) == 0
        assert sorted(rows(capsys)) == expected
    assert (
        run(["pick", str(trial), str(waveforms), "--precision", "torch", "--overlap", "0", "--blinding", "50", "50"])
        == 0
    )
    blinded = student.classify(obspy.read(str(waveforms)), overlap=0, blinding=(50, 50)).picks
    assert sorted(rows(capsys)) == sorted(("ABC", pick.phase, str(pick.peak_time)) for pick in blinded)
    assert not home.exists()


def test_a_phasenet_picks_as_it_does_in_seisbench(shared_data, home, capsys):
    from seisbench.models import PhaseNet

    file = shared_data / "real_data/continuous/PB_B916_ridgecrest_20min.mseed"
    for name in ("teacher_pn_original", "teacher_okla_tl"):
        stem = shared_data / "real_data/teachers" / name
        picks = PhaseNet.load(stem, version_str="1").classify(obspy.read(str(file)), P_threshold=0.5).picks
        assert len(picks) > 20
        assert run(["pick", str(stem), str(file), "--p-threshold", "0.5"]) == 0
        assert sorted(rows(capsys)) == sorted(("B916", pick.phase, str(pick.peak_time)) for pick in picks)


def test_a_registered_model_is_found_by_its_alias(trial, waveforms, home, tmp_path, capsys):
    import onnx
    from mlflow import MlflowClient
    from mlflow.onnx import save_model
    from seisweep.settings.home import Home

    model = onnx.load(trial / "model_fp32.onnx")
    save_model(model, tmp_path / "registered", save_as_external_data=False, pip_requirements=[])
    uri = Home.find().prepare_store()
    client = MlflowClient(uri, uri)
    logged = client.create_run("0").info
    client.log_artifacts(logged.run_id, str(tmp_path / "registered"))
    client.create_registered_model("xiao")
    version = client.create_model_version("xiao", logged.artifact_uri, logged.run_id).version
    client.set_registered_model_alias("xiao", "champion", version)
    assert run(["pick", str(trial / "model_fp32.onnx"), str(waveforms)]) == 0
    expected = rows(capsys)
    assert expected
    for name in ("models:/xiao@champion", "models:/xiao/1"):
        assert run(["pick", name, str(waveforms)]) == 0
        assert rows(capsys) == expected
    assert run(["pick", "models:/xiao@nobody", str(waveforms)]) == 2
    assert "no files of such a registered model" in capsys.readouterr().err
    assert not list(Path.cwd().iterdir())


def test_a_file_gets_the_picks_and_a_bad_file_the_exit_code(trial, waveforms, home, tmp_path, capsys):
    (tmp_path / "empty.sac").touch()
    arguments = ["pick", str(trial), str(waveforms), str(tmp_path / "empty.sac"), "--output", str(tmp_path / "p.csv")]
    assert run(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{tmp_path}/empty.sac: cannot be read (the file is empty)" in err
    assert (tmp_path / "p.csv").read_text().startswith("network,station,location,phase,time,probability\nXX,ABC,,")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("nothing.onnx a.mseed", "nothing.onnx: no such file"),
        ("{trial} nowhere/", "nowhere: cannot be read"),
        ("{trial} . --p-threshold 2", "above 0, at most 1"),
        ("{trial} . --overlap 5000", "overlap 5000 is not allowed"),
        ("{trial} . --precision int8", "holds no int8 picker; it holds torch, fp32"),
        ("{empty} .", "no picker here"),
        ("{classifier} .", "classifier.pt.v1: not the weights of a PhaseNet"),
        ("models:/xiao@champion .", "holds no sweeps yet"),
        ("{trial} . --format xml", "--format"),
    ],
)
def test_wrong_use_is_one_line(words, part, trial, home, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    torch.save({"weight": torch.zeros(2)}, tmp_path / "classifier.pt.v1")
    (tmp_path / "classifier.json.v1").write_text('{"model_args": {"num_classes": 9}}')
    filled = words.format(trial=trial, empty=tmp_path / "empty", classifier=tmp_path / "classifier")
    code = run(["pick", *filled.split()])
    err = capsys.readouterr().err
    assert part in err
    assert "Traceback" not in err
    assert code == (1 if "nowhere" in words else 2)
    assert not home.exists()
