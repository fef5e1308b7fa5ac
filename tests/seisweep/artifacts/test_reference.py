"""What a word for a model stands for: read once, at once, and without a server of weights."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from seisweep import say
from seisweep.artifacts.reference import read_reference
from seisweep.cli import run
from seisweep.settings.home import Home
from seisweep.settings.paths import absolute

from trainables.models.weights import DOCUMENTED


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("this asks a server")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(say, "_said", set())


@pytest.fixture
def home_with_sweeps(recorded: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """`many-1` in the store alone, as on a laptop that has the store and no sweeps; nothing in the current folder."""
    monkeypatch.setenv("SEISWEEP_HOME", str(recorded.root))
    monkeypatch.chdir(tmp_path)
    return recorded


def test_a_trial_by_its_number_or_the_best_one(home_with_sweeps):
    assert read_reference("many-1/3", home_with_sweeps).trial()[1] == 3
    for best in ("many-1", "many-1/best"):
        loaded, number = read_reference(best, home_with_sweeps).trial()
        assert (loaded.name, number) == ("many-1", loaded.best())
    with pytest.raises(ValueError, match="many-1 has no trial 99"):
        read_reference("many-1/99", home_with_sweeps).trial()


def test_the_other_kinds(home_with_sweeps, tmp_path):
    (tmp_path / "net.pt.v1").touch()
    (tmp_path / "net.json.v1").touch()
    (tmp_path / "folder").mkdir()
    for text, kind in [
        ("net", "path"),
        ("./net", "path"),
        ("net.pt.v1", "path"),
        ("folder", "path"),
        (str(tmp_path / "folder"), "path"),
        ("stead", "seisbench"),
        ("seisbench:newer", "seisbench"),
        ("runs:/0123/", "mlflow"),
        ("models:/many-1@int8", "mlflow"),
    ]:
        assert read_reference(text, home_with_sweeps).kind == kind, text
    assert read_reference("runs:/0123/", home_with_sweeps).uri == "runs:/0123"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mayn-1", "did you mean many-1"),
        ("mayn-1/3", "did you mean many-1"),
        ("insta", "did you mean instance"),
        ("zzz", "zzz: no sweep, run, SeisBench weights, file or folder of this name, looked in /"),
        ("model.onnx", "model.onnx: no such file or folder, looked at /"),
        ("./net", "(a SeisBench model is a pair of files, NAME.json.v1 and NAME.pt.v1)"),
        ("a/b/c", "a/b/c: no sweep, run, SeisBench weights, file or folder of this name"),
    ],
)
def test_what_is_none_of_them_is_one_line_with_the_nearest_names(home_with_sweeps, text, complaint):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        read_reference(text, home_with_sweeps)
    assert complaint in str(caught.value)


def describe(home: Home, name: str) -> None:
    home.sweep_dir(name).mkdir()
    home.sweep_file(name).write_text(json.dumps({"profile": {}}))


@pytest.fixture
def own(engine_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home that can be written, with the sweeps `small` and `stead`, and the folder `small` in the current one."""
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    (tmp_path / "here" / "small").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    describe(engine_home, "small")
    describe(engine_home, "stead")
    return engine_home


def test_a_file_and_a_sweep_of_one_name_are_for_the_user_to_tell_apart(own, capsys):
    complaint = (
        "small is a folder here and a sweep: write ./small for the one, small/best or small/NUMBER for the other"
    )
    for words in (
        "pick small waveforms",
        "evaluate small data.dataset=ETHZ",
        "run distillation data.dataset=ETHZ teacher.weights=small",
    ):
        assert run(words.split()) == 2
        assert capsys.readouterr().err == f"seisweep: {complaint}\n"
    assert read_reference("./small", own).kind == "path"
    assert read_reference("small/best", own).kind == "trial"


def test_a_folder_that_is_named_like_a_trial_is_taken_and_that_is_said(own, capsys):
    Path("small", "3").mkdir()
    assert read_reference("small/3", own).kind == "path"
    assert absolute("teacher.weights", "small/3") == str(Path("small/3").resolve())
    line = "small/3: the folder of this name here, not the trial; in another folder it would be the trial\n"
    assert capsys.readouterr().err == line


def test_a_file_here_is_read_without_asking_the_store(own, monkeypatch):
    Path("student.onnx").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert read_reference("student.onnx", own).kind == "path"


def test_a_mistyped_name_makes_no_database(own, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///missing.db")
    with pytest.raises(ValueError, match=r"missing\.db"):
        read_reference("mistyped", own)
    assert not Path("missing.db").exists()
    assert absolute("teacher.weights", "./small") == str(Path.cwd() / "small")
    assert absolute("teacher.weights", "small/best") == "small/best"


def test_a_sweep_comes_before_weights_of_its_name_and_that_is_said(own, capsys):
    assert "stead" in DOCUMENTED
    assert read_reference("stead", own).kind == "trial"
    assert (
        "is taken as the sweep of this name; for SeisBench's weights write seisbench:stead" in capsys.readouterr().err
    )
    assert read_reference("seisbench:stead", own).kind == "seisbench"


def test_a_path_is_no_name_of_seisbench(home_with_sweeps, tmp_path, capsys):
    (tmp_path / "picker").touch()
    assert run(["evaluate", "./picker", "data.dataset=ETHZ"]) == 2
    assert f"no such weights; looked for {tmp_path}/picker.json.v1" in capsys.readouterr().err
