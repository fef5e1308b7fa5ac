"""A sweep whose checkpoints lie in S3 is killed, goes on where it was, and leaves what a sweep in a folder leaves."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
import requests
from seisweep import results
from seisweep.engine.launch import launch, resume
from seisweep.engine.outcome import Silent
from seisweep.record.ledger import Ledger
from seisweep.settings.profile import Profile

pytestmark = pytest.mark.integration


class DriverDies(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def test_killed_resumed_and_tidied(local_ray, engine_home, toy_sweep, monkeypatch, tmp_path, s3):
    (marks := tmp_path / "marks").mkdir()
    profile = Profile(storage_path="s3://lab/sweeps", storage_endpoint=s3.endpoint)
    list_checkpoint = Ledger.checkpoint

    def die_at_the_third(ledger, number, epoch, place, final=False):
        list_checkpoint(ledger, number, epoch, place, final)
        if epoch == 3:
            raise DriverDies

    sweep = toy_sweep(samples=2, scheduler="none", base={"marks": str(marks)})
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "checkpoint", die_at_the_third)
        with pytest.raises(DriverDies):
            launch(sweep, profile, engine_home, name="toy-1", concurrency=1)
    s3.put(f"{root_of(s3)}/session-001/trial-00000/checkpoint_000099/half", b"copied")
    s3.put(f"{root_of(s3)}/train/trial-00000/left", b"by Ray Train")

    outcome = resume("toy-1", None, engine_home)
    assert [(row.state, row.epoch, row.reason) for row in outcome.rows] == [("done", 4, "")] * 2
    for file in marks.iterdir():
        assert [int(line) for line in file.read_text().split()] == [1, 2, 3, 4], f"{file.name} began again"
    ledger = Ledger(engine_home.sweep_dir("toy-1") / "ledger.jsonl", read_only=True)
    kept = {place.removeprefix("s3://lab/") for record in ledger.trials.values() for place in record.kept}
    lie = {str(PurePosixPath(*PurePosixPath(key).parts[:5])) for key in s3.objects() if "checkpoint_" in key}
    assert lie == kept
    assert len(kept) == 2
    assert not [key for key in s3.objects() if "/train/" in key]
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert (loaded.artifacts(0) / "model.txt").read_text() == "x = 0.5"
    assert not (engine_home.sweep_dir("toy-1") / "fetched").exists()


def root_of(s3) -> str:
    return "/".join(s3.objects()[0].split("/")[:2])


class TakesAway(Silent):
    """The keys are no longer valid once a trial has a checkpoint of the second epoch."""

    def __init__(self, s3) -> None:
        self.s3, self.is_away = s3, False

    def trial_update(self, row) -> None:
        if row.epoch == 2 and not self.is_away:
            self.is_away = True
            demand_keys(self.s3, after="0")


def demand_keys(s3, after: str) -> None:
    requests.post(f"{s3.endpoint}/moto-api/reset-auth", data=after, timeout=10)


def test_storage_that_takes_nothing_any_more_fails_no_trial(local_ray, engine_home, toy_sweep, tmp_path, s3):
    (marks := tmp_path / "marks").mkdir()
    profile = Profile(storage_path="s3://lab/sweeps", storage_endpoint=s3.endpoint)
    sweep = toy_sweep(samples=1, scheduler="none", base={"marks": str(marks), "sleep_s": 0.5})
    watch = TakesAway(s3)
    try:
        outcome = launch(sweep, profile, engine_home, name="toy-1", watch=watch)
    finally:
        demand_keys(s3, after="inf")
    assert watch.is_away
    assert (outcome.state, outcome.exit_code, [row.state for row in outcome.rows]) == (
        "interrupted",
        1,
        ["interrupted"],
    )
    assert outcome.obstacle.endswith("these keys do not have access to it"), "a HEAD is answered without words"
    outcome = resume("toy-1", None, engine_home)
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 4)]
    (file,) = marks.iterdir()
    assert file.read_text().split().count("1") == 1, "it began again"


def test_a_bucket_that_is_not_there_leaves_nothing(engine_home, toy_sweep, s3):
    profile = Profile(storage_path="s3://nowhere/sweeps", storage_endpoint=s3.endpoint)
    with pytest.raises(ValueError, match="no bucket nowhere there"):
        launch(toy_sweep(), profile, engine_home, name="toy-1")
    assert not engine_home.sweep_dir("toy-1").exists()
