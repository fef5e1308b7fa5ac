"""Continuous waveforms, station by station, into what a store of them keeps: pieces of an hour, and a teacher's picks.

Stations are shared by several processes where that pays; each leaves files of its own, which are joined in the order
of stations: the store is the same, however many there are.
"""

# X component (E, N, Z), T time sample

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import nn

from trainables.atomic import whole_file
from trainables.data.config import WINDOW_SAMPLES
from trainables.data.continuous import BLOCK_SAMPLES, SAMPLE_NS, Continuous, Stretch, of_pieces
from trainables.data.processes import MOST_PROCESSES, cores, end_with_parent, interpreters, last_words
from trainables.data.store_parts import LOOK_EVERY_S, SAY_EVERY_S, as_stored
from trainables.data.stream_splits import SPLITS, StreamSplits
from trainables.data.teacher_picks import TeacherPick, as_network, picks_in
from trainables.edge.network import Network
from trainables.edge.pieces import Piece

BEFORE_SAMPLES, AFTER_SAMPLES = 3000, 9000
"""Kept around the windows of a piece, for longer windows and for who listens longer; neighbours overlap by that."""

HOURS_EACH = 4.0
"""A process pays from about so many hours on: it loads its libraries first, which takes seconds."""

_ERRORS, _JOB = "errors.txt", "job.pickle"

logger = logging.getLogger("trainables.data")

Part = dict[str, Any]
"""What the index of a store keeps of a piece."""


@dataclass(frozen=True)
class LabelJob:
    """What whoever labels a station must know."""

    teacher: nn.Module | None
    """None: nobody picks."""
    threshold: float
    splits: StreamSplits
    store_dtype: str

    @property
    def network(self) -> Network | None:
        return as_network(self.teacher, self.threshold) if self.teacher is not None else None


def label(continuous: Continuous, job: LabelJob, folder: Path) -> Iterator[tuple[Path, dict[str, list[Part]]]]:
    """For each station in their order: a folder with a file of samples for each split, and what is in each of them.

    `folder` is for files in between; what is in a station's folder may be removed when the next one is asked for.
    """
    stations = continuous.stations
    hours = sum(stretch.seconds for stretch in continuous.stretches) / 3600
    count = min(cores(), MOST_PROCESSES, len(stations), int(hours / HOURS_EACH))
    progress = _Progress(len(stations))
    if count > 1:
        yield from _by_processes(count, continuous, job, folder, progress)
        return
    network = job.network
    for number, station in enumerate(stations):
        _label_station(continuous.pieces[station], job, network, folder, number)
        yield _read(folder, number)
        progress.now(number + 1)


def _label_station(pieces: list[Piece], job: LabelJob, network: Network | None, folder: Path, number: int) -> None:
    """Write the samples of each split, then what is in them; what cannot be read is in the parts of train."""
    here = _folder_of(folder, number)
    here.mkdir(exist_ok=True)
    found = of_pieces({"": pieces})
    parts: dict[str, list[Part]] = {}
    for split in SPLITS:
        with (here / split).open("wb") as file:
            parts[split] = [
                part
                for stretch in job.splits.of(found.stretches, split)
                for part in _parts(found, stretch, network, file, job.store_dtype)
            ]
    with whole_file(here / "index") as arriving:
        arriving.write_bytes(pickle.dumps((parts, found.failed)))


def _parts(
    found: Continuous, stretch: Stretch, network: Network | None, file: IO[bytes], store_dtype: str
) -> list[Part]:
    """The pieces of one stretch, and the picks in each."""
    parts, picks = [], []
    for low, high in piece_ranges(stretch.num_samples):
        first = max(0, low - BEFORE_SAMPLES)
        last = min(stretch.num_samples, high - 1 + WINDOW_SAMPLES + AFTER_SAMPLES)
        raw_XT = found.read(stretch, first, last)
        values, gain_X, mean_X = as_stored(raw_XT, store_dtype)
        file.write(values)
        # Each pick is found in the piece in which its window would begin.
        own = (
            0 if low == 0 else low,
            stretch.num_samples if high - 1 + WINDOW_SAMPLES == stretch.num_samples else high,
        )
        its = picks_in(network, raw_XT) if network else []
        picks += [pick._replace(sample=first + pick.sample) for pick in its if own[0] <= first + pick.sample < own[1]]
        parts.append(
            {
                "first": first,
                "length": last - first,
                "gain": gain_X,
                "mean": mean_X,
                "own_low": low - first,
                "own_high": high - first,
                "own": own,
                "name": f"{stretch.instrument} {stretch.start_ns + first * SAMPLE_NS}",
                "station": stretch.station,
                "start_ns": stretch.start_ns + first * SAMPLE_NS,
            }
        )
    for part in parts:
        part |= _picks_of(part, picks)
    return parts


