"""Optuna's journal on a disk that is full, and as others read it."""

from __future__ import annotations

import errno
import os

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend, JournalStorage
from seisweep.engine.journal import Journal, has_begun


def study_on(backend) -> optuna.Study:
    return optuna.create_study(study_name="sweep", storage=JournalStorage(backend), load_if_exists=True)


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    """The disk takes half of what is written, as a full one does."""
    path = tmp_path / "study.journal"
    study = study_on(Journal(path))
    study.ask().suggest_float("x", 0, 1)
    before, sync = path.read_bytes(), os.fsync

    def full(file: int) -> None:
        os.truncate(path, path.stat().st_size - 5)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        study.tell(0, 0.5)
    assert path.read_bytes() == before
    monkeypatch.setattr(os, "fsync", sync)
    again = study_on(Journal(path))
    again.tell(0, 0.5)
    assert [trial.value for trial in study_on(JournalFileBackend(str(path))).trials] == [0.5]


@pytest.mark.parametrize(
    "torn",
    [b'{"op_code":6,"wor', b'{"op_code":4,"wor{"op_code":4,"worker_id":"w"}\n'],
    ids=["by a killed writer, at the end", "by a full disk, and glued to the next"],
)
def test_what_is_torn_is_cut(tmp_path, torn):
    path = tmp_path / "study.journal"
    study_on(Journal(path)).ask()
    with path.open("ab") as file:
        file.write(torn)
    assert len(study_on(Journal(path)).trials) == 1


def test_it_is_optunas_own_format(tmp_path):
    """As optuna-dashboard opens it; and one that Optuna itself has written is gone on with."""
    path = tmp_path / "study.journal"
    study_on(JournalFileBackend(str(path))).ask()
    study_on(Journal(path)).ask()
    assert len(study_on(JournalFileBackend(str(path))).trials) == 2


def test_a_study_whose_trials_only_wait_has_not_begun(tmp_path):
    path = tmp_path / "study.journal"
    study = study_on(Journal(path))
    study.enqueue_trial({"x": 0.5})
    assert not has_begun(path)
    study.ask().suggest_float("x", 0, 1)
    assert has_begun(path)
