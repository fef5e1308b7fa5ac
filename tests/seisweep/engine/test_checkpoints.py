"""From which checkpoint a trial goes on where the last one is gone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from seisweep.engine.checkpoints import Checkpoints
from seisweep.record.ledger import Ledger


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    profile = SimpleNamespace(disk_budget_gb=None)
    plan = SimpleNamespace(folder=tmp_path, storage=str(tmp_path / "tune"), profile=profile)
    return Checkpoints(plan, Ledger(tmp_path / "ledger.jsonl"))


@pytest.fixture
def record(checkpoints, tmp_path):
    """A trial with the checkpoints of epochs 1 and 2."""
    ledger = checkpoints.ledger
    ledger.begin_trial(0, {}, 0)
    for epoch in (1, 2):
        (tmp_path / str(epoch)).mkdir()
        (tmp_path / str(epoch) / "weights.pt").touch()
        ledger.checkpoint(0, epoch, str(tmp_path / str(epoch)))
    return ledger.trials[0]


def test_the_newest_while_it_is_there(checkpoints, record, tmp_path):
    assert checkpoints.to_go_on_from(record) == (str(tmp_path / "2"), "")


@pytest.mark.parametrize("how", ["removed", "emptied"])
def test_else_the_older_one_and_that_is_said(checkpoints, record, tmp_path, how):
    (tmp_path / "2" / "weights.pt").unlink()
    if how == "removed":
        (tmp_path / "2").rmdir()
    place, said = checkpoints.to_go_on_from(record)
    assert place == str(tmp_path / "1")
    assert said == "its last checkpoint is gone; it goes on from that of epoch 1"


def test_else_the_start(checkpoints, record, tmp_path):
    for epoch in (1, 2):
        (tmp_path / str(epoch) / "weights.pt").unlink()
    assert checkpoints.to_go_on_from(record) == (None, "its checkpoints are gone; it begins again")


def test_a_trial_that_never_had_one_begins_without_a_word(checkpoints):
    record = checkpoints.ledger.begin_trial(1, {}, 0)
    assert checkpoints.to_go_on_from(record) == (None, "")


def test_a_storage_that_does_not_answer_is_for_the_trial_to_say(checkpoints, monkeypatch):
    from ray import tune

    def away(place: str) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(tune, "Checkpoint", away)
    record = checkpoints.ledger.begin_trial(1, {}, 0)
    checkpoints.ledger.checkpoint(1, 3, "s3://lab/3")
    assert checkpoints.to_go_on_from(record) == ("s3://lab/3", "")
