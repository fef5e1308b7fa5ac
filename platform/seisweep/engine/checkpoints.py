"""The checkpoints of a sweep: which are kept, what they may take of the disk, and how they come here."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from seisweep.record.ledger import Ledger, TrialRecord
from seisweep.settings.free_disk import FreeDisk
from seisweep.settings.storage import Storage, download
from seisweep.workers.trial import TRAIN, scratch_place

if TYPE_CHECKING:
    from ray import tune

    from seisweep.engine.plan import Plan

FETCHED = "fetched"
"""Folder of a sweep for checkpoints that came from remote storage, until MLflow has their files."""

logger = logging.getLogger(__name__)


class Checkpoints:
    """Keeps of each trial what the ledger says is needed, within the sweep's budget."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.plan, self.ledger = plan, ledger
        self.storage = plan.storage
        on_disk = [] if self.storage.is_remote else [Path(self.storage.place)]
        self.free_disk = FreeDisk([plan.folder, *on_disk])
        self.budget = CheckpointBudget(plan.profile.disk_budget_gb, self.storage)
        self.lent: set[int] = set()
        """Trials that are over and whose last checkpoint stays here until MLflow has its files."""

    def arrived(self, record: TrialRecord, epoch: int, checkpoint: tune.Checkpoint, final: bool) -> str:
        """Write a new one down, then remove what it makes superfluous. Returns why the sweep has to end: its
        checkpoints take more than they may. Empty while all is well."""
        place = self.plan.launch.kept_as(checkpoint_place(checkpoint))
        self.ledger.checkpoint(record.number, epoch, place, final)
        self.remove_superfluous(record)
        return self._keep_to_budget()

    def fetch(self, place: str) -> Path | None:
        """A checkpoint of the ledger as a folder of this machine; None where it is gone. Raises OSError where its
        storage does not answer."""
        place = self.plan.launch.place(place)
        if "://" not in place:
            return Path(place) if Path(place).is_dir() else None
        try:
            return download(*self.storage.at(place), self.plan.folder / FETCHED / uuid.uuid4().hex)
        except FileNotFoundError as error:
            logger.warning("checkpoint %s: %s", place, error)
            return None

    def has_last(self, record: TrialRecord) -> bool:
        """Whether the last checkpoint of a trial is there, or it never had one."""
        return record.checkpoint is None or is_there(self.plan.launch.place(record.checkpoint[1]), self.storage)

    def to_go_on_from(self, record: TrialRecord) -> tuple[str | None, str]:
        """The newest checkpoint of a trial that is still there, None for the start; and what is to be said where that
        is not the newest that it had."""
        missing = 0
        for epoch, kept_as in reversed(record.checkpoints):
            if is_there(place := self.plan.launch.place(kept_as), self.storage):
                return (
                    place,
                    f"its last checkpoint is gone; it goes on from the one of epoch {epoch}" if missing else "",
                )
            missing += 1
        return None, "its checkpoints are gone; it begins again" if missing else ""

    def remove_superfluous(self, record: TrialRecord) -> None:
        self._remove_all_but(record, record.kept)

    def remove_leftovers(self) -> None:
        """What no trial refers to: of a session that died, and of this one."""
        kept = {place for record in self.ledger.trials.values() for place in record.kept}
        kept |= {place for number in self.lent for _, place in self.ledger.trials[number].checkpoints[-1:]}
        remove_leftovers(self.storage, set(map(self.plan.launch.place, kept)))
        shutil.rmtree(self.plan.folder / FETCHED, ignore_errors=True)
        shutil.rmtree(scratch_place(self.plan.launch.scratch), ignore_errors=True)

    def _keep_to_budget(self) -> str:
        """Where checkpoints take too much, trials under way keep one; where that does not do, the sweep ends."""
        records = self.ledger.trials.values()
        if not self.budget.exceeded(self.plan.launch.place(place) for record in records for place in record.kept):
            return ""
        for record in records:
            self._remove_all_but(record, record.kept[-1:])
        kept = {self.plan.launch.place(place) for record in records for place in record.kept}  # one may be shared
        if not self.budget.exceeded(kept):
            return ""
        used_gb = self.budget.used_bytes(kept) / 1e9
        return (
            f"{len(kept)} checkpoints take {used_gb:.2g} GB, the budget is {self.budget.budget_gb:g} GB: "
            "give a larger --disk-budget, or fewer trials at a time (--concurrency)"
        )

    def _remove_all_but(self, record: TrialRecord, kept: list[str]) -> None:
        for _, place in record.checkpoints:
            if place not in kept and not self.ledger.shared(place, record):
                self._remove(self.plan.launch.place(place))
        record.checkpoints = [(epoch, place) for epoch, place in record.checkpoints if place in kept]

    def _remove(self, place: str) -> None:
        """Only where this sweep puts its checkpoints: a ledger from elsewhere may name any folder."""
        if "://" in place or any(Path(place).is_relative_to(own) for own in (self.plan.folder, self.storage.place)):
            remove_checkpoint(place, self.storage)


