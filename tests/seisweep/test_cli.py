"""What a user sees of wrong use: one line, exit code 2, nothing left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import seisbench.data as sbd
from seisweep.cli import run
from seisweep.requested.sweep import narrow, parse_duration, parse_seeds
from seisweep.settings.overrides import Overrides

from search_spaces.named import named_sweep


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set."""
    from trainables.data.synthetic import write_local_earthquakes

    folder = tmp_path_factory.mktemp("data") / "quakes"
    write_local_earthquakes(folder, num_events=12)
    return folder


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic foreshock/aftershock sequence."""
    from trainables.data.synthetic_sequence import write_synthetic_sequence

    folder = tmp_path_factory.mktemp("data") / "nrca"
    write_synthetic_sequence(folder, num_events=200)
    return folder


def write_dataset(folder: Path, **columns: object) -> Path:
    """Two traces of noise in SeisBench's format; `columns` replace those of good metadata, None leaves one out."""
    good = {
        "source_id": "e1",
        "trace_name": ["a", "b"],
        "trace_sampling_rate_hz": 100.0,
        "trace_component_order": "ENZ",
        "trace_p_arrival_sample": 1000,
        "trace_s_arrival_sample": 1500,
        "split": ["train", "dev"],
    }
    metadata = pd.DataFrame({key: value for key, value in (good | columns).items() if value is not None})
    folder.mkdir()
    with sbd.WaveformDataWriter(folder / "metadata.csv", folder / "waveforms.hdf5") as writer:
        writer.data_format = {"dimension_order": "CW"}
        for row in metadata.to_dict("records"):
            writer.add_trace(row, np.random.default_rng(0).normal(size=(3, 4000)))
    return folder


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that is wrong use; its one line."""
    code = run(words)
    printed = capsys.readouterr()
    assert code == 2, printed.err
    assert printed.out == ""
    assert printed.err.startswith("seisweep: ")
    assert printed.err.count("\n") == 1, printed.err
    assert "Traceback" not in printed.err
    return printed.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("nope", "No such command 'nope'"),
        ("rnu distillation", "Did you mean 'run'"),
        ("run", "Missing argument"),
        ("run distilation", "did you mean distillation?"),
        ("run distillation --samples 0", "--samples"),
        ("run distillation --samples few", "--samples"),
        ("run distillation --sampler best", 'sampler = "best" is not allowed: one of tpe, random'),
        ("run distillation --time-budget 3x", "not a duration"),
        ("run distillation --seed 1,2", "2 seeds need the sampler grid"),
        ("run distillation --profile nope", "no profile named nope"),
        ("run distillation", "data.dataset is missing"),
        ("run distillation data.dataset", "not key=value"),
        ("run no.such.module:sweep", "cannot be loaded"),
        ("run distillation --scheduler best", 'scheduler = "best" is not allowed: one of asha, hyperband'),
        ("run distillation --extend 2", "give its --name"),
        ("run distillation --extend 2 --name a --samples 3", "leave out --samples"),
        ("run distillation --extend 2 --name a", "no sweep named a in"),
        ("resume a --extend 2", "no sweep named a in"),
        ("resume a --extend 0", "--extend"),
        ("run sys:exit", "sys:exit is a built-in function of Python: name a function that returns"),
        ("run json:dump", "json:dump cannot be built: TypeError"),
        ("run sys:path", "sys:path is not a function, but list"),
        ("train sys:exit", "sys:exit is not a training function: name one that is called as train(config, run)"),
        (f"run distillation data.dataset={5000 * '['}{5000 * ']'}", "data.dataset has brackets 5000 deep"),
        (f"run distillation data.dataset={'x' * 300}", "too long for a name"),
        ("resume /abs/path", "'/abs/path' cannot be the name of a sweep"),
        ("results ../elsewhere/sweep", "cannot be the name of a sweep"),
        ("report " + "x" * 300, "cannot be the name of a sweep"),
        ("train toy_trainable:plain x=1 --name " + "x" * 201, "has 201 characters: a name has at most 200"),
        ("train toy_trainable:plain x=1 --cpus 1e30", "of 1e+30 CPU does not fit: the machines have"),
        ("train toy_trainable:plain x=1 --memory 1e308", "1e+308 GB of memory does not fit"),
        ("train nope data.dataset=ETHZ", "no trainable named nope"),
        ("train picking data.dataset=a,b", "data.dataset has several values"),
        ("train distillation data.datset=x", "did you mean data.dataset"),
        ("train distillation data.dataset=/no/such", "no such folder"),
        ("train distillation data.dataset=ETHQ", "did you mean"),
        ("train distillation data.dataset=x seed=-1", "seed = [-1] is not allowed"),
        ("resume nothing", "no sweep named nothing"),
        ("results nothing", "holds no sweeps yet"),
        ("evaluate nothing.onnx data.dataset=.", "nothing.onnx: no such file"),
        ("evaluate runs:/0123 data.dataset=/no/such", "holds no sweeps yet"),
        ("evaluate distillation-1/3 data.dataset=/no/such", "distillation-1/3: no sweep, run, SeisBench weights, file"),
        ("pick sted waveforms", "sted: no sweep, run, SeisBench weights, file or folder of this name, looked in /"),
        ("pick sted waveforms", "did you mean stead or"),
        ("run distillation data.dataset=ETHZ teacher.weights=sted", "teacher.weights=sted: no sweep, run, SeisBench"),
        ("ui", "holds no sweeps yet"),
        ("data info /no/such", "no such folder"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing_behind(words, part, home, capsys, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # that of other tests of this process
    monkeypatch.setattr("ray.init", lambda *_, **__: pytest.fail("Ray was started for it"))
    assert part in fails(capsys, *words.split())
    assert not home.exists()
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("loss.alpha=2", "loss.alpha = 2 is not allowed: a number, at least 0, at most 1"),
        ("loss.alpha=0.5..2", "loss.alpha = 2 is not allowed"),
        ("student.pooling=3", "student.pooling = 3 is not allowed: one of 2, 4"),
        ("loss.alhpa=0.2", "did you mean loss.alpha"),
        ("teacher.weights=/no/such", "teacher.weights=/no/such: no such weights"),
    ],
)
def test_a_bad_setting_is_refused_before_anything_starts(setting, part, dataset, home, capsys):
    assert part in fails(capsys, "run", "distillation", f"data.dataset={dataset}", setting)
    assert not home.exists()


@pytest.mark.parametrize(
    ("columns", "part"),
    [
        ({"split": None}, "no column split"),
        ({"split": "train"}, "no trace in split dev"),
        ({"trace_p_arrival_sample": None, "trace_s_arrival_sample": None}, "no P pick"),
        ({"trace_sampling_rate_hz": float("nan")}, "no sampling rate"),
        ({"trace_component_order": "XYW"}, "none of them is E, N, Z"),
    ],
)
def test_a_data_set_that_cannot_be_used_is_refused(columns, part, tmp_path, home, capsys):
    folder = write_dataset(tmp_path / "records", **columns)
    capsys.readouterr()  # the writer's progress bar
    assert part in fails(capsys, "train", "picking", f"data.dataset={folder}")
    assert not home.exists()


def test_a_folder_that_is_no_data_set_is_refused(tmp_path, home, capsys):
    assert "metadata.csv and waveforms.hdf5" in fails(capsys, "train", "picking", f"data.dataset={tmp_path}")


def test_a_teacher_that_is_no_phasenet_is_refused(dataset, tmp_path, home, capsys):
    (tmp_path / "weights.json.v1").write_text("{}")
    (tmp_path / "weights.pt.v1").write_bytes(b"no tensors")
    line = fails(capsys, "train", "distillation", f"data.dataset={dataset}", f"teacher.weights={tmp_path}/weights")
    assert "not the weights of a PhaseNet" in line


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("data.num_classes=3", "data.num_classes = 3 is not allowed: one of 2, 4, 8, 9"),
        ("data.few_shot_fraction=0.001", "leaves class 0 (pre 1) without any training event"),
        ("model.pretrained=/no/such", "model.pretrained=/no/such: no such file or folder, looked at /no/such"),
        ("model.pretrained=pretraining-1", "pretraining-1: no sweep, run, file or folder of this name, looked in /"),
        (
            "model.pretrained=pretraining-1/0",
            "model.pretrained=pretraining-1/0: no sweep, run, file or folder of this name",
        ),
        ("model.pretrained=runs:/0123", "model.pretrained=runs:/0123: home /"),
        ("model.pretrained=models:/norcia@champion", "holds no sweeps yet"),
        ("model.start=pretrained", "give model.pretrained="),
        ("freezing.schedule=frozen", "would freeze random ones"),
        ("model.num_heads=3", "take 1, 2, 4, 8"),
    ],
)
def test_a_tuning_that_cannot_be_is_refused(setting, part, sequence, home, capsys):
    assert part in fails(capsys, "train", "finetuning", f"data.dataset={sequence}", setting)
    assert not home.exists()


def test_a_suite_without_the_weights_that_it_compares_is_refused(sequence, home, capsys):
    assert "give model.pretrained=" in fails(capsys, "run", "foreshock-ablation", f"data.dataset={sequence}")


def test_a_checkpoint_of_another_size_or_with_code_in_it_is_refused(sequence, home, tmp_path, capsys):
    import torch

    from trainables.models.pretrained import save_encoder
    from trainables.models.representation import Representation
    from trainables.models.representation_config import cpu_sized

    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    save_encoder(Representation(cpu_sized()), tmp_path / "small.pt")
    torch.save({"state_dict": {"encoder.x": torch.zeros(1)}, "more": Code()}, tmp_path / "code.pt")
    (tmp_path / "text.pt").write_text("no tensors")
    for file, part in {
        "small.pt": "another architecture than the model: ",
        "code.pt": "refused, it asks for posix.mkdir; a checkpoint must not hold code",
        "text.pt": "not a checkpoint",
    }.items():
        weights = f"model.pretrained={tmp_path / file}"
        line = fails(capsys, "train", "finetuning", f"data.dataset={sequence}", weights)
        assert part in line, line
    assert not (tmp_path / "ran").exists()


def test_nine_classes_want_the_visso_file(home, tmp_path, capsys, published_tables, write_published):
    source = write_published(tmp_path / "published", {k: v for k, v in published_tables.items() if k != "visso"})
    assert "dataframe_visso_NRCA.csv" in fails(capsys, "data", "import-nrca", str(source))
    assert run(["data", "import-nrca", str(source), "--to", "nrca", "--without-visso"]) == 0
    capsys.readouterr()
    assert "Visso" in fails(capsys, "train", "finetuning", "data.dataset=./nrca", "data.num_classes=9")


def test_waveforms_to_pretrain_on_are_refused_in_one_line(sequence, home, tmp_path, capsys):
    """Where windows lay around picks, a sequence has neither picks nor splits; anywhere it can be read."""
    folder = write_dataset(tmp_path / "short", trace_npts=4000)
    capsys.readouterr()
    for settings, part in (
        ([f"data.dataset={sequence}", "data.windows=picks"], "no column split"),
        ([f"data.dataset={folder}", "contrast.mask_length=510"], "all 2 traces are shorter than 4080 samples"),
        ([f"data.dataset={sequence}", "data.num_classes=3"], "data.num_classes = 3 is not allowed: one of 2, 4, 8, 9"),
        ([f"data.dataset={sequence}", "data.shares=[1,2]"], "data.shares: 2 for 1 sources"),
        ([], "give data.dataset=NAME_OR_FOLDER, data.streams=FOLDER, or both"),
        (["data.streams=nowhere/at-all"], "nowhere/at-all: no such file or folder"),
    ):
        line = fails(capsys, "train", "pretraining", *settings)
        assert part in line, line
    assert not home.exists()


def test_a_home_that_cannot_be_used_is_refused(dataset, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEISWEEP_HOME", str(tmp_path / "file" / "home"))
    assert "is a file; choose another folder" in fails(capsys, "train", "picking", f"data.dataset={dataset}")


def test_a_tracking_server_that_does_not_answer_is_refused(dataset, home, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "far.toml").write_text('tracking_uri = "http://127.0.0.1:9"\n')
    profile = ["--profile", str(tmp_path / "far.toml")]
    assert "does not answer" in fails(capsys, "train", "picking", f"data.dataset={dataset}", *profile)
    assert not home.exists()


def test_an_unexpected_error_is_one_line_and_exit_code_1(home, capsys, monkeypatch):
    import trainables.data.synthetic

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("the disk\ncaught fire")

    monkeypatch.setattr(trainables.data.synthetic, "write_local_earthquakes", crash)
    assert run(["data", "synth", "somewhere"]) == 1
    assert capsys.readouterr().err == "seisweep: RuntimeError: the disk caught fire\n"


def test_data_synth_and_info(home, capsys):
    assert run(["data", "synth", "quakes", "--events", "12"]) == 0
    assert capsys.readouterr().out == f"{Path.cwd()}/quakes\n"
    assert run(["data", "info", "quakes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[0].split()) == "split traces events P picks S picks without picks left out"
    assert {line.split()[0] for line in lines[1:4]} == {"train", "dev", "test"}
    assert "exists and is not empty" in fails(capsys, "data", "synth", "quakes")


def test_evaluate_scores_a_fresh_student_of_a_file_pair(dataset, home, tmp_path, capsys):
    from trainables.models.xiaonet import StudentConfig, build_student

    build_student(StudentConfig(base_channels=2)).save(tmp_path / "student")
    setting = [f"data.dataset={dataset}", "data.dev_windows_per_trace=1"]
    assert run(["evaluate", str(tmp_path / "student"), *setting, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["phase"] for row in rows] == ["P", "S", "both"]
    assert rows[2]["f1"] == pytest.approx((rows[0]["f1"] + rows[1]["f1"]) / 2)


def test_sweeps_lists_the_named_ones_and_creates_nothing(home, capsys):
    assert run(["sweeps"]) == 0
    assert "distillation-pareto" in capsys.readouterr().out
    assert not home.exists()


def test_overrides_go_over_the_sweeps_own_settings():
    picking = named_sweep("picking")
    assert (
        narrow(picking, Overrides({"model.architecture": "phasenet"}, {}), {}).base["model.architecture"] == "phasenet"
    )
    both = narrow(picking, Overrides({}, {"model.architecture": ["phasenet", "xiaonet"]}), {"samples": 4})
    assert "model.architecture" not in both.base
    assert both.vary["model.architecture"].values == ["phasenet", "xiaonet"]
    assert both.samples == 4


def test_a_seed_among_the_settings_is_the_sweeps_seed():
    assert narrow(named_sweep("picking"), Overrides({"seed": 3}, {}), {}).seeds == [3]
    grid = narrow(named_sweep("picking"), Overrides({}, {"seed": [0, 1]}), {"sampler": "grid"})
    assert grid.seeds == [0, 1]
    with pytest.raises(ValueError, match="given twice"):
        narrow(named_sweep("picking"), Overrides({"seed": 3}, {}), {"seeds": [1]})


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172800)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "3x", "-1h", "h"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_seeds():
    assert parse_seeds("0,1,2") == [0, 1, 2]
    with pytest.raises(ValueError, match="give a whole number"):
        parse_seeds("a")
