"""The window store: the needed part of every trace of a split once, in one memory-mapped file.

Every trial on a machine reads the same file through the page cache. A store lives in a folder named by its
fingerprint: `samples.bin` (the traces one after the other, components E, N, Z of each in turn) and `index.npz`.
"""

# N trace, K pick, W span (the samples around one pick that windows are drawn from), X component, T time sample

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import seisbench
import seisbench.data as sbd

from trainables.data.arrivals import PICK_COLUMNS, has_phase, possible_arrivals
from trainables.data.catalog import check_dataset, fingerprint, fingerprints, load_dataset, no_pick
from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ, DataConfig
from trainables.data.labelled import labelled_phases
from trainables.data.seal import SEALED, Opening, check_seal
from trainables.data.splits import few_shot_traces, split_traces
from trainables.data.store_folder import building, check_room, made_once
from trainables.data.store_parts import (
    NO_NUMBERS,
    NO_SAMPLES,
    NO_SIGNAL,
    NO_WAVEFORM,
    Part,
    left_out_lines,
    margin,
    write_parts,
)
from trainables.data.windowing import PRESCRIBED, Windowing

STORE_FORMAT = 3
INDEX_FILE, SAMPLES_FILE = "index.npz", "samples.bin"

logger = logging.getLogger("trainables.data")

Choose = Callable[[sbd.WaveformDataset], np.ndarray]
"""Checks a data set and says which rows of its metadata a store takes."""


@dataclass(frozen=True)
class WindowStore:
    """Traces of one split. Positions are samples of the stored part of a trace, at 100 Hz."""

    fingerprint: str
    """Changes with the data set, the split, the few-shot subset and the format of the store."""
    split: str
    samples: np.ndarray
    """All traces in one row, float32 or float16, memory-mapped."""
    offset_N: np.ndarray
    """Where in `samples` a trace begins."""
    length_N: np.ndarray
    gain_NX: np.ndarray
    """A stored float16 value times its gain plus its mean is counts; 1 and 0 in float32."""
    mean_NX: np.ndarray
    first_pick_N: np.ndarray
    """Picks of trace n are first_pick_N[n] up to first_pick_N[n + 1]; spans alike."""
    pick_K: np.ndarray
    """Position of a pick; fractional where the trace was resampled."""
    pick_phase_K: np.ndarray
    """0 P, 1 S."""
    first_span_N: np.ndarray
    span_low_W: np.ndarray
    """One span for each pick, cut to the trace; a trace without picks has one, its first samples (6000)."""
    span_high_W: np.ndarray
    trace_name_N: np.ndarray
    row_N: np.ndarray
    """Where each trace stands in the metadata."""
    labelled_NP: np.ndarray
    """Whether picks of P and of S are complete in each trace."""
    left_out_J: np.ndarray
    """A line for each kind of trace and arrival that the data set has and the store leaves out."""
    windowing: Windowing = PRESCRIBED
    """What windows are drawn from it."""

    def __len__(self) -> int:
        return len(self.offset_N)

    @cached_property
    def known(self) -> np.ndarray:
        """Whether anything can be said of P and of S in each trace (N, P): labelled there, and picked in some trace."""
        return self.labelled_NP & np.isin(np.arange(len(PHASES)), self.pick_phase_K)

    def counts(self, n: int, begin: int, end: int) -> np.ndarray:
        """Samples `begin` to `end` of the stored part of trace `n`, (X, T); float32 ones are not copied."""
        offset, length = int(self.offset_N[n]), int(self.length_N[n])
        stored_XT = self.samples[offset : offset + 3 * length].reshape(3, length)[:, begin:end]
        if stored_XT.dtype == np.float32:
            return stored_XT
        return stored_XT * self.gain_NX[n, :, None] + self.mean_NX[n, :, None]


def which_test_split(config: DataConfig) -> str:
    """Which test split this is, in words: configurations that agree in it are measured on the same test traces."""
    return f"data {'+'.join(sorted(fingerprints(config.dataset).split('+')))}, split by its metadata"


def open_stores(
    config: DataConfig,
    split: Literal["train", "dev", "test"],
    opening: Opening | None = None,
    windowing: Windowing = PRESCRIBED,
) -> list[WindowStore]:
    """The window store of each data set of a configuration, as `open_store` opens one."""
    if split == SEALED:
        check_seal(opening, which_test_split(config))
    return [_opened(one, split, windowing) for one in config.each]


def open_store(
    config: DataConfig,
    split: Literal["train", "dev", "test"],
    opening: Opening | None = None,
    windowing: Windowing = PRESCRIBED,
) -> WindowStore:
    """The window store of a split of one data set, built where it is not there yet. The test split wants its opening.

    Raises ValueError in one line where the data set cannot be used or the disk has no room for it.
    """
    (store,) = open_stores(config, split, opening, windowing)
    return store


