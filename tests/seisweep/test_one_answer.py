"""Three questions that every command answers alike: which trial is best, which store, what does this name mean."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import seisweep
from seisweep import say
from seisweep.cli import run
from seisweep.engine.finish import best_record
from seisweep.engine.launch import launch
from seisweep.engine.outcome import Silent
from seisweep.engine.parts import Parts
from seisweep.engine.plan import Plan
from seisweep.engine.sweep_folder import Launch
from seisweep.promotion import promote as promotion
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.requested.confirmation import plan as confirmation
from seisweep.requested.trainable import Trainable
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import VARIABLE, own_store

STOPPED, DONE, WORSE, FAILED = range(4)
TRIALS = [(0.80, "stopped"), (0.70, "done"), (0.60, "done"), (0.95, "failed")]


@pytest.fixture
def ranked(engine_home: Home, toy_sweep, tmp_path, monkeypatch) -> Home:
    """`toy-1`: a trial that was stopped early at .80, two that finished at .70 and .60, one that failed at .95."""
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    monkeypatch.chdir(tmp_path)
    sweep = toy_sweep(samples=4, space=None, vary={"x": {"low": 0.0, "high": 1.0}})
    begun = Launch(engine_home.sweep_dir("toy-1"), "id", "toy-1", sweep, Profile(), "", "", {})
    begun.write()
    ledger = Ledger(begun.folder / "ledger.jsonl")
    tracker = Tracker(own_store(engine_home), sweep, "toy-1", "id", {})
    tracker.begin("", begun.as_dict(), 4)
    for number, (value, state) in enumerate(TRIALS):
        tracker.trial_begins(ledger.begin_trial(number, {"x": value}, 0), {"x": value})
        tracker.report(ledger.report(number, {"epoch": 1, "dev/f1": value, "dev/loss": 1 - value, "my/score": value}))
        ledger.end_trial(number, state, "bad luck" if state == "failed" else "")
        tracker.trial_ends(ledger.trials[number], None)
    ledger.close()
    plan = Plan(begun, engine_home, own_store(engine_home), Trainable.find(sweep.trainable), Profile())
    parts = Parts.of(plan, Silent())
    tracker.end("finished", best_record(parts))
    parts.ledger.close()
    return engine_home


def numbers(printed: str) -> list[int]:
    return [row["trial"] for row in json.loads(printed)]


def test_one_trial_is_the_best_wherever_one_asks(ranked, capsys, tmp_path, monkeypatch):
    loaded = seisweep.load("toy-1")
    assert loaded.best() == DONE
    assert loaded.ranked() == [DONE, WORSE, STOPPED, FAILED]
    assert run(["results", "toy-1", "--format", "json"]) == 0
    assert numbers(capsys.readouterr().out) == [DONE, WORSE, STOPPED, FAILED]
    assert run(["report", "toy-1", "--output", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert f"Trial {DONE} is the best of 4: dev/f1 0.7." in page
    rows = re.findall(r'<tr[^>]*class="best"[^>]*>.*?</tr>', page, re.DOTALL)
    assert rows, "the report marks its best row"
    assert confirmation(loaded, 1, 2, Overrides({}, {})).sweep.confirms.trials == [DONE]
    assert loaded.parent.data.tags["best_trial"] == str(DONE)
    assert loaded.parent.data.metrics["dev/f1"] == 0.7
    assert seisweep.sweeps()["best_trial"].tolist() == [DONE]

    def enough(loaded, number):
        raise ValueError(f"trial {number} would be promoted")

    monkeypatch.setattr(promotion, "_finished", enough)
    with pytest.raises(ValueError, match=f"trial {DONE} would be promoted"):
        promotion.promote("toy-1", None, False, ranked, Profile(), print)


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("dev/f1", [DONE, WORSE, STOPPED, FAILED]),
        ("dev/loss", [DONE, WORSE, STOPPED, FAILED]),
        ("my/score", [WORSE, DONE, STOPPED, FAILED]),
        ("x", [WORSE, DONE, STOPPED, FAILED]),
    ],
)
def test_sorting_puts_the_better_end_first(ranked, capsys, metric, order):
    """By a metric's own direction; where nobody knows it, and by a setting, small values come first."""
    assert run(["results", "toy-1", "--sort", metric, "--format", "json"]) == 0
    assert numbers(capsys.readouterr().out) == order


