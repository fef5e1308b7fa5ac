"""Continuous waveforms as a source of training windows: a window store of them, labelled by a teacher once.

It lies beside the stores of data sets, in a folder named by its fingerprint, with a folder for each split, and is built
under the same lock and renamed. In training nobody has labelled anything, whatever the teacher picks: its picks say
where windows are drawn. In dev and what is held out they are the reference.
"""

# J line, K pick, N trace (a piece of at most an hour), P phase, W span that windows are drawn from, X component

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock
from torch import nn

from trainables.data.catalog import fingerprints
from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ, WINDOW_SAMPLES, DataConfig
from trainables.data.continuous import SAMPLE_NS, Continuous, open_continuous, places_of
from trainables.data.seal import SEALED, Opening, check_seal
from trainables.data.stream_labels import LabelJob, Part, label
from trainables.data.stream_splits import BLOCK_NS, SPLITS, StreamSplits, split_streams
from trainables.data.teacher_picks import teacher_digests
from trainables.data.windowing import PRESCRIBED, Windowing
from trainables.data.windows import WindowStore, cache_folder
from trainables.edge.chosen import EVERYTHING
from trainables.edge.sds import files_of
from trainables.edge.stretches import Span, merged, without

STREAM_FORMAT = 1
FEW_PICKS = 50
"""Below so many in training one line is said."""

_INDEX, _SAMPLES = "index.npz", "samples.bin"
_SAMPLED_BLOCKS, _BLOCK_BYTES = 8, 4096

logger = logging.getLogger("trainables.data")


@dataclass(frozen=True, kw_only=True)
class StreamStore(WindowStore):
    """Pieces of continuous waveforms, at most an hour of windows each. Neighbours overlap, their spans do not."""

    station_N: np.ndarray
    """NET.STA"""
    start_ns_N: np.ndarray
    """Time of the first sample, nanoseconds since 1970."""
    pick_probability_K: np.ndarray
    """Of the teacher."""
    own_pick_K: np.ndarray
    """Whether a pick is in no other piece's own time: each is once."""
    span_trace_W: np.ndarray
    """Which piece a span is of. A piece may have none, or several."""

    @property
    def num_picks(self) -> int:
        return int(self.own_pick_K.sum())

    @property
    def hours(self) -> float:
        """In which windows lie."""
        return hours_of(self.span_low_W, self.span_high_W)

    def block_of(self, trace_B: np.ndarray, start_B: np.ndarray) -> np.ndarray:
        """Station and block of ten minutes of each window: what happens in it is one event of the bootstrap."""
        block_B = (self.start_ns_N[trace_B] + start_B * SAMPLE_NS) // BLOCK_NS
        return np.char.add(np.char.add(self.station_N[trace_B].astype(str), " "), block_B.astype(str))


def open_streams(
    config: DataConfig,
    teacher: nn.Module | None,
    split: Literal["train", "dev", "test"],
    opening: Opening | None = None,
    windowing: Windowing = PRESCRIBED,
    labelled: Sequence[tuple[str, int, int]] = (),
) -> StreamStore:
    """The window store of a split of `data.streams`, labelled by the teacher where it is not there yet.

    Without a teacher nobody picks. What is held out wants its opening. `labelled`: station and time (nanoseconds) of
    traces of data sets, with which no training window shares a sample. Raises ValueError in one line.
    """
    digests = teacher_digests(teacher) if teacher is not None else []
    if split == SEALED:
        check_seal(opening, which_held_out(config))
    key = _store_key(config, digests)
    folder = cache_folder(config) / f"streams-{key}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            with FileLock(folder.parent / f"{folder.name}.lock"):
                if not folder.is_dir():
                    _build(config, teacher, folder)
    except OSError as error:
        raise ValueError(f"data.cache_dir={folder.parent}: cannot be written ({error.strerror or error})") from error
    with np.load(folder / split / _INDEX) as index:
        columns = {name: index[name] for name in index.files}
    spans = _spans(columns, windowing, labelled if split == "train" else ())
    everything = spans if not (labelled and split == "train") else _spans(columns, windowing, ())
    hours = hours_of(everything["span_low_W"], everything["span_high_W"])
    dtype = np.dtype(config.store_dtype)
    samples = np.memmap(folder / split / _SAMPLES, dtype=dtype, mode="r").view(np.ndarray)
    columns = {name: column for name, column in columns.items() if name not in ("own_low_N", "own_high_N")}
    store = StreamStore(
        fingerprint=f"{key}-{split}-{windowing.samples}", split=split, samples=samples, windowing=windowing,
        **columns, **spans,
    )  # fmt: skip
    _say(store, config, hours)
    return store