class CheckpointBudget:
    """Bytes that the checkpoints of a sweep take, against what they may take."""

    def __init__(self, budget_gb: float | None, storage: Storage) -> None:
        self.budget_gb, self.storage = budget_gb, storage
        self._bytes: dict[str, int] = {}

    def exceeded(self, places: Iterable[str]) -> bool:
        """Whether these checkpoints take more than they may. Each is measured once: it does not change."""
        return self.budget_gb is not None and self.used_bytes(places) > self.budget_gb * 1e9

    def used_bytes(self, places: Iterable[str]) -> int:
        self._bytes = {place: self._bytes.get(place) or checkpoint_bytes(place, self.storage) for place in places}
        return sum(self._bytes.values())


def is_there(place: str, storage: Storage) -> bool:
    """Whether a checkpoint has files. One whose storage does not answer counts: the trial will say what is wrong."""
    try:
        if "://" not in place:
            return any(Path(place).iterdir())
        from pyarrow.fs import FileType

        filesystem, path = storage.at(place, quick=True)
        return filesystem.get_file_info(path).type != FileType.NotFound
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def checkpoint_bytes(place: str, storage: Storage) -> int:
    """Size of a checkpoint's files; 0 where it is gone or its storage does not answer."""
    try:
        if "://" not in place:
            return sum(file.stat().st_size for file in Path(place).rglob("*") if file.is_file())
        from pyarrow.fs import FileSelector

        filesystem, path = storage.at(place, quick=True)
        return sum(info.size or 0 for info in filesystem.get_file_info(FileSelector(path, recursive=True)))
    except OSError:
        return 0


def checkpoint_place(checkpoint: tune.Checkpoint) -> str:
    """Where a checkpoint lies, as a path or URI that `Storage.at` takes."""
    scheme = checkpoint.filesystem.type_name
    return checkpoint.path if scheme == "local" else f"{scheme}://{checkpoint.path}"


def remove_checkpoint(place: str, storage: Storage) -> None:
    """Remove a checkpoint that nothing needs any more; a failure costs disk until the end of the session."""
    try:
        if "://" not in place:
            shutil.rmtree(place, ignore_errors=True)
        else:
            filesystem, path = storage.at(place, quick=True)
            filesystem.delete_dir(path)
    except OSError as error:
        logger.warning("checkpoint %s: %s", place, error)


def remove_leftovers(storage: Storage, kept: set[str]) -> None:
    """Checkpoints other than these: half copied when a session died, or Ray Train's own copies."""
    if storage.is_remote:
        try:
            _remove_remote_leftovers(storage, kept)
        except OSError as error:
            logger.warning("leftovers in %s: %s", storage.place, error)
        return
    shutil.rmtree(Path(storage.place, TRAIN), ignore_errors=True)
    for folder in Path(storage.place).glob("session-*/trial-*/checkpoint_*"):
        if str(folder) not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_remote_leftovers(storage: Storage, kept: set[str]) -> None:
    """Raises OSError where the storage does not answer."""
    from pyarrow.fs import FileSelector

    filesystem, root = storage.at(storage.place)
    listed = filesystem.get_file_info(FileSelector(root, recursive=True, allow_not_found=True))
    inside = (PurePosixPath(info.path).relative_to(root).parts for info in listed)
    found = {parts[: 1 if parts[0] == TRAIN else 3] for parts in inside}
    for parts in sorted(found):
        place = f"{filesystem.type_name}://{root}/{'/'.join(parts)}"
        if parts == (TRAIN,) or (len(parts) == 3 and parts[2].startswith("checkpoint_") and place not in kept):
            filesystem.delete_dir(f"{root}/{'/'.join(parts)}")