def test_a_sweep_whose_record_was_left_behind_is_listed_with_what_to_do(ranked, capsys):
    assert run(["sweeps"]) == 0
    assert capsys.readouterr().err == ""
    ranked.database.unlink()
    said = f"{ranked.sweep_dir('toy-1')} is the folder of a sweep whose record is not in {ranked.mlflow_uri}: copy the "
    for _ in ("no store", "an empty store"):
        assert run(["sweeps"]) == 0
        assert capsys.readouterr().err == f"{said}record there, or write it again with `seisweep resume toy-1`\n"
        ranked.prepare_store()


def test_a_store_that_was_taken_away_is_not_made_anew(ranked, tmp_path, capsys):
    described = json.loads(ranked.sweep_file("toy-1").read_text())
    gone = tmp_path / "gone.db"
    ranked.sweep_file("toy-1").write_text(json.dumps(described | {"store": f"sqlite:///{gone}"}))
    for words in ("resume toy-1", "resume toy-1 --extend 2", "results toy-1", "evaluate toy-1"):
        assert run(words.split()) == 2
        assert capsys.readouterr().err.endswith(f"seisweep: the tracking store sqlite:///{gone} does not exist\n")
    assert not gone.exists()
    assert not (Path.cwd() / "mlruns").exists()


@pytest.fixture
def server(empty_store: Path, tmp_path: Path) -> str:
    """A real MLflow server with a store of its own."""
    shutil.copy(empty_store, tmp_path / "server.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    files = ["--artifacts-destination", str(tmp_path / "server-artifacts")]
    command = [sys.executable, "-m", "mlflow", "server", *store, *files, "--port", str(port), "--workers", "1"]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.integration
def test_a_store_of_the_environment_and_one_of_the_home(
    local_ray, engine_home, toy_sweep, server, tmp_path, monkeypatch, capsys
):
    """A sweep of the home stays there; a new one goes to the server, where every command finds it."""
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(say, "_said", set())
    sweep = toy_sweep(samples=1, scheduler="none", base={"training.epochs": 1})
    launch(sweep, Profile(), engine_home, name="own-1")
    monkeypatch.setenv(VARIABLE, server)
    launch(sweep, Profile(), engine_home, name="shared-1")
    assert Launch.read(engine_home, "own-1").store == "home"
    assert Launch.read(engine_home, "shared-1").store == server
    capsys.readouterr()

    laptop = tmp_path / "laptop"
    for home in (engine_home.root, laptop):  # a home that has the sweep, and one that has nothing
        monkeypatch.setenv("SEISWEEP_HOME", str(home))
        monkeypatch.setattr(say, "_said", set())
        assert seisweep.load("shared-1").tracking_uri == server
        assert run(["results", "shared-1", "--format", "json"]) == 0
        out, err = capsys.readouterr()
        assert numbers(out) == [0]
        assert err.startswith(f"in the store {server} (")
        assert run(["report", "shared-1", "--output", str(tmp_path / "page.html")]) == 0
        assert "shared-1" in (tmp_path / "page.html").read_text()
        capsys.readouterr()
        assert run(["sweeps", "--format", "json"]) == 0
        out, err = capsys.readouterr()
        assert [row["name"] for row in json.loads(out)] == ["shared-1"]
        assert ("1 sweep of this home is in another store: own-1" in err) == (home != laptop)
    assert not laptop.exists(), "reading makes no home"

    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    monkeypatch.setattr(say, "_said", set())
    assert run(["resume", "own-1", "--extend", "1"]) == 0
    aside = f"own-1 is in the store that it began in, {engine_home.mlflow_uri}; {VARIABLE} ({server}) is ignored\n"
    assert capsys.readouterr().err.count(aside) == 1
    assert len(seisweep.load("own-1").runs) == 2
    with pytest.raises(ValueError, match="no sweep named own-1"):
        seisweep.load("own-1", server)
    monkeypatch.delenv(VARIABLE)
    assert run(["resume", "shared-1", "--extend", "1"]) == 0
    assert len(seisweep.load("shared-1").runs) == 2
    assert seisweep.load("shared-1").tracking_uri == server