def _opened(config: DataConfig, split: str, windowing: Windowing) -> WindowStore:
    return stored(config, split, windowing, [], partial(_traces_with_picks, config=config, split=split))


def stored(
    config: DataConfig, split: str, windowing: Windowing, chosen_by: Sequence[Any], choose: Choose
) -> WindowStore:
    """The store of the traces that `choose` takes out of the data set, built where it is not there yet.

    `chosen_by` names what they depend on beside data set, split and configuration. Raises ValueError as `open_store`.
    """
    key = _store_key(config, split, windowing, chosen_by)
    folder = cache_folder(config) / key
    made_once(folder, lambda: _is_complete(folder), lambda: _build(config, split, folder, windowing, choose))
    store = _read(folder, key, config, split, windowing)
    for line in store.left_out_J:
        logger.warning("data.dataset=%s, split %s: %s", config.dataset, split, line)
    return store


def a_few(
    config: DataConfig, split: Literal["train", "dev"], most: int, folder: Path, windowing: Windowing = PRESCRIBED
) -> tuple[WindowStore, int]:
    """A store of some traces of a split of one data set, spread over it, built in `folder`, and how many traces the
    split has: for trying things out. Where the cache has the whole store it is that one, and nothing is built."""
    assert split != SEALED, "nothing is tried out on the test split"
    key = _store_key(config, split, windowing, [])
    if _is_complete(whole := cache_folder(config) / key):
        store = _read(whole, key, config, split, windowing)
        return store, len(store)
    folder.mkdir(parents=True, exist_ok=True)
    num_traces = 0

    def some(dataset: sbd.WaveformDataset) -> np.ndarray:
        nonlocal num_traces
        traces = _traces_with_picks(dataset, config, split)
        num_traces = len(traces)
        return traces[np.unique(np.linspace(0, num_traces - 1, min(most, num_traces)).astype(int))]

    _build(config, split, folder / key, windowing, some)
    return _read(folder / key, key, config, split, windowing), num_traces


def _read(folder: Path, key: str, config: DataConfig, split: str, windowing: Windowing) -> WindowStore:
    columns, samples = read_columns(folder, config)
    return WindowStore(fingerprint=key, split=split, samples=samples, windowing=windowing, **columns)


def cache_folder(config: DataConfig) -> Path:
    """Where stores, and other things that are measured once, are kept."""
    return (config.cache_dir or seisbench.cache_root / "window_stores").expanduser().absolute()


def _store_key(config: DataConfig, split: str, windowing: Windowing, chosen_by: Sequence[Any]) -> str:
    few_shot = (config.few_shot_fraction, config.few_shot_seed) if _is_few_shot(config, split) else None
    facts = [STORE_FORMAT, fingerprint(config.only), split, few_shot, config.store_dtype]
    facts += [margin(config, windowing), COMPONENT_ORDER, SAMPLING_RATE_HZ]
    facts += [windowing.samples_before, windowing.span_samples, list(PICK_COLUMNS.items())]
    if windowing.whole:
        facts = [STORE_FORMAT, fingerprint(config.only), split, config.store_dtype, COMPONENT_ORDER]
        facts += [SAMPLING_RATE_HZ, "whole", *chosen_by]
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()


def _is_few_shot(config: DataConfig, split: str) -> bool:
    return split == "train" and config.few_shot_fraction < 1


def _is_complete(folder: Path) -> bool:
    return (folder / INDEX_FILE).is_file() and (folder / SAMPLES_FILE).is_file()


def _build(config: DataConfig, split: str, folder: Path, windowing: Windowing, choose: Choose) -> None:
    dataset = load_dataset(config.only)
    traces = choose(dataset)
    _check_disk(dataset.metadata.iloc[traces], config, split, folder.parent, windowing)
    with building(folder) as arriving:
        with (arriving / SAMPLES_FILE).open("wb") as file:
            parts = write_parts(dataset, traces, config, split, file, arriving, windowing)
            _check_that_something_is_left(parts, config, split, dataset.metadata.iloc[traces], windowing)
            file.flush()
            os.fsync(file.fileno())
        write_index(arriving, _index_columns(parts, labelled_phases(dataset.metadata)))


