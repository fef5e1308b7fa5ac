"""Which checkpoints are removed: those that nothing needs, of this sweep, in this home; and from which a trial goes on
where the last one is gone."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from seisweep.engine.checkpoints import Checkpoints
from seisweep.engine.plan import Plan
from seisweep.engine.sweep_folder import Launch
from seisweep.record.ledger import Ledger
from seisweep.requested.trainable import Trainable
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import own_store

TRIAL = "tune/session-001/trial-00000"


@pytest.fixture
def written(engine_home: Home, toy_sweep, monkeypatch) -> Launch:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    made = Launch(
        folder=engine_home.sweep_dir("toy-1"), id="ab12cd34ef", name="toy-1", sweep=toy_sweep(), profile=Profile(),
        note="", created="", tags={}, lain_at=[str(engine_home.root)],
    )  # fmt: skip
    made.write()
    return made


def checkpoints_of(home: Home) -> Checkpoints:
    begun = Launch.read(home, "toy-1")
    plan = Plan(begun, home, own_store(home), Trainable.find(begun.sweep.trainable), begun.profile)
    return Checkpoints(plan, Ledger(begun.folder / "ledger.jsonl"))


def checkpoint(folder: Path) -> SimpleNamespace:
    """As Tune hands one over."""
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("{}")
    return SimpleNamespace(path=str(folder), filesystem=SimpleNamespace(type_name="local"))


def test_a_ledger_keeps_places_relative_and_what_is_superfluous_goes(engine_home, written):
    found = checkpoints_of(engine_home)
    record = found.ledger.begin_trial(0, {}, 0)
    for epoch in (1, 2, 3):
        found.arrived(record, epoch, checkpoint(written.folder / TRIAL / f"checkpoint_00000{epoch}"), final=False)
    assert record.kept == [f"{TRIAL}/checkpoint_000002", f"{TRIAL}/checkpoint_000003"]
    assert found.to_go_on_from(record) == (str(written.folder / TRIAL / "checkpoint_000003"), "")
    checkpoint(written.folder / TRIAL / "checkpoint_000004")  # half copied when a session died
    found.remove_leftovers()
    there = sorted(path.name for path in (written.folder / TRIAL).iterdir())
    assert there == ["checkpoint_000002", "checkpoint_000003"]


def test_a_copy_removes_its_own_and_none_of_what_it_was_copied_from(engine_home, written, tmp_path):
    """Though its ledger, an older one, has the places there."""
    ledger = Ledger(written.folder / "ledger.jsonl")
    ledger.begin_trial(0, {}, 0)
    for epoch in (1, 2):
        place = written.folder / TRIAL / f"checkpoint_00000{epoch}"
        checkpoint(place)
        ledger.checkpoint(0, epoch, str(place))
    ledger.close()
    copy = Home(tmp_path / "copy")
    shutil.copytree(engine_home.root, copy.root)
    found = checkpoints_of(copy)
    record = found.ledger.trials[0]
    found.remove_leftovers()
    assert len(list((copy.sweep_dir("toy-1") / TRIAL).iterdir())) == 2, "older places are no leftovers"
    found.ledger.end_trial(0, "done")
    found.remove_superfluous(record)
    assert [path.name for path in (copy.sweep_dir("toy-1") / TRIAL).iterdir()] == ["checkpoint_000002"]
    assert len(list((written.folder / TRIAL).iterdir())) == 2
    fetched = found.fetch(record.checkpoint[1])
    assert fetched == copy.sweep_dir("toy-1") / TRIAL / "checkpoint_000002"


@pytest.mark.parametrize("place", ["{outside}", "../../../outside", "tune/../../../../outside"])
def test_a_ledger_from_elsewhere_removes_nothing_of_anyone_else(engine_home, written, tmp_path, place):
    outside = tmp_path / "outside"
    outside.mkdir()
    found = checkpoints_of(engine_home)
    record = found.ledger.begin_trial(0, {}, 0)
    found.ledger.checkpoint(0, 1, place.format(outside=outside))
    found.ledger.end_trial(0, "failed", "bad luck")
    found.remove_superfluous(record)
    assert outside.is_dir()


@pytest.fixture
def found(engine_home, written) -> Checkpoints:
    """Of a sweep whose trial 0 has the checkpoints of epochs 1 and 2."""
    found = checkpoints_of(engine_home)
    record = found.ledger.begin_trial(0, {}, 0)
    for epoch in (1, 2):
        found.arrived(record, epoch, checkpoint(written.folder / TRIAL / f"checkpoint_00000{epoch}"), final=False)
    return found


@pytest.mark.parametrize("how", ["removed", "emptied"])
def test_where_the_last_is_gone_a_trial_goes_on_from_the_older_one_and_that_is_said(found, written, how):
    last = written.folder / TRIAL / "checkpoint_000002"
    (last / "state.json").unlink()
    if how == "removed":
        last.rmdir()
    place, said = found.to_go_on_from(found.ledger.trials[0])
    assert place == str(written.folder / TRIAL / "checkpoint_000001")
    assert said == "its last checkpoint is gone; it goes on from that of epoch 1"


def test_where_all_are_gone_it_begins_again(found, written):
    shutil.rmtree(written.folder / TRIAL)
    assert found.to_go_on_from(found.ledger.trials[0]) == (None, "its checkpoints are gone; it begins again")


def test_a_trial_that_never_had_one_begins_without_a_word(found):
    assert found.to_go_on_from(found.ledger.begin_trial(1, {}, 0)) == (None, "")


def test_a_storage_that_does_not_answer_is_for_the_trial_to_say(found, monkeypatch):
    from ray import tune

    def away(place: str) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(tune, "Checkpoint", away)
    record = found.ledger.begin_trial(1, {}, 0)
    found.ledger.checkpoint(1, 3, "s3://lab/3")
    assert found.to_go_on_from(record) == ("s3://lab/3", "")
