"""The whole of it: every command that the demos run, in a process of its own, as a user would."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from as_a_user import seisweep
from seisweep.cli import run
from seisweep.results import load
from seisweep.settings.home import Home

pytestmark = pytest.mark.integration


Demo = tuple[subprocess.CompletedProcess[str], Path]
"""What it has said, and the folder in which it ran."""


def of_a_new_user(name: str, folder: Path, *words: str) -> Demo:
    """Of the wheel in an environment of its own, where `.ci/wheel` has run it before; else of this one, now."""
    if before := os.environ.get("SEISWEEP_DEMOS"):
        there = Path(before, name)
        return subprocess.CompletedProcess(words, 0, (there / "out").read_text(), (there / "err").read_text()), there
    return seisweep(folder, *words), folder


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return of_a_new_user("distillation", tmp_path_factory.mktemp("demo"), "demo", "--tiny")


def ask(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, where everything is imported, for what starts no sweep."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, chdir(folder), redirect_stdout(out), redirect_stderr(err):
        patch.setenv("SEISWEEP_HOME", str(folder / "home"))
        code = run(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def test_the_demo_ends_well_and_says_nothing_that_a_user_cannot_act_on(demo):
    done, _ = demo
    assert done.returncode == 0, done.stderr
    for noise in ("Traceback", "Warning", "WARNING", "ERROR", "INFO", "deprecated"):
        assert noise not in done.stdout + done.stderr, noise
    commands = re.findall(r"^\$ seisweep (.*)$", done.stderr, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["data", "train", "run", "train"]
    assert "--workers 2" in commands[-1]


def test_the_demos_best_picker_is_there_in_both_formats(demo):
    done, folder = demo
    files = [folder / line.split()[0] for line in done.stdout.splitlines() if ".onnx  " in line]
    assert {file.name for file in files} == {"model_fp32.onnx", "model_int8.onnx"}
    sizes = {file.name: file.stat().st_size for file in files}
    assert sizes["model_int8.onnx"] < sizes["model_fp32.onnx"]


def test_results_come_out_of_the_record(demo):
    _, folder = demo
    shown = ask(folder, "results", "demo-1-sweep", "--format", "json")
    assert shown.returncode == 0, shown.stderr
    rows = json.loads(shown.stdout)
    assert len(rows) == 8
    assert {row["state"] for row in rows} == {"done", "stopped"}
    by_state = [[row["dev/f1"] for row in rows if row["state"] == state] for state in ("done", "stopped")]
    assert [row["dev/f1"] for row in rows] == [value for values in by_state for value in sorted(values, reverse=True)]
    top = ask(folder, "results", "demo-1-sweep", "--top", "2", "--sort", "loss.alpha")
    _, teacher, *trials = top.stdout.splitlines()
    assert "teacher" in teacher
    assert len(trials) == 2
    listed = ask(folder, "sweeps").stdout
    assert {"demo-1-teacher", "demo-1-sweep", "demo-1-best"} <= set(re.findall(r"demo-1-\w+", listed))


def test_a_used_name_offers_resume_and_a_trial_can_be_evaluated(demo):
    _, folder = demo
    dataset = "data.dataset=home/data/local-earthquakes-tiny"
    used = ask(folder, "train", "picking", dataset, "--name", "demo-1-teacher")
    assert used.returncode == 2
    assert "seisweep resume demo-1-teacher" in used.stderr
    # One trial for good: of networks that have hardly learned, some have peaks that lie on the threshold.
    scored = ask(folder, "evaluate", "demo-1-sweep/0", dataset, "data.dev_windows_per_trace=1", "--format", "json")
    assert scored.returncode == 0, scored.stderr
    f1 = {row["model"]: row["f1"] for row in json.loads(scored.stdout) if row["phase"] == "both"}
    assert set(f1) == {"xiaonet", "model_fp32.onnx", "model_int8.onnx"}
    assert f1["xiaonet"] == pytest.approx(f1["model_fp32.onnx"], abs=1e-6)


@pytest.fixture(scope="module")
def foreshock(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return of_a_new_user("foreshock", tmp_path_factory.mktemp("foreshock"), "demo", "foreshock", "--tiny")


def test_the_foreshock_demo_ends_with_what_pretraining_is_worth(foreshock):
    done, _ = foreshock
    assert done.returncode == 0, done.stderr
    for noise in ("Traceback", "Warning", "WARNING", "ERROR", "INFO", "deprecated"):
        assert noise not in done.stdout + done.stderr, noise
    commands = re.findall(r"^\$ seisweep (.*)$", done.stderr, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["data", "data", "train", "run"]
    assert "model.pretrained=demo-1-pretraining" in commands[-1]
    conditions = done.stdout[done.stdout.index("freezing.schedule") :].splitlines()[1:5]
    assert [line.split()[:2] for line in conditions[:3]] == [
        ["pretrained", s] for s in ("full", "frozen", "progressive")
    ]
    assert conditions[3].split()[0] == "random"
    assert "seisweep run foreshock-fewshot" in done.stderr


def test_every_tuned_trial_began_where_the_pretraining_ended(foreshock):
    _, folder = foreshock
    home = Home(folder / "home")
    (pretraining,) = load("demo-1-pretraining", home.mlflow_uri).runs.values()
    ablation = load("demo-1-ablation", home.mlflow_uri)
    copies = {ablation.config(trial)["model"]["pretrained"] for trial in ablation.runs}
    assert len(copies) == 1, "trials from random weights name it too, and leave it aside"
    kept = Path(copies.pop())
    assert kept.is_relative_to(home.cache_dir)
    logged = load("demo-1-pretraining", home.mlflow_uri).artifacts(0) / "encoder.pt"
    assert (kept / "encoder.pt").read_bytes() == logged.read_bytes()
    for trial in ablation.runs:
        assert ablation.tags(trial)["weights_from"] == f"demo-1-pretraining (runs:/{pretraining.info.run_id})"


NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"


def run_notebook(name: str, home: Path, folder: Path) -> str:
    """Run it from start to end on this home's store, in a folder of its own; the text of all that it shows."""
    pytest.importorskip("ipykernel", reason="notebooks want a kernel: pip install -e .[dev]")
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "notebooks are committed without outputs"
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    environment |= {"SEISWEEP_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    client = NotebookClient(notebook, timeout=600, startup_timeout=300, kernel_name="python3")
    client.resources = {"metadata": {"path": str(folder)}}
    client.execute(env=environment)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    complaints = [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert not [text for text in complaints if "Warning" in text and "IProgress" not in text], complaints
    return "\n".join(json.dumps(output.get("data", output.get("text", ""))) for output in outputs)


def test_the_notebook_that_compares_a_sweep(demo, tmp_path):
    _, folder = demo
    shown = run_notebook("comparing_a_sweep", folder / "home", tmp_path)
    assert "('demo-1-sweep', 'dev/f1', 'max')" in shown
    assert "image/png" in shown
    assert list(tmp_path.iterdir()) == []


def test_the_notebook_that_takes_a_picker_to_a_waveform(demo, tmp_path):
    _, folder = demo
    shown = run_notebook("taking_a_picker_to_a_waveform", folder / "home", tmp_path)
    assert "model_fp32.onnx" in shown
    assert "times real time" in shown


def test_the_notebook_of_ablations(foreshock, tmp_path):
    _, folder = foreshock
    shown = run_notebook("few_shot_and_ablation", folder / "home", tmp_path)
    assert "demo-1-ablation" in shown
    assert "freezing.schedule" in shown
    assert shown.count("image/png") >= 3


def test_the_notebook_of_few_shot_curves(recorded, tmp_path):
    shown = run_notebook("few_shot_and_ablation", recorded.root, tmp_path)
    assert "shots-1" in shown
    assert shown.count("image/png") == 4, "conditions, learning curves, few-shot curve, confusion matrices"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("comparing_a_sweep", "No sweep here has searched anything yet."),
        ("few_shot_and_ablation", "No sweep here has several seeds yet."),
        ("taking_a_picker_to_a_waveform", "No sweep here has left a picker yet."),
    ],
)
def test_a_notebook_says_what_to_run_where_a_home_has_nothing_for_it(engine_home, tmp_path, name, said):
    (tmp_path / "here").mkdir()
    shown = run_notebook(name, engine_home.root, tmp_path / "here")
    assert f"{said} Run" in shown
    assert "seisweep demo" in shown
    assert "image/png" not in shown