def write_index(folder: Path, columns: dict[str, np.ndarray]) -> None:
    """Beside the samples, and on the disk when this returns."""
    with (folder / INDEX_FILE).open("wb") as file:
        np.savez(file, **columns)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def read_columns(folder: Path, config: DataConfig) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The index of a store, and its samples, mapped."""
    with np.load(folder / INDEX_FILE) as index:
        columns = {name: index[name] for name in index.files}
    dtype = np.dtype(config.store_dtype)
    there = (folder / SAMPLES_FILE).stat().st_size  # of nothing no map can be made
    samples = np.memmap(folder / SAMPLES_FILE, dtype=dtype, mode="r") if there else np.empty(0, dtype)
    # As a plain array its slices cost half as much; the file stays mapped as long as the array lives.
    return columns, samples.view(np.ndarray)


def columns_of(parts: list[Part]) -> dict[str, np.ndarray]:
    """What the index of every store says of its traces: where they lie, how counts come back, their picks."""
    index = {name: [part[name] for part in parts] for name in ("length", "gain", "mean", "picks", "phases", "name")}
    length_N = np.array(index["length"], dtype=np.int64)
    return {
        "offset_N": np.concatenate([[0], 3 * np.cumsum(length_N)[:-1]]),
        "length_N": length_N,
        "gain_NX": np.array(index["gain"], dtype=np.float32),
        "mean_NX": np.array(index["mean"], dtype=np.float32),
        "first_pick_N": np.concatenate([[0], np.cumsum([len(picks) for picks in index["picks"]])]),
        "pick_K": np.concatenate(index["picks"]),
        "pick_phase_K": np.concatenate(index["phases"]),
        "trace_name_N": np.array(index["name"]),
    }


def _traces_with_picks(dataset: sbd.WaveformDataset, config: DataConfig, split: str) -> np.ndarray:
    check_dataset(dataset, config.only, splits=(split,), missing_phase=config.missing_phase)
    if _is_few_shot(config, split):
        return few_shot_traces(dataset, config.few_shot_fraction, config.few_shot_seed)
    return split_traces(dataset, split)


def _check_that_something_is_left(
    parts: list[Part], config: DataConfig, split: str, metadata: pd.DataFrame, windowing: Windowing
) -> None:
    """Of the traces some can be used, and each phase of which the metadata have picks has one in them. Raises
    ValueError."""
    kept = [part for part in parts if not part["left_out"]]
    if not kept:
        reasons = "; ".join(_left_out(parts))
        raise ValueError(f"data.dataset={config.dataset}: no trace of split {split} can be used: {reasons}")
    if windowing.whole:
        return
    there = np.unique(np.concatenate([part["phases"] for part in kept]))
    for code, phase in enumerate(PHASES):
        is_wanted = config.missing_phase == "noise" or not len(there) or has_phase(metadata, phase).any()
        if code not in there and is_wanted:
            raise ValueError("; ".join([no_pick(f"data.dataset={config.dataset}", phase, split), *_left_out(parts)]))


def _left_out(parts: list[Part]) -> list[str]:
    """What the store leaves out: a line for each reason, with its count."""
    reasons = NO_WAVEFORM, NO_SAMPLES, NO_NUMBERS, NO_SIGNAL
    names = {reason: [part["name"] for part in parts if part["left_out"] == reason] for reason in reasons}
    lines = left_out_lines(names, len(parts))
    if outside := sum(part.get("outside", 0) for part in parts):
        lines.append(f"{outside} picks lie outside their traces and do not count")
    return lines


def _index_columns(parts: list[Part], labelled_NP: np.ndarray) -> dict[str, np.ndarray]:
    kept = [part for part in parts if not part["left_out"]]
    row_N = np.array([part["row"] for part in kept], dtype=np.int64)
    return columns_of(kept) | {
        "first_span_N": np.concatenate([[0], np.cumsum([len(part["lows"]) for part in kept])]),
        "span_low_W": np.concatenate([part["lows"] for part in kept]),
        "span_high_W": np.concatenate([part["highs"] for part in kept]),
        "row_N": row_N,
        "labelled_NP": labelled_NP[row_N],
        "left_out_J": np.array(_left_out(parts), dtype=str),
    }


def _check_disk(metadata: pd.DataFrame, config: DataConfig, split: str, cache_dir: Path, windowing: Windowing) -> None:
    """Hold the store's size, from the metadata, against the free space of its disk.

    Arrivals of one trace that are more than an hour apart are a mistake of the metadata, not a long trace.
    """
    factor = SAMPLING_RATE_HZ / metadata["trace_sampling_rate_hz"].to_numpy(dtype=float)
    picks = possible_arrivals(metadata)
    apart = (picks.max(axis=1) - picks.min(axis=1)).fillna(0).to_numpy() * factor
    apart[apart > 3600 * SAMPLING_RATE_HZ] = 0
    needed = windowing.span_samples + apart + 2 * margin(config, windowing)
    if "trace_npts" in metadata:
        in_trace = metadata["trace_npts"].to_numpy(dtype=float) * factor
        needed = in_trace if windowing.whole else np.fmin(needed, in_trace)
    needed_gb = 3 * np.dtype(config.store_dtype).itemsize * np.nansum(needed) / 1e9
    remedies = "data.store_dtype=float16, a smaller data.few_shot_fraction or another disk"
    check_room(f"the windows of split {split}", needed_gb, cache_dir, remedies)
