"""`seisweep pick` finds its model wherever it lies, and writes what SeisBench's classify finds."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import lifelike
import numpy as np
import obspy
import pytest
import torch
from seisbench.models import EQTransformer
from seisweep.cli import run

from trainables.export.artifacts import save_seisbench
from trainables.export.onnx import export_onnx
from trainables.export.picker_folder import write_picker_folder
from trainables.models.architectures import build
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


def test_an_eqtransformer_picks_as_it_does_in_seisbench(waveforms, home, tmp_path, capsys):
    """Its own window, normalisation, stacking and blinding, in PyTorch and as ONNX."""
    torch.manual_seed(0)
    adapter = build("eqtransformer", {"in_samples": 1500, "lstm_blocks": 1}, StudentConfig()).eval()
    with torch.no_grad():  # lively curves
        curves = adapter.core(torch.randn(8, 3, 1500))
        for row, head in enumerate(adapter.eqtransformer.pick_convs):
            scale = 4 / curves[:, row, 200:-200].std()
            head.bias.copy_(scale * (head.bias - curves[:, row, 200:-200].mean()) - 2)
            head.weight.mul_(scale)
    stem = save_seisbench(adapter, tmp_path, THRESHOLDS, "random weights")
    export_onnx(adapter, tmp_path / "model_fp32.onnx", THRESHOLDS)
    picks = EQTransformer.load(stem, version_str="1").classify(obspy.read(str(waveforms))).picks
    expected = sorted(("ABC", pick.phase, str(pick.peak_time)) for pick in picks)
    assert len(expected) > 2
    for model in (stem, tmp_path / "model_fp32.onnx"):
        assert run(["pick", str(model), str(waveforms)]) == 0
        found = sorted(rows(capsys))
        assert [phase for _, phase, _ in found] == [phase for _, phase, _ in expected]
        apart_s = [obspy.UTCDateTime(a[2]) - obspy.UTCDateTime(b[2]) for a, b in zip(found, expected, strict=True)]
        assert np.abs(apart_s).max() <= 0.02, "steep curves of random weights: the highest of two equal samples"


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
    bad = [str(tmp_path / "empty.sac"), str(tmp_path / "nowhere")]
    assert run(["pick", str(trial), str(waveforms), *bad, "--output", str(tmp_path / "p.csv")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{tmp_path}/empty.sac: cannot be read (the file is empty)" in err
    assert f"{tmp_path}/nowhere: cannot be read (No such file or directory)" in err
    assert (tmp_path / "p.csv").read_text().startswith("network,station,location,phase,time,probability\nXX,ABC,,")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("nothing.onnx a.mseed", "nothing.onnx: no such file"),
        ("{trial} nowhere/", "nowhere/: no such file or folder\n"),
        ("{trial} nowhere/ a.mseed b.mseed", "nowhere/: no such file or folder, nor any of 2 more\n"),
        ("{trial} . --p-threshold 2", "threshold 2 of P is not allowed: above 0, at most 1"),
        ("{trial} . --overlap 5000", "overlap 5000 is not allowed"),
        ("{trial} . --precision int8", "holds no int8 picker; it holds torch, fp32"),
        ("{empty} .", "no picker here"),
        ("{classifier} .", "classifier.pt.v1: not the weights of a PhaseNet"),
        ("models:/xiao@champion .", "holds no sweeps yet"),
        ("{trial} . --format xml", "Invalid value for '--format': 'xml' is not one of 'csv', "),
        ("{trial} . --start yesterday", "--start yesterday: not a time; write it as 2019-07-07T08:00:00, in UTC"),
        ("{trial} . --start 2024-01-02 --end 2024-01-01", "is not before --end"),
        ("{trial} . --stations A.B.C", "'A.B.C' is not a station; write STA or NET.STA"),
        ("{trial} fdsn:http://127.0.0.1:9?network=CX", "from when to when? give --start and --end"),
        (
            "{trial} fdsn:http://127.0.0.1:9?network=CX&start=2024-01-02 --end 2024-01-01",
            "02T00:00:00.000000Z is not before",
        ),
        ("{trial} fdsn:http://127.0.0.1:9?network=CX --start 2024-01-01 --end 2024-01-02", "does not answer as a data"),
        ("{trial} fdsn:http://127.0.0.1:9", "needs an address and a network"),
        ("{trial}", "no waveforms: "),
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
    assert "times real time" not in err
    assert code == 2
    assert not home.exists()


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """Another student, with thresholds of its own."""
    torch.manual_seed(5)
    model = build_student(StudentConfig(base_channels=4, pooling=4)).eval()
    with torch.no_grad():
        model.head.weight.mul_(200)
        model.head.bias.zero_()
    file = tmp_path_factory.mktemp("other") / "model_fp32.onnx"
    export_onnx(model, file, {"P": 0.3, "S": 0.35})
    return file


def test_several_models_pick_by_the_mean_that_evaluate_scores(teacher_file, earthquakes, home, tmp_path):
    """The same curves, thresholds and scores, of three models with different orders of components and classes."""
    from seisweep.artifacts.pickers import Picker, find_networks, find_pickers, means_of
    from seisweep.commands.evaluate import stored_thresholds
    from seisweep.commands.evaluate_scores import in_full, score
    from seisweep.settings.home import Home
    from seisweep.settings.profile import load_profile

    from trainables.data.batches import DevWindows
    from trainables.data.config import DataConfig
    from trainables.data.windows import open_store
    from trainables.edge.mean import mean_of
    from trainables.edge.picking import annotate_mean
    from trainables.evaluation.picks import PickConfig

    config = DataConfig(dataset=str(earthquakes), dev_windows_per_trace=2, cache_dir=tmp_path / "cache")
    dev = DevWindows(open_store(config, "dev"), config)
    names = [str(tmp_path / "one.onnx"), str(tmp_path / "two.onnx"), str(teacher_file)]
    for name, thresholds in zip(names[:2], (THRESHOLDS, {"P": 0.3, "S": 0.35}), strict=True):
        model = lifelike.picker(norm="group" if "one" in name else "batch")
        with torch.no_grad():
            model.head.weight.mul_(12)
        export_onnx(model, Path(name), thresholds)
    where = Home.find(), load_profile("local", home)
    means = means_of([find_pickers(name, *where).pickers for name in names])
    ((mean_name, members),) = means.items()
    network = mean_of(find_networks(names, *where))
    assert network.thresholds == pytest.approx(stored_thresholds(members, means)[mean_name])
    assert network.thresholds == pytest.approx({"P": (0.5 + 0.3 + 0.3) / 3, "S": (0.3 + 0.35 + 0.3) / 3})

    def by_the_mean(batch) -> np.ndarray:
        curves = [next(annotate_mean(lambda a, b, w=w: w[:, a:b], 3001, network))[1] for w in batch.raw_BXT.numpy()]
        expected_BCT = np.mean([member.probabilities(batch) for member in members], axis=0)
        np.testing.assert_allclose(np.stack(curves), expected_BCT[:, :2], atol=2e-4)
        return np.concatenate([np.stack(curves), expected_BCT[:, 2:]], axis=1)

    thresholds = stored_thresholds(members, means) | {"by pick": network.thresholds}
    rows = in_full(score([*members, Picker("by pick", by_the_mean, "torch")], dev, PickConfig(), means, thresholds))
    of_both = {name: [row for row in rows if row["model"] == name] for name in (mean_name, "by pick")}
    for mine, theirs in zip(of_both["by pick"], of_both[mean_name], strict=True):
        assert {**mine, "model": ""} == pytest.approx({**theirs, "model": ""}, abs=1e-6)


def test_several_models_say_what_they_are_and_pick(trial, other, waveforms, home, capsys):
    fp32 = trial / "model_fp32.onnx"
    assert run(["pick", str(fp32), str(other), str(waveforms)]) == 0
    out, err = capsys.readouterr()
    assert f"models: {fp32}, {other}; waveforms: {waveforms}\n" in err
    assert f"mean of {fp32}, {other}, thresholds P 0.4, S 0.325\n" in err
    several = list(csv.DictReader(io.StringIO(out)))
    assert several
    assert run(["pick", str(trial), str(other), str(waveforms), "--p-threshold", "0.9", "--s-threshold", "0.9"]) == 0
    out, err = capsys.readouterr()
    assert "mean of xiaonet" not in err, "FP32 is what both have"
    assert len(out.splitlines()) - 1 < len(several)


def test_formats_times_and_stations(trial, waveforms, home, capsys):
    model = str(trial / "model_fp32.onnx")
    span = ["--start", "2024-01-01T00:00:20", "--end", "2024-01-01T00:01:30"]
    assert run(["pick", model, str(waveforms), *span, "--format", "seisbench", "--stations", "XX.A*"]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    begin = obspy.UTCDateTime(2024, 1, 1)
    trimmed = waveforms.with_name("trimmed.mseed")
    obspy.read(str(waveforms)).slice(begin + 20, begin + 89.99).write(str(trimmed), format="MSEED")
    assert run(["pick", model, str(trimmed)]) == 0
    assert [(row["phase"], row["peak_time"]) for row in found] == [row[1:] for row in rows(capsys)]
    assert len(found) > 2
    assert run(["pick", model, str(waveforms), "--format", "quakeml"]) == 0
    out, err = capsys.readouterr()
    assert "model_fp32.onnx has no residuals of P and S: no time errors in QuakeML" in err
    (event,) = obspy.read_events(io.BytesIO(out.encode()))
    assert {str(pick.method_id) for pick in event.picks} == {"smi:local/seisweep/model_fp32.onnx"}
    assert run(["pick", model, str(waveforms), "--stations", "ABC,DEF"]) == 1
    assert "no waveforms of DEF\n" in capsys.readouterr().err
    assert run(["pick", model, str(waveforms), "--start", "2025-01-01"]) == 1
    expected = "nothing to pick from 2025-01-01T00:00:00.000000Z; the waveforms that were read lie between 2024-01-01T0"
    assert expected in capsys.readouterr().err


def milliseconds(capsys) -> list[tuple[str, str, str]]:
    """Records of one channel do not agree to the microsecond."""
    return [(station, phase, str(obspy.UTCDateTime(time) + 0.0005)[:23]) for station, phase, time in rows(capsys)]


def test_a_data_centre_gives_the_picks_of_its_files(trial, shared_data, home, tmp_path, capsys):
    from fdsn_server import data_centre

    folder = shared_data / "real_data/continuous/iquique_cx"
    held = obspy.Stream()
    for station in ("PB01", "PB02"):
        held += obspy.read(str(folder / f"CX.{station}.20140301T02.mseed"))
    held = held.slice(held[0].stats.starttime, held[0].stats.starttime + 1200)
    held.write(str(tmp_path / "held.mseed"), format="MSEED")
    model = str(trial / "model_fp32.onnx")
    start, end = held[0].stats.starttime + 100, held[0].stats.starttime + 700
    options = ["--start", str(start), "--end", str(end)]
    assert run(["pick", model, str(tmp_path / "held.mseed"), *options]) == 0
    expected = milliseconds(capsys)
    assert {row[0] for row in expected} == {"PB01", "PB02"}
    with data_centre(held) as centre:
        word = f"fdsn:{centre.url}?network=CX&channel=HH?"
        assert run(["pick", model, word, *options]) == 0
        assert milliseconds(capsys) == expected
        assert run(["pick", model, f"{word}&station=PB0?&starttime={start}&endtime={end}", "--stations", "PB02"]) == 0
        assert milliseconds(capsys) == [row for row in expected if row[0] == "PB02"]
        assert run(["pick", model, f"{word}&station=PB01,PB99", *options]) == 1
        assert "no waveforms of PB99" in capsys.readouterr().err
        centre.faults["PB01"] = [403]
        assert run(["pick", model, word, *options]) == 1
        out, err = capsys.readouterr()
        assert "CX.PB01: 1 of 1 pieces could not be fetched" in err
        assert {row["station"] for row in csv.DictReader(io.StringIO(out))} == {"PB02"}
        assert run(["pick", model, word]) == 2
        assert "from when to when? give --start and --end, or starttime= and endtime=" in capsys.readouterr().err
        centre.faults["station"] = [403]
        assert run(["pick", model, word, *options, "--output", str(tmp_path / "picks.csv")]) == 2
        err = capsys.readouterr().err
        assert err.splitlines()[-1].startswith(f"seisweep: fdsn:{centre.url}: no list of stations (")
        assert not (tmp_path / "picks.csv").exists()
    assert not home.exists()
