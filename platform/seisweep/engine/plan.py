"""What a session needs: the sweep on disk, where and how this session runs it, and what follows from these."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from search_spaces.sweep import Sweep
from seisweep.engine.cluster import Resources
from seisweep.engine.sweep_folder import CHECKPOINTS, LOGS, Launch
from seisweep.record.ledger import TrialRecord
from seisweep.requested.trainable import CACHE_KEY, OUTPUTS_GB, OUTPUTS_KEY, SEED_KEY, Trainable
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.storage import Storage, storage_of
from seisweep.settings.which_store import Store
from seisweep.workers.trial import Job


@dataclass(frozen=True)
class Plan:
    """Decided before a session begins; nothing in it changes while it runs."""

    launch: Launch
    home: Home
    store: Store
    trainable: Trainable
    profile: Profile
    """Of this session: a resumed sweep may have another than it began with."""
    concurrency: int | None = None
    """Most trials at a time; None: as many as fit."""
    extend: int = 0
    """Trials more than the sweep had."""
    is_new: bool = False

    @property
    def sweep(self) -> Sweep:
        return self.launch.sweep

    @property
    def name(self) -> str:
        return self.launch.name

    @property
    def folder(self) -> Path:
        return self.launch.folder

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Dotted keys of the configuration that the sweep's base gives, defaults written out."""
        return self.trainable.defaults(self.sweep)

    @cached_property
    def resources(self) -> Resources:
        return Resources(self.sweep, self.profile)

    @cached_property
    def storage(self) -> Storage:
        """Where checkpoints go: the sweep's folder, or the profile's storage under the sweep's id."""
        named = storage_of(self.profile)
        if not named.place:
            return replace(named, place=str(self.folder / CHECKPOINTS))
        return named.below(f"{self.name}-{self.launch.id[:8]}")

    @property
    def logs(self) -> Path:
        """Folder of the trials' log files."""
        return self.folder / LOGS

    @property
    def log(self) -> Path:
        """What libraries and the engine itself have to say."""
        return self.folder / "sweep.log"

    def job(self, session: int) -> Job:
        """What the trials of a session share, as plain data for other processes."""
        wanted = self.resources
        return Job(
            trainable=self.sweep.trainable,
            objectives=tuple(self.sweep.objectives),
            logs=str(self.logs),
            storage=self.storage.place,
            endpoint=self.storage.endpoint,
            region=self.storage.region,
            fetched=str(self.home.fetched_dir),
            workers=wanted.workers,
            cpus_per_worker=wanted.cpus,
            gpus_per_worker=wanted.gpus,
            memory_gb_per_worker=wanted.memory_gb,
            scratch=self.launch.scratch,
            relay=f"seisweep-{self.launch.id}-{session}",
        )

    def configure(self, record: TrialRecord) -> tuple[dict[str, Any], str]:
        """The whole configuration of a trial as plain data; or an empty one and why it is refused."""
        settings = self.launch.moved.everywhere(dict(self.sweep.base) | record.params | record.changes)
        if self.trainable.has(SEED_KEY):
            settings.setdefault(SEED_KEY, record.seed)
        if self.trainable.config_class and self.trainable.has(CACHE_KEY):
            settings.setdefault(CACHE_KEY, str(self.home.cache_dir))
        asks_once = self.launch.asks_once and self.sweep.shares_seeds
        if asks_once and self.trainable.config_class and self.trainable.has(OUTPUTS_KEY):
            settings.setdefault(OUTPUTS_KEY, OUTPUTS_GB)
        try:
            return self.trainable.dump(settings), ""
        except ValueError as error:
            return {}, str(error)
