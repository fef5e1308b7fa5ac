"""Two launches of one moment, and a driver that was killed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from seisweep.cli import run
from seisweep.commands.sweeps import sweeps
from seisweep.engine import launch as launch_module
from seisweep.engine.search import Study
from seisweep.engine.sweep_folder import JOURNAL_FILE, LEDGER_FILE, Launch, NameTakenError
from seisweep.launching.start import start
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.screen.tables import Format
from seisweep.settings.driver_lock import driver_lock, has_driver
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import own_store


def launch_of(folder: Path, sweep, id: str) -> Launch:
    return Launch(folder, id, folder.name, sweep, Profile(), "", "2026-01-01", {})


def test_a_sweep_that_runs_is_not_resumed_beside_it(engine_home, toy_sweep):
    begun = launch_of(engine_home.sweep_dir("toy-1"), toy_sweep(), "id")
    begun.write()
    with driver_lock(begun.folder), pytest.raises(ValueError, match="is running now, in another process"):
        launch_module.resume("toy-1", None, engine_home)


def test_a_folder_is_written_once(tmp_path, toy_sweep):
    folder = Home(tmp_path).sweep_dir("toy-1")
    launch_of(folder, toy_sweep(), "first").write()
    with pytest.raises(NameTakenError, match="a sweep named toy-1 has just been launched: choose another --name"):
        launch_of(folder, toy_sweep(), "second").write()
    assert Launch.read(Home(tmp_path), "toy-1").id == "first"
    assert [file.name for file in folder.parent.iterdir()] == ["toy-1"], "the second leaves nothing behind"


def test_the_second_of_two_launches_takes_the_next_name(home, toy_sweep, monkeypatch):
    """The other process takes the name just after it was found to be free."""
    asked = []

    def launch(sweep, profile, where, *, name, **others):
        asked.append(name)
        folder = where.sweep_dir(name)
        if len(asked) == 1:
            launch_of(folder, sweep, "other").write()
        launch_of(folder, sweep, "ours").write()
        return name

    monkeypatch.setattr(launch_module, "launch", launch)
    monkeypatch.setattr("seisweep.launching.start.with_report", lambda outcome: outcome)
    assert start(toy_sweep(), Profile()) == "toy-2"
    assert asked == ["toy-1", "toy-2"]
    with pytest.raises(NameTakenError):
        start(toy_sweep(), Profile(), name="toy-1")


@pytest.mark.parametrize(("driver", "expected"), [("lives", "running"), ("was killed", "interrupted")])
def test_sweeps_knows_whether_a_driver_lives(engine_home: Home, toy_sweep, capsys, monkeypatch, driver, expected):
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    folder, sweep = engine_home.sweep_dir("toy-1"), toy_sweep()
    launch_of(folder, sweep, "id").write()
    ledger = Ledger(folder / LEDGER_FILE)
    ledger.begin_session()
    ledger.close()
    writer = Tracker(own_store(engine_home), sweep, "toy-1", "id", {})
    writer.begin("", {})
    if driver == "lives":
        with driver_lock(folder):
            sweeps(format=Format.CSV)
    else:
        sweeps(format=Format.CSV)
    heading, line = capsys.readouterr().out.splitlines()
    assert dict(zip(heading.split(","), line.split(","), strict=True))["state"] == expected


def test_looking_keeps_no_driver_out(engine_home, toy_sweep):
    """Four processes' worth of looks at the same time as a driver takes and drops its lock 40 times."""
    begun = launch_of(engine_home.sweep_dir("toy-1"), toy_sweep(), "id")
    begun.write()
    over = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        while not over.is_set():
            seen.add(launch_module.sweep_state(engine_home, "toy-1"))

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(40):
            with driver_lock(begun.folder):
                assert has_driver(begun.folder)
    finally:
        over.set()
        for looker in lookers:
            looker.join()
    assert seen <= {"running", "interrupted"}
    assert not has_driver(begun.folder)


def test_a_lost_ledger_is_named_and_nothing_is_called_finished(engine_home, toy_sweep, monkeypatch, capsys):
    begun = launch_of(engine_home.sweep_dir("toy-1"), toy_sweep(), "id")
    begun.write()
    study = Study(begun.sweep, begun.folder / JOURNAL_FILE, {})
    study.ask()
    assert not (begun.folder / LEDGER_FILE).exists()
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    assert run(["resume", "toy-1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"seisweep: {begun.folder / LEDGER_FILE} is missing or empty although the sweep has begun")
    assert said.count("\n") == 1


@pytest.mark.parametrize("content", ["", "{}", '{"profile": {}}', "[1", '{"profile": {}, "id": 1, "name": "toy-1"}'])
def test_a_description_that_cannot_be_read_is_named(engine_home, toy_sweep, monkeypatch, capsys, content):
    begun = launch_of(engine_home.sweep_dir("toy-1"), toy_sweep(), "id")
    begun.write()
    file = engine_home.sweep_file("toy-1")
    file.write_text(content)
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    assert run(["resume", "toy-1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"seisweep: {file} cannot be read: ")
    assert said.count("\n") == 1
