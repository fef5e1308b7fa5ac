"""A SeisBench data set out of picks and an archive of waveforms: plan, parts, one data set.

Parts are written by several processes, each whole or not at all, into a hidden folder of the data set. A build that was
interrupted goes on with those that are there. The plan says everything, so the bytes are the same however often it was
interrupted and however many processes there were.
"""

# X component, T time sample

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from trainables.atomic import whole_file
from trainables.data.archives import open_archive
from trainables.data.build_cuts import MISSING
from trainables.data.build_files import (
    METADATA,
    SETTINGS,
    WAVEFORMS,
    Settings,
    digest_of,
    existing_windows,
    read_settings,
    write_dataset,
)
from trainables.data.build_parts import Job, Progress, index_of, values_of, write_parts
from trainables.data.build_plan import plan_windows
from trainables.data.build_splits import with_splits
from trainables.data.build_window import BuildConfig, Window
from trainables.data.catalogues import Picks
from trainables.data.processes import MOST_PROCESSES, cores

WORK = ".build"
"""Folder of a build that is under way."""

PART_WINDOWS = 64
_PLAN, _SEAL = "plan.json", "sealed"
_FLOAT_BYTES = 4
_SPARE_BYTES = 2**24


@dataclass
class Built:
    """What a build has written, and what not."""

    folder: Path
    metadata: pd.DataFrame
    """Of the whole data set."""
    left_out: Counter[str]
    """Picks by reason."""
    seen: Counter[str]
    """What else is worth a line, counted in windows."""
    notes: list[str]
    """What was taken for granted, a line each."""
    dead: list[str]
    """Dead channels."""
    failed: dict[str, str]
    """Files and requests that failed, and why."""
    unpicked: list[str]
    """Stations of the archive without any pick."""
    num_responses: int
    """Files of the archive that are responses."""
    no_waveform: list[str]
    """Channels of the archive that hold text, or have no rate."""

    @property
    def is_complete(self) -> bool:
        """Whether all picks have their waveforms and all stations their picks, and every file was read."""
        return not (self.failed or self.unpicked or any(self.left_out[reason] for reason in MISSING))