def _picks_of(part: Part, picks: list[TeacherPick]) -> Part:
    first, last = part["first"], part["first"] + part["length"]
    its = [pick for pick in picks if first <= pick.sample < last]
    low, high = part["own"]
    return {
        "picks": np.array([pick.sample - first for pick in its], dtype=np.float64),
        "phases": np.array([pick.phase for pick in its], dtype=np.int64),
        "probabilities": np.array([pick.probability for pick in its], dtype=np.float32),
        "is_own": np.array([low <= pick.sample < high for pick in its], dtype=bool),
    }


def piece_ranges(num_samples: int) -> list[tuple[int, int]]:
    """First samples of windows of 3001, `low` up to `high`, shared by pieces of an hour each."""
    num_starts = num_samples - WINDOW_SAMPLES + 1
    return [(low, min(low + BLOCK_SAMPLES, num_starts)) for low in range(0, num_starts, BLOCK_SAMPLES)]


class _Progress:
    """Says now and then how many stations are done, and how long the others will take."""

    def __init__(self, count: int) -> None:
        self.count, self.began_s = count, time.monotonic()
        self.said_s = self.began_s

    def now(self, done: int) -> None:
        now_s = time.monotonic()
        if now_s - self.said_s > SAY_EVERY_S and done < self.count:
            self.said_s = now_s
            left_min = (now_s - self.began_s) / done * (self.count - done) / 60
            logger.info("labelled %d of %d stations, %.0f min left", done, self.count, max(1, left_min))


# Several processes


def _by_processes(
    count: int, continuous: Continuous, job: LabelJob, folder: Path, progress: _Progress
) -> Iterator[tuple[Path, dict[str, list[Part]]]]:
    stations = continuous.stations
    for number, station in enumerate(stations):
        (folder / f"{number:05d}.pieces").write_bytes(pickle.dumps(continuous.pieces[station]))
    (folder / _JOB).write_bytes(pickle.dumps((job, len(stations))))
    with interpreters([["-m", __name__, str(folder)]] * count, folder / _ERRORS) as processes:
        for number in range(len(stations)):
            _wait_for(_folder_of(folder, number) / "index", processes, folder)
            yield _read(folder, number)
            progress.now(sum((_folder_of(folder, n) / "index").exists() for n in range(len(stations))))


def _wait_for(file: Path, processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    """Raises ValueError where a process has died."""
    while not file.exists():
        if any(process.poll() for process in processes) and not file.exists():
            said = last_words(folder / _ERRORS) or "killed"
            raise ValueError(f"data.streams: a process of the teacher died while labelling ({said})")
        time.sleep(LOOK_EVERY_S)


def _folder_of(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}"


def _read(folder: Path, number: int) -> tuple[Path, dict[str, list[Part]]]:
    here = _folder_of(folder, number)
    parts, failed = pickle.loads((here / "index").read_bytes())  # ours, of a moment ago
    for place, reason in failed.items():
        logger.warning("data.streams: %s cannot be read (%s); replaced by zeros", place, reason)
    return here, parts


def _work(folder: Path) -> None:
    """In one of the processes: station after station that nobody has taken."""
    end_with_parent()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # denormal numbers of fading activations are a hundred times slower
    job, count = pickle.loads((folder / _JOB).read_bytes())
    network = job.network
    for number in range(count):
        try:
            _folder_of(folder, number).mkdir()
        except FileExistsError:  # another process has it
            continue
        pieces = pickle.loads((folder / f"{number:05d}.pieces").read_bytes())
        _label_station(pieces, job, network, folder, number)


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
