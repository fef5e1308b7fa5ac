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
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import nn

from trainables.data.catalog import fingerprints
from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ, WINDOW_SAMPLES, DataConfig
from trainables.data.continuous import SAMPLE_NS, Continuous, open_continuous, places_of
from trainables.data.seal import SEALED, Opening, check_seal
from trainables.data.store_folder import building, check_room, made_once
from trainables.data.stream_labels import LabelJob, Part, label
from trainables.data.stream_splits import BLOCK_NS, SPLITS, StreamSplits, split_streams
from trainables.data.windowing import PRESCRIBED, Windowing
from trainables.data.windows import SAMPLES_FILE, WindowStore, cache_folder, columns_of, read_columns, write_index
from trainables.edge.chosen import EVERYTHING
from trainables.edge.sds import files_of
from trainables.edge.stretches import Span, merged, without
from trainables.models.teacher import digests

STREAM_FORMAT = 1
FEW_PICKS = 50
"""Below so many in training one line is said."""

_SAMPLED_BLOCKS, _BLOCK_BYTES = 8, 4096

logger = logging.getLogger("trainables.data")


class File(NamedTuple):
    """One of the files of streams."""

    path: Path
    named: str
    """Within its folder."""
    size_bytes: int
    changed_ns: int


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

    @cached_property
    def picks_in_spans(self) -> tuple[np.ndarray, np.ndarray]:
        """Whole sample and span of each pick that a window can hold."""
        of_trace_K = np.repeat(np.arange(len(self)), np.diff(self.first_pick_N))[self.own_pick_K]
        pick_K = self.pick_K[self.own_pick_K].astype(np.int64)
        # Spans lie in the order of pieces and of time within them.
        reach = int(self.length_N.max()) + 1
        span_K = np.searchsorted(self.span_trace_W * reach + self.span_low_W, of_trace_K * reach + pick_K, "right") - 1
        inside_K = (span_K >= 0) & (self.span_trace_W[span_K] == of_trace_K) & (pick_K < self.span_high_W[span_K])
        return pick_K[inside_K], span_K[inside_K]

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
    if split == SEALED:
        check_seal(opening, which_held_out(config))
    key = _store_key(config, digests(teacher) if teacher is not None else [])
    folder = cache_folder(config) / f"streams-{key}"
    made_once(folder, folder.is_dir, lambda: _build(config, teacher, folder))
    columns, samples = read_columns(folder / split, config)
    spans = _spans(columns, windowing, labelled if split == "train" else ())
    everything = spans if not (labelled and split == "train") else _spans(columns, windowing, ())
    hours = hours_of(everything["span_low_W"], everything["span_high_W"])
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
    shares = config.streams_held_out_stations, config.streams_held_out_share
    return _surveyed(tuple(config.continuous), *shares, _files(config))


@lru_cache(maxsize=2)
def _surveyed(
    streams: tuple[str, ...], stations: float, share: float, files: tuple[File, ...]
) -> tuple[Continuous, StreamSplits]:
    """`files` are those there now: a survey is of them alone."""
    continuous = open_continuous(streams)
    try:
        return continuous, split_streams(continuous.stretches, stations, share)
    except ValueError as error:
        raise ValueError(f"data.streams={','.join(streams)}: {error}") from None


def streams_fingerprint(config: DataConfig) -> str:
    """Twelve hexadecimal digits that change with the files: their names within the folders, sizes and some of their
    bytes. No time of change counts, so that copies share what was made from them."""
    return _digest_of(_files(config))


def _files(config: DataConfig) -> tuple[File, ...]:
    """All files of the streams as they are now. Raises ValueError where a folder has none."""
    found = []
    for root in places_of(config.continuous):
        try:
            files = sorted(files_of([root], EVERYTHING))
        except ValueError as error:
            raise ValueError(f"data.streams={','.join(config.continuous)}: {error}") from None
        for file in files:
            status, named = file.stat(), file.name if file == root else file.relative_to(root).as_posix()
            found.append(File(file, named, status.st_size, status.st_mtime_ns))
    return tuple(found)


@lru_cache(maxsize=2)
def _digest_of(files: tuple[File, ...]) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for file in files:
        digest.update(f"{file.named} {file.size_bytes} ".encode())
        last = max(0, file.size_bytes - _BLOCK_BYTES)
        with file.path.open("rb") as stream:
            for start in np.unique(np.linspace(0, last, _SAMPLED_BLOCKS).astype(np.int64)):
                stream.seek(int(start))
                digest.update(stream.read(_BLOCK_BYTES))
    return digest.hexdigest()


def _store_key(config: DataConfig, weights: Sequence[str]) -> str:
    facts = [STREAM_FORMAT, streams_fingerprint(config), list(weights), config.streams_threshold, config.store_dtype]
    facts += [config.streams_held_out_share, config.streams_held_out_stations, COMPONENT_ORDER, SAMPLING_RATE_HZ]
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()


def _build(config: DataConfig, teacher: nn.Module | None, folder: Path) -> None:
    """Write the stores of all splits under another name, then rename."""
    continuous, splits = check_streams(config)
    _check_disk(continuous, config, folder.parent)
    seconds = sum(stretch.seconds for stretch in continuous.stretches)
    logger.info("data.streams: labelling %.1f h of %d stations", seconds / 3600, len(continuous.stations))
    parts: dict[str, list[Part]] = {split: [] for split in SPLITS}
    with building(folder) as arriving:
        for name in ("work", *SPLITS):
            (arriving / name).mkdir()
        work = arriving / "work"
        job = LabelJob(teacher, config.streams_threshold, splits, config.store_dtype)
        for station, its in label(continuous, job, work):
            for split in SPLITS:
                with (arriving / split / SAMPLES_FILE).open("ab") as file, (station / split).open("rb") as written:
                    shutil.copyfileobj(written, file)
                parts[split] += its[split]
            for split in SPLITS:
                (station / split).unlink()
        shutil.rmtree(work)
        for split in SPLITS:
            with (arriving / split / SAMPLES_FILE).open("rb") as file:
                os.fsync(file.fileno())
            write_index(arriving / split, _columns(parts[split], split, continuous.said, teacher is not None))


def _columns(parts: list[Part], split: str, said: list[str], is_picked: bool) -> dict[str, np.ndarray]:
    index = {name: [part[name] for part in parts] for name in parts[0]}
    is_reference = split != "train" and is_picked
    return columns_of(parts) | {
        "pick_probability_K": np.concatenate(index["probabilities"]),
        "own_pick_K": np.concatenate(index["is_own"]),
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
            logger.warning(
                "%s: %.1f h are left out of training, because data.dataset holds them", name, hours - store.hours
            )
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
    check_room("the streams", needed_gb, cache_dir, "data.store_dtype=float16, fewer hours or another disk")