def build(
    folder: Path,
    picks: Picks,
    archive: str | Sequence[str],
    config: BuildConfig,
    *,
    append: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Built:
    """Write the data set, or go on with one that was interrupted; with `append` add what it has not yet.

    Raises ValueError in one line for whatever can be known before anything is written, and where no window has
    waveforms.
    """
    _remove_what_is_done(folder)
    settings = _settings(folder, config, append)
    opened = open_archive(archive, picks.table)
    existing = existing_windows(folder) if append else []
    planned, left_out, notes = plan_windows(picks, opened, config, existing)
    windows, between, borders_ns = with_splits(planned, config, existing, settings.borders_ns)
    settings.borders_ns = borders_ns
    job = Job(folder / WORK, _parts(windows), opened, config, picks.events)
    with _work(job, append) as done_before:
        if done_before:
            notes.append(f"an interrupted build goes on: {done_before} of {len(job.parts)} parts are there")
        _check_disk(folder, windows, config)
        write_parts(job, jobs or min(cores(), MOST_PROCESSES), progress)
        indexes = [json.loads(index_of(job.folder, n).read_text()) for n in range(len(job.parts))]
        failed = dict(opened.failed)
        for index in indexes:
            failed |= index["failed"]
        if not append and not any(index["rows"] for index in indexes):
            for part in range(len(job.parts)):
                index_of(job.folder, part).unlink()
            raise ValueError(_nothing(windows, indexes, failed))
        values = [values_of(job.folder, n) for n in range(len(job.parts))]
        rows = [index["rows"] for index in indexes]
        metadata = write_dataset(folder, rows, values, settings, append, job.folder / _SEAL)
    stations = {window.station for window in [*existing, *planned]} | _stations(picks, planned)
    return Built(
        folder,
        metadata,
        picks.left_out + left_out + between + _sum(indexes, "left_out"),
        _sum(indexes, "seen"),
        [*picks.notes, *notes],
        sorted({channel for index in indexes for channel in index["dead"]}),
        failed,
        sorted(station for station in opened.spans() if station not in stations),
        opened.num_responses,
        sorted(opened.no_waveform),
    )


def _settings(folder: Path, config: BuildConfig, append: bool) -> Settings:
    """Of a new data set, or of the one that is there, which must be cut in the same way."""
    has_data = (folder / METADATA).exists()
    if not append:
        if has_data:
            raise ValueError(f"{folder}: there is a data set already; --append adds to it")
        if folder.exists() and (not folder.is_dir() or any(not _is_left_by_a_build(p) for p in folder.iterdir())):
            raise ValueError(f"{folder}: exists and is not empty")
        return Settings(config)
    if not has_data or not (folder / SETTINGS).exists():
        raise ValueError(f"{folder}: there is no data set made by `seisweep data build` to append to")
    settings = read_settings(folder)
    for name in ("rate_hz", "components", "split_by"):
        there, asked = getattr(settings.config, name), getattr(config, name)
        if there != asked:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{folder}: was built with {option} {there}; appending with {asked} would mix them")
    return settings


def _is_left_by_a_build(file: Path) -> bool:
    """Of one that was killed: `whole_file` writes under names that begin with a dot."""
    return file.name in (WAVEFORMS, SETTINGS) or file.name.startswith(".")


def _stations(picks: Picks, planned: Sequence[Window]) -> set[str]:
    """NET.STA of all picks, those whose network is known from the archive too."""
    named = {f"{n}.{s}" for n, s in zip(picks.table["network"], picks.table["station"], strict=True)}
    return named | {window.station for window in planned}


def _parts(windows: Sequence[Window]) -> list[list[Window]]:
    return [list(windows[n : n + PART_WINDOWS]) for n in range(0, len(windows), PART_WINDOWS)]


def _check_disk(folder: Path, windows: Sequence[Window], config: BuildConfig) -> None:
    """Parts and data set are there at the same time for a moment."""
    samples = sum((window.end_ns - window.start_ns) / 1e9 * config.rate_hz for window in windows)
    needed = 2 * samples * len(config.components) * _FLOAT_BYTES + _SPARE_BYTES
    existing = folder / WAVEFORMS
    needed += existing.stat().st_size if existing.exists() else 0
    needed -= sum(file.stat().st_size for file in (folder / WORK).glob("part-*.bin"))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(
            f"{folder}: {len(windows)} windows need {needed / 1e9:.1f} GB while they are written and the disk has "
            f"{free / 1e9:.1f} GB free"
        )


# The folder of parts


@contextmanager
def _work(job: Job, append: bool) -> Iterator[int]:
    """Holds the parts, and yields how many are there; removed where the build ends, or had nothing to begin with."""
    folder, target = job.folder, job.folder.parent
    plan = {"digest": _digest(job, append), "windows": sum(map(len, job.parts))}
    made = [place for place in (target, *target.parents) if not place.exists()]
    if (folder / _PLAN).exists():
        there = json.loads((folder / _PLAN).read_text())
        if there["digest"] != plan["digest"]:
            raise ValueError(
                f"{target}: an interrupted build of {there['windows']} windows with other picks, waveforms or options "
                f"is there; give the same, or delete {folder}"
            )
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        try:
            with whole_file(folder / _PLAN) as arriving:
                arriving.write_text(json.dumps(plan))
            for left in (*target.glob(f".{WAVEFORMS}.*"), *target.glob(f".{METADATA}.*"), *folder.glob(".part-*")):
                left.unlink()
            yield sum(index_of(folder, n).exists() for n in range(len(job.parts)))
        except ValueError:
            if not any(folder.glob("part-*.json")):
                shutil.rmtree(folder)
                for place in made:
                    place.rmdir()
            raise
        shutil.rmtree(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises ValueError where another build is at it."""
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(f"{folder.parent}: another build is writing there") from None


def _remove_what_is_done(folder: Path) -> None:
    """Parts of a build that was killed when its data set was there."""
    seal, metadata = folder / WORK / _SEAL, folder / METADATA
    if seal.exists() and metadata.exists() and seal.read_text() == digest_of(metadata):
        shutil.rmtree(folder / WORK)


def _digest(job: Job, append: bool) -> str:
    """Of all that decides what the parts hold."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{job.config.model_dump_json()} {append} {PART_WINDOWS}".encode())
    for windows in job.parts:
        for window in windows:
            digest.update(json.dumps(asdict(window)).encode())
    digest.update(json.dumps(job.events, sort_keys=True).encode())
    digest.update(repr(getattr(job.archive, "pieces", job.archive.spans())).encode())
    return digest.hexdigest()


def _sum(indexes: Sequence[dict[str, Any]], key: str) -> Counter[str]:
    return sum((Counter(index[key]) for index in indexes), Counter())


def _nothing(windows: Sequence[Window], indexes: Sequence[dict[str, Any]], failed: dict[str, str]) -> str:
    reasons = [f"{count} {reason}" for reason, count in _sum(indexes, "left_out").most_common()]
    reasons += [f"{place}: {why}" for place, why in list(failed.items())[:1]]
    return f"none of {len(windows)} windows has waveforms, nothing is written (picks: {'; '.join(reasons)})"
