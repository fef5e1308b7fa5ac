"""Which checkpoints are removed: those that nothing needs, of this sweep, in this home; and from which a trial goes on
where the last one is gone."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from seisweep.engine.checkpoints import Checkpoints, checkpoint_bytes, checkpoint_place
from seisweep.engine.plan import Plan
from seisweep.engine.sweep_folder import Launch
from seisweep.record.ledger import Ledger
from seisweep.requested.trainable import Trainable
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.storage import Storage
from seisweep.settings.which_store import own_store

TRIAL = "tune/session-001/trial-00000"
NOBODY = "http://127.0.0.1:9"


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
    assert len(list((copy.sweep_dir("toy-1") / TRIAL).iterdir())) == 2, "older places are not leftovers"
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
    assert said == "its last checkpoint is gone; it goes on from the one of epoch 1"


def test_where_all_are_gone_it_begins_again(found, written):
    shutil.rmtree(written.folder / TRIAL)
    assert found.to_go_on_from(found.ledger.trials[0]) == (None, "its checkpoints are gone; it begins again")


def test_a_trial_that_never_had_one_begins_without_a_word(found):
    assert found.to_go_on_from(found.ledger.begin_trial(1, {}, 0)) == (None, "")


def test_a_storage_that_does_not_answer_is_for_the_trial_to_say(found):
    found.storage = Storage("s3://lab", NOBODY)
    record = found.ledger.begin_trial(1, {}, 0)
    found.ledger.checkpoint(1, 3, "s3://lab/3")
    assert found.to_go_on_from(record) == ("s3://lab/3", "")


# In a bucket


@pytest.fixture
def in_s3(engine_home, written, s3) -> Checkpoints:
    """Of a sweep whose checkpoints lie in a bucket: trial 0 has those of epochs 1 and 2."""
    begun = Launch.read(engine_home, "toy-1")
    profile = Profile(storage_path="s3://lab/sweeps", storage_endpoint=s3.endpoint)
    plan = Plan(begun, engine_home, own_store(engine_home), Trainable.find(begun.sweep.trainable), profile)
    found = Checkpoints(plan, Ledger(begun.folder / "ledger.jsonl"))
    found.ledger.begin_trial(0, {}, 0)
    for epoch in (1, 2):
        arrive(found, s3, epoch)
    return found


def arrive(found: Checkpoints, s3, epoch: int) -> None:
    filesystem, path = found.storage.at(f"s3://lab/{AT}/checkpoint_00000{epoch}")
    s3.put(f"{AT}/checkpoint_00000{epoch}/state.json", b"{}")
    found.arrived(found.ledger.trials[0], epoch, SimpleNamespace(path=path, filesystem=filesystem), final=False)


AT = "sweeps/toy-1-ab12cd34/session-001/trial-00000"


def test_in_a_bucket_too_what_is_superfluous_goes(in_s3, s3):
    arrive(in_s3, s3, 3)
    assert s3.objects() == [f"{AT}/checkpoint_00000{epoch}/state.json" for epoch in (2, 3)]
    record = in_s3.ledger.trials[0]
    assert record.kept == [f"s3://lab/{AT}/checkpoint_00000{epoch}" for epoch in (2, 3)], "as older versions wrote them"
    assert in_s3.to_go_on_from(record) == (f"s3://lab/{AT}/checkpoint_000003", "")
    assert checkpoint_bytes(record.kept[0], in_s3.storage) == 2


def test_in_a_bucket_too_no_leftovers_stay(in_s3, s3):
    kept = s3.objects()
    s3.put(f"{AT}/checkpoint_000009/state.json", b"half copied when a session died")
    s3.put("sweeps/toy-1-ab12cd34/train/trial-00000/checkpoint/state.json", b"Ray Train's own")
    others = ["sweeps/toy-1-ab12cd34/session-001/tuner.pkl", "sweeps/toy-2-00000000/train/x", "sweeps/train/x"]
    for key in others:
        s3.put(key, b"of somebody else")
    in_s3.remove_leftovers()
    assert sorted(s3.objects()) == sorted([*kept, *others])


def test_in_a_bucket_too_the_last_one_may_be_gone(in_s3, s3):
    s3.client.delete_object(Bucket="lab", Key=f"{AT}/checkpoint_000002/state.json")
    s3.client.delete_object(Bucket="lab", Key=f"{AT}/checkpoint_000002/")
    place, said = in_s3.to_go_on_from(in_s3.ledger.trials[0])
    assert place == f"s3://lab/{AT}/checkpoint_000001"
    assert said == "its last checkpoint is gone; it goes on from the one of epoch 1"
    assert in_s3.fetch(f"s3://lab/{AT}/checkpoint_000002") is None


def test_files_for_mlflow_come_here(in_s3, written):
    here = in_s3.fetch(f"s3://lab/{AT}/checkpoint_000002")
    assert (here / "state.json").read_text() == "{}"
    assert here.parent == written.folder / "fetched"
    assert not list(Path(here).glob("*.lock"))


def test_a_bucket_that_does_not_answer_costs_mlflow_no_files(in_s3, monkeypatch):
    """They come later: an error is asked again, a checkpoint that is gone is not."""
    monkeypatch.setattr("trainables.s3.PATIENT", 1)
    in_s3.storage = Storage("s3://lab", NOBODY)
    with pytest.raises(OSError, match="connect"):
        in_s3.fetch(f"s3://lab/{AT}/checkpoint_000002")
    in_s3.remove_leftovers()  # costs disk and nothing else


def test_the_place_of_a_checkpoint_is_a_uri(in_s3):
    filesystem, path = in_s3.storage.at("s3://lab/a/b")
    assert checkpoint_place(SimpleNamespace(path=path, filesystem=filesystem)) == "s3://lab/a/b"
