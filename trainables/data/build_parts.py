"""The parts of a data set that is built from picks, written by one process or by several.

This file imports no torch: a process would take seconds to load it.
"""

# X component, T time sample

from __future__ import annotations

import json
import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.atomic import whole_file
from trainables.data.archives import Archive
from trainables.data.build_cuts import cut
from trainables.data.build_window import BuildConfig, Window
from trainables.data.processes import end_with_parent
from trainables.environment import variables

Progress = Callable[[int, int], None]
"""Told how many windows are done, of how many."""


@dataclass
class Job:
    """What a process needs to write parts."""

    folder: Path
    parts: list[list[Window]]
    archive: Archive
    config: BuildConfig
    events: Mapping[str, Mapping[str, Any]]


def index_of(folder: Path, part: int) -> Path:
    return folder / f"part-{part:06d}.json"


def values_of(folder: Path, part: int) -> Path:
    return folder / f"part-{part:06d}.bin"


def write_parts(job: Job, jobs: int, progress: Progress | None) -> None:
    """Those that are not there yet, in this process or in several."""
    missing = [n for n in range(len(job.parts)) if not index_of(job.folder, n).exists()]
    total = sum(map(len, job.parts))
    done = total - sum(len(job.parts[part]) for part in missing)
    for part in _each(job, missing, min(jobs, len(missing))):
        done += len(job.parts[part])
        if progress:
            progress(done, total)


def _each(job: Job, missing: Sequence[int], jobs: int) -> Iterator[int]:
    if jobs <= 1:
        for part in missing:
            _write_part(job, part)
            yield part
        return
    with variables(OMP_NUM_THREADS="1"):
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (job,))
        try:
            futures: dict[Future[None], int] = {pool.submit(_write_part_there, part): part for part in missing}
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        finally:
            pool.shutdown(cancel_futures=True)


_JOB: list[Job] = []


def _begin(job: Job) -> None:
    """In a new process: it ends with the one that has made it."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _JOB.append(job)


def _write_part_there(part: int) -> None:
    _write_part(_JOB[0], part)


def _write_part(job: Job, part: int) -> None:
    """Values first: the index that stands says that they are whole."""
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    dead: list[str] = []
    with whole_file(values_of(job.folder, part)) as arriving, arriving.open("wb") as file:
        for window in job.parts[part]:
            result = cut(window, job.archive, job.config, job.events)
            left_out, seen, dead = left_out + result.left_out, seen + result.seen, dead + result.dead
            if result.waveform_XT is not None:
                rows.append(result.row)
                file.write(np.ascontiguousarray(result.waveform_XT, dtype="<f4").tobytes())
    index = {"rows": rows, "left_out": left_out, "seen": seen, "dead": sorted(set(dead)), "failed": job.archive.failed}
    with whole_file(index_of(job.folder, part)) as arriving:
        arriving.write_text(json.dumps(index))
