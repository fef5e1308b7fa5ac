"""A home that was moved or copied: sweeps go on in it, and what it was copied from stays as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from older import NAME, write_older_home
from seisweep import results
from seisweep.cli import run
from seisweep.engine.launch import launch, resume
from seisweep.engine.sweep_folder import Launch
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile

LOCAL = Profile()


def launched(home: Home, toy_sweep, **fields: object) -> Launch:
    made = Launch(
        folder=home.sweep_dir("toy-1"), id="ab12", name="toy-1", sweep=toy_sweep(**fields), profile=LOCAL, note="",
        created="", tags={}, lain_at=[str(home.root)],
    )  # fmt: skip
    made.write()
    return made


def test_the_places_of_checkpoints_are_kept_relative_to_the_sweep(engine_home, toy_sweep, tmp_path):
    begun, there = launched(engine_home, toy_sweep), tmp_path / "there"
    inside = str(begun.folder / "tune/session-001/trial-00000/checkpoint_000000")
    kept = begun.kept_as(inside)
    assert kept == "tune/session-001/trial-00000/checkpoint_000000"
    assert begun.place(kept) == begun.place(inside) == inside
    for elsewhere in ("s3://bucket/toy-1-ab12/checkpoint_000000", "/shared/toy-1-ab12/checkpoint_000000"):
        assert begun.place(begun.kept_as(elsewhere)) == elsewhere
    shutil.copytree(engine_home.root, there)
    copied = Launch.read(Home(there), "toy-1")
    assert copied.place(kept) == copied.place(inside) == str(copied.folder / kept), "an older one too"
    in_home = f"{engine_home.root}/storage/toy-1-ab12/checkpoint_000000"
    assert copied.place(in_home) == f"{there}/storage/toy-1-ab12/checkpoint_000000"


def test_settings_name_what_lies_in_the_home_now_and_the_study_what_was_proposed(engine_home, toy_sweep, tmp_path):
    inside, outside = f"{engine_home.data_dir}/local", "/data/ETHZ"
    base = {"data.dataset": inside, "label": outside}
    launched(engine_home, toy_sweep, base=base, vary={"teacher.weights": {"values": [inside, outside]}})
    there = Home(tmp_path / "there")
    shutil.copytree(engine_home.root, there.root)
    copied = Launch.read(there, "toy-1")
    assert copied.sweep_here.base == {"data.dataset": f"{there.data_dir}/local", "label": outside}
    assert copied.sweep_here.vary["teacher.weights"].values == [f"{there.data_dir}/local", outside]
    assert copied.sweep.base == base, "what is in Optuna's journal has to be what it was"


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): (file.stat().st_size, file.stat().st_mtime_ns) for file in files}


@pytest.mark.integration
def test_a_copy_goes_on_from_its_own_checkpoints_and_leaves_the_first_alone(
    home, earthquakes, teacher_file, local_ray, tmp_path, monkeypatch
):
    """An older one, whose places are absolute all over."""
    first = write_older_home(home, earthquakes, teacher_file)
    copy = Home(tmp_path / "copy")
    shutil.copytree(first.root, copy.root)
    before = stamps(first.root)
    monkeypatch.setenv("SEISWEEP_HOME", str(copy.root))
    assert run(["resume", NAME]) == 0
    assert stamps(first.root) == before
    begins = [json.loads(line) for line in (copy.sweep_dir(NAME) / "ledger.jsonl").read_text().splitlines()]
    session = max(place for place, event in enumerate(begins) if event["event"] == "session")
    epochs = [event["metrics"]["epoch"] for event in begins[session:] if event.get("trial") == 2 and "metrics" in event]
    assert min(epochs) == 3, "it went on where its last checkpoint of epoch 2 was"
    loaded = results.load_from(copy, NAME)
    assert all(loaded.artifacts(number).is_relative_to(copy.root) for number in loaded.runs)
    assert {place for event in begins[session:] if (place := event.get("place")) and place.startswith("/")} == set()


@pytest.mark.integration
def test_a_moved_home_goes_on(local_ray, engine_home, toy_sweep, tmp_path):
    launch(toy_sweep(samples=2, base={"training.epochs": 2}), LOCAL, engine_home, name="toy-1", concurrency=1)
    there = Home(tmp_path / "moved")
    engine_home.root.rename(there.root)
    longer = resume("toy-1", None, there, extend=1, concurrency=1)
    assert (longer.state, len(longer.rows)) == ("finished", 3)
    loaded = results.load_from(there, "toy-1")
    assert [(loaded.artifacts(number) / "model.txt").exists() for number in loaded.runs] == [True] * 3
    assert not engine_home.root.exists()
    kept = {str(folder) for folder in (there.sweep_dir("toy-1") / "tune").glob("session-*/trial-*/checkpoint_*")}
    assert len(kept) == 3, "of each trial the last one"