def hours_of(low_W: np.ndarray, high_W: np.ndarray) -> float:
    return float((high_W - low_W).sum() / SAMPLING_RATE_HZ / 3600)


def data_fingerprint(config: DataConfig) -> str:
    """Of the data sets; without one of the streams."""
    return fingerprints(config.dataset) if config.has_dataset else streams_fingerprint(config)


def which_held_out(config: DataConfig) -> str:
    """Which held-out hours and stations these are, in words. Whoever has opened some of an archive has opened them,
    whatever the shares were and whose picks were the reference."""
    return f"streams {streams_fingerprint(config)}, held-out hours and stations"


def check_streams(config: DataConfig) -> tuple[Continuous, StreamSplits]:
    """What there is, and how it is split, from headers alone. Raises ValueError in one line."""
    return _surveyed(tuple(config.continuous), config.streams_held_out_stations, config.streams_held_out_share)


@lru_cache(maxsize=2)
def _surveyed(streams: tuple[str, ...], stations: float, share: float) -> tuple[Continuous, StreamSplits]:
    continuous = open_continuous(streams)
    try:
        return continuous, split_streams(continuous.stretches, stations, share)
    except ValueError as error:
        raise ValueError(f"data.streams={','.join(streams)}: {error}") from None


def streams_fingerprint(config: DataConfig) -> str:
    """Twelve hexadecimal digits that change with the files: their names within the folders, sizes and some of their
    bytes. No time of change counts, so that copies share what was made from them."""
    digest = hashlib.blake2b(digest_size=6)
    for root in places_of(config.continuous):
        for file in sorted(files_of([root], EVERYTHING)):
            size = file.stat().st_size
            named = file.name if file == root else file.relative_to(root).as_posix()
            digest.update(f"{named} {size} ".encode())
            with file.open("rb") as stream:
                for start in np.unique(np.linspace(0, max(0, size - _BLOCK_BYTES), _SAMPLED_BLOCKS).astype(np.int64)):
                    stream.seek(int(start))
                    digest.update(stream.read(_BLOCK_BYTES))
    return digest.hexdigest()


def _store_key(config: DataConfig, digests: Sequence[str]) -> str:
    facts = [STREAM_FORMAT, streams_fingerprint(config), list(digests), config.streams_threshold, config.store_dtype]
    facts += [config.streams_held_out_share, config.streams_held_out_stations, COMPONENT_ORDER, SAMPLING_RATE_HZ]
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()


def _build(config: DataConfig, teacher: nn.Module | None, folder: Path) -> None:
    """Write the stores of all splits under another name, then rename."""
    for stale in folder.parent.glob(f".building-{folder.name}-*"):
        shutil.rmtree(stale, ignore_errors=True)  # we hold the lock, so its builder is dead
    continuous, splits = check_streams(config)
    _check_disk(continuous, config, folder.parent)
    seconds = sum(stretch.seconds for stretch in continuous.stretches)
    logger.info("data.streams: labelling %.1f h of %d stations", seconds / 3600, len(continuous.stations))
    building = folder.parent / f".building-{folder.name}-{os.getpid()}"
    work = building / "work"
    work.mkdir(parents=True)
    parts: dict[str, list[Part]] = {split: [] for split in SPLITS}
    try:
        for split in SPLITS:
            (building / split).mkdir()
        job = LabelJob(teacher, config.streams_threshold, splits, config.store_dtype)
        for station, its in label(continuous, job, work):
            for split in SPLITS:
                with (building / split / _SAMPLES).open("ab") as file, (station / split).open("rb") as written:
                    shutil.copyfileobj(written, file)
                parts[split] += its[split]
            for split in SPLITS:
                (station / split).unlink()
        shutil.rmtree(work)
        for split in SPLITS:
            with (building / split / _SAMPLES).open("rb") as file:
                os.fsync(file.fileno())
            with (building / split / _INDEX).open("wb") as file:
                np.savez(file, **_columns(parts[split], split, continuous.said, teacher is not None))  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _columns(parts: list[Part], split: str, said: list[str], is_picked: bool) -> dict[str, np.ndarray]:
    index = {name: [part[name] for part in parts] for name in parts[0]}
    length_N = np.array(index["length"], dtype=np.int64)
    is_reference = split != "train" and is_picked
    return {
        "offset_N": np.concatenate([[0], 3 * np.cumsum(length_N)[:-1]]),
        "length_N": length_N,
        "gain_NX": np.array(index["gain"], dtype=np.float32),
        "mean_NX": np.array(index["mean"], dtype=np.float32),
        "first_pick_N": np.concatenate([[0], np.cumsum([len(picks) for picks in index["picks"]])]),
        "pick_K": np.concatenate(index["picks"]),
        "pick_phase_K": np.concatenate(index["phases"]),
        "pick_probability_K": np.concatenate(index["probabilities"]),
        "own_pick_K": np.concatenate(index["is_own"]),
        "trace_name_N": np.array(index["name"]),
        "row_N": np.arange(len(parts)),
        "labelled_NP": np.full((len(parts), len(PHASES)), is_reference),
        "left_out_J": np.array(said, dtype=str),
        "station_N": np.array(index["station"]),
        "start_ns_N": np.array(index["start_ns"], dtype=np.int64),
        "own_low_N": np.array(index["own_low"], dtype=np.int64),
        "own_high_N": np.array(index["own_high"], dtype=np.int64),
    }