def test_a_notebook_runs_where_there_is_no_home(tmp_path):
    (tmp_path / "here").mkdir()
    shown = run_notebook("comparing_a_sweep", tmp_path / "none", tmp_path / "here")
    assert "seisweep demo" in shown
    assert not (tmp_path / "none").exists()


def test_the_notebook_that_trains_a_student(tmp_path, monkeypatch):
    """In a temporary folder, with the steps that are prescribed; it compares itself with a trial of a sweep."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    shown = run_notebook("training_a_student", tmp_path / "home", tmp_path)
    for check in ("1 the teacher is frozen", "2 the student can", "3 the optimizer leaves", "4 both answer in shape"):
        assert check in shown
    assert "epoch 6: train/loss" in shown
    assert "a trial of a sweep" in shown
    assert shown.count("image/png") == 2, "a window with its labels, the curves"
    assert not (tmp_path / "home").exists()


def test_the_steps_of_training_have_the_prescribed_order():
    import nbformat

    notebook = nbformat.read(NOTEBOOKS / "training_a_student.ipynb", as_version=4)
    titles = [cell.source.splitlines()[0] for cell in notebook.cells if cell.cell_type == "markdown"]
    steps = [title for title in titles if re.match(r"## \d", title)]
    wanted = (
        "Imports", "Configuration", "seeds", "teacher", "Device", "Inspecting the teacher", "student", "dimensions",
        "data", "split", "Augmentations", "Loaders", "Losses", "Roles", "Optimizer", "Training functions",
        "Early stopping", "Scheduler and training loop", "Execution",
    )  # fmt: skip
    for number, (step, word) in enumerate(zip(steps, wanted, strict=True), start=1):
        assert step.startswith(f"## {number} ")
        assert word.lower() in step.lower()


def test_the_notebook_that_runs_a_sweep(tmp_path):
    """Real trainings and a search of students, started from its cells; nothing beside the home is written."""
    (tmp_path / "here").mkdir()
    shown = run_notebook("running_from_python", tmp_path / "home", tmp_path / "here")
    assert "distillation-1 finished: 3 of 3 " in shown
    assert "distillation-1 finished: 4 of 4 " in shown, "the same cell's output, drawn again and again"
    assert "image/png" in shown
    assert "unknown key loss.alhpa; did you mean loss.alpha?" in shown
    assert list((tmp_path / "here").iterdir()) == []
    done = load("distillation-1", Home(tmp_path / "home").mlflow_uri)
    assert len(done.runs) == 4
    assert set(done.trials["state"]) <= {"done", "stopped"}
    assert (done.artifacts(done.best()) / "model_int8.onnx").is_file()