def _spans(
    columns: dict[str, np.ndarray], windowing: Windowing, labelled: Sequence[tuple[str, int, int]]
) -> dict[str, np.ndarray]:
    """What windows of this length are drawn from: first samples and ends, none shorter than a window, and nothing of
    what data sets hold. Of a piece with nothing left none."""
    taken: dict[str, list[Span]] = {}
    for station, start_ns, end_ns in labelled:
        taken.setdefault(station, []).append((start_ns, end_ns))
    taken = {station: merged(spans) for station, spans in taken.items()}
    lows: list[int] = []
    highs: list[int] = []
    traces: list[int] = []
    for n, (low, high) in enumerate(zip(columns["own_low_N"].tolist(), columns["own_high_N"].tolist(), strict=True)):
        length = int(columns["length_N"][n])
        is_last = high - 1 + WINDOW_SAMPLES == length
        high = length if is_last else min(high - 1 + windowing.samples, length)
        start_ns = int(columns["start_ns_N"][n])
        whole = (start_ns + low * SAMPLE_NS, start_ns + high * SAMPLE_NS)
        station = str(columns["station_N"][n])
        its = merged([*taken.get(station, []), *taken.get(station.partition(".")[2], [])])
        for begin_ns, end_ns in without([whole], its):
            first, last = -(-(begin_ns - start_ns) // SAMPLE_NS), (end_ns - start_ns) // SAMPLE_NS
            if last - first >= windowing.samples:
                lows, highs, traces = [*lows, first], [*highs, last], [*traces, n]
    trace_W = np.array(traces, dtype=np.int64)
    return {
        "first_span_N": np.searchsorted(trace_W, np.arange(len(columns["length_N"]) + 1)),
        "span_low_W": np.array(lows, dtype=np.int64),
        "span_high_W": np.array(highs, dtype=np.int64),
        "span_trace_W": trace_W,
    }


def _say(store: StreamStore, config: DataConfig, hours: float) -> None:
    name = f"data.streams={','.join(config.continuous)}"
    if store.split == "train":
        for line in store.left_out_J:
            logger.warning("%s: %s", name, line)
        logger.info("%s: %.1f h to learn from, %d picks of the teacher", name, store.hours, store.num_picks)
        if hours > store.hours:
            logger.warning("%s: %.1f h of it do not train: data.dataset holds them", name, hours - store.hours)
    if not len(store.span_low_W):
        raise ValueError(
            f"{name}: no window of {store.windowing.samples} samples is left in split {store.split} of {hours:.1f} h"
        )


def few_picks(store: StreamStore) -> str:
    """What is said where the teacher has hardly picked anything to learn from; "" where it has."""
    if store.num_picks >= FEW_PICKS:
        return ""
    return (
        f"the teacher makes {store.num_picks} picks in the {store.hours:.1f} h of streams that train, fewer than "
        f"{FEW_PICKS}: give more hours, a lower data.streams_threshold or another teacher"
    )


def _check_disk(continuous: Continuous, config: DataConfig, cache_dir: Path) -> None:
    """Twice the samples: those of a station are there two times while they are joined."""
    of_station: dict[str, float] = {}
    for stretch in continuous.stretches:
        of_station[stretch.station] = of_station.get(stretch.station, 0) + stretch.num_samples
    samples: Any = sum(of_station.values())
    needed_gb = 1.05 * 3 * np.dtype(config.store_dtype).itemsize * samples * 2 / 1e9
    free_gb = shutil.disk_usage(cache_dir).free / 1e9
    if needed_gb > free_gb:
        raise ValueError(
            f"data.cache_dir={cache_dir}: the streams take {needed_gb:.1f} GB and the disk has {free_gb:.1f} GB free; "
            "use data.store_dtype=float16, fewer hours or another disk"
        )
