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
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import seisbench
import seisbench.data as sbd
from filelock import FileLock

from trainables.data.catalog import PICK_COLUMNS, check_dataset, fingerprint, load_dataset
from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ, DataConfig
from trainables.data.seal import SEALED, Opening, check_seal
from trainables.data.splits import few_shot_traces, split_traces

SAMPLES_BEFORE, SPAN_SAMPLES = 3000, 6000
"""WindowAroundSample's settings: a window is drawn from 6000 samples that begin 3000 before a pick."""

STORE_FORMAT = 1
_INDEX, _SAMPLES = "index.npz", "samples.bin"
_SHIFT_MARGIN_SAMPLES = 1000  # the largest time shift that a configuration allows

logger = logging.getLogger("trainables.data")


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
    """One span for each pick, cut to the trace; a trace without picks has one, its first 6000 samples."""
    span_high_W: np.ndarray
    trace_name_N: np.ndarray

    def __len__(self) -> int:
        return len(self.offset_N)

    def counts(self, n: int, begin: int, end: int) -> np.ndarray:
        """Samples `begin` to `end` of the stored part of trace `n`, (X, T); float32 ones are not copied."""
        offset, length = int(self.offset_N[n]), int(self.length_N[n])
        stored_XT = self.samples[offset : offset + 3 * length].reshape(3, length)[:, begin:end]
        if stored_XT.dtype == np.float32:
            return stored_XT
        return stored_XT * self.gain_NX[n, :, None] + self.mean_NX[n, :, None]


def which_test_split(config: DataConfig) -> str:
    """Which test split this is, in words: configurations that agree in it are measured on the same test traces."""
    return f"data {fingerprint(config.dataset)}, split by its metadata"


def open_store(
    config: DataConfig, split: Literal["train", "dev", "test"], opening: Opening | None = None
) -> WindowStore:
    """The window store of a split, built where it is not there yet. The test split wants its opening.

    Raises ValueError in one line where the data set cannot be used or the disk has no room for it.
    """
    if split == SEALED:
        check_seal(opening, which_test_split(config))
    key = _store_key(config, split)
    cache_dir = cache_folder(config)
    folder = cache_dir / key
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        if not _is_complete(folder):
            with FileLock(cache_dir / f"{key}.lock"):
                if not _is_complete(folder):
                    _build(config, split, folder)
    except OSError as error:
        raise ValueError(f"data.cache_dir={cache_dir}: cannot be written ({error.strerror or error})") from error
    with np.load(folder / _INDEX) as index:
        columns = {name: index[name] for name in index.files}
    dtype = np.dtype(config.store_dtype)
    samples = np.memmap(folder / _SAMPLES, dtype=dtype, mode="r") if _num_values(columns) else np.empty(0, dtype)
    # As a plain array its slices cost half as much; the file stays mapped as long as the array lives.
    return WindowStore(fingerprint=key, split=split, samples=samples.view(np.ndarray), **columns)


def cache_folder(config: DataConfig) -> Path:
    """Where stores, and other things that are measured once, are kept."""
    return (config.cache_dir or seisbench.cache_root / "window_stores").expanduser().absolute()


def _store_key(config: DataConfig, split: str) -> str:
    few_shot = (config.few_shot_fraction, config.few_shot_seed) if _is_few_shot(config, split) else None
    facts = [STORE_FORMAT, fingerprint(config.dataset), split, few_shot, config.store_dtype, _margin(config)]
    facts += [COMPONENT_ORDER, SAMPLING_RATE_HZ, SAMPLES_BEFORE, SPAN_SAMPLES, list(PICK_COLUMNS.items())]
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()


def _is_few_shot(config: DataConfig, split: str) -> bool:
    return split == "train" and config.few_shot_fraction < 1


def _margin(config: DataConfig) -> int:
    return _SHIFT_MARGIN_SAMPLES if config.max_time_shift_s > 0 else 0


def _is_complete(folder: Path) -> bool:
    return (folder / _INDEX).is_file() and (folder / _SAMPLES).is_file()


def _num_values(columns: dict[str, np.ndarray]) -> int:
    return 3 * int(columns["length_N"].sum())


def _build(config: DataConfig, split: str, folder: Path) -> None:
    """Write the store under another name, then rename: a killed build leaves nothing that looks like a store."""
    for stale in folder.parent.glob(f".building-{folder.name}-*"):
        shutil.rmtree(stale, ignore_errors=True)  # we hold the lock, so its builder is dead
    dataset = load_dataset(config.dataset)
    check_dataset(dataset, config.dataset, splits=(split,))
    traces = (
        few_shot_traces(dataset, config.few_shot_fraction, config.few_shot_seed)
        if _is_few_shot(config, split)
        else split_traces(dataset, split)
    )
    _check_disk(dataset.metadata.iloc[traces], config, split, folder.parent)
    building = folder.parent / f".building-{folder.name}-{os.getpid()}"
    building.mkdir()
    try:
        index: dict[str, list[Any]] = {}
        with (building / _SAMPLES).open("wb") as file:
            for part in _parts(dataset, traces, config, split):
                file.write(part.pop("values"))
                for name, value in part.items():
                    index.setdefault(name, []).append(value)
            file.flush()
            os.fsync(file.fileno())
        with (building / _INDEX).open("wb") as file:
            np.savez(file, **_index_columns(index))  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _parts(
    dataset: sbd.WaveformDataset, traces: np.ndarray, config: DataConfig, split: str
) -> Iterator[dict[str, Any]]:
    last_word = time.monotonic()
    for done, trace in enumerate(traces):
        try:
            waveform_XT, metadata = dataset.get_sample(int(trace))
        except (OSError, KeyError, ValueError, IndexError) as error:
            name = dataset.metadata["trace_name"].iloc[trace]
            raise ValueError(f"data.dataset={config.dataset}: trace {name} cannot be read ({error})") from error
        yield _needed_part(waveform_XT, metadata, config)
        if time.monotonic() - last_word > 10:
            last_word = time.monotonic()
            logger.info("window store of %s, split %s: %d of %d traces", config.dataset, split, done, len(traces))


def _needed_part(waveform_XT: np.ndarray, metadata: dict[str, Any], config: DataConfig) -> dict[str, Any]:
    """What the store keeps of one trace: the union of its spans, and picks and spans relative to its start."""
    num_samples = waveform_XT.shape[-1]
    picks = [(column, float(metadata[column])) for column in PICK_COLUMNS if column in metadata]
    picks = [(column, pick) for column, pick in picks if np.isfinite(pick)]
    # int() cuts towards zero, as SeisBench does.
    starts_W = np.array([int(pick - SAMPLES_BEFORE) for _, pick in picks] or [0])
    low_W, high_W = starts_W.clip(0, num_samples), (starts_W + SPAN_SAMPLES).clip(0, num_samples)
    first = max(0, low_W.min() - _margin(config))
    last = min(num_samples, high_W.max() + _margin(config))
    part_XT = np.nan_to_num(waveform_XT[:, first:last], nan=0.0, posinf=0.0, neginf=0.0)
    mean_X, gain_X = np.zeros(3), np.ones(3)
    if config.store_dtype == "float16":
        part_XT = part_XT.astype(np.float64)
        mean_X = part_XT.mean(axis=1) if last > first else mean_X
        part_XT = part_XT - mean_X[:, None]
        gain_X = np.maximum(np.abs(part_XT).max(axis=1, initial=0.0), 1e-30)
        part_XT = part_XT / gain_X[:, None]
    return {
        "values": np.ascontiguousarray(part_XT, dtype=config.store_dtype).tobytes(),
        "length": last - first,
        "gain": gain_X,
        "mean": mean_X,
        "picks": np.array([pick - first for _, pick in picks], dtype=np.float64),
        "phases": np.array([PHASES.index(PICK_COLUMNS[column]) for column, _ in picks], dtype=np.int64),
        "lows": low_W - first,
        "highs": high_W - first,
        "name": str(metadata["trace_name"]),
    }


def _index_columns(index: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    length_N = np.array(index["length"], dtype=np.int64)
    return {
        "offset_N": np.concatenate([[0], 3 * np.cumsum(length_N)[:-1]]),
        "length_N": length_N,
        "gain_NX": np.array(index["gain"], dtype=np.float32),
        "mean_NX": np.array(index["mean"], dtype=np.float32),
        "first_pick_N": np.concatenate([[0], np.cumsum([len(picks) for picks in index["picks"]])]),
        "pick_K": np.concatenate(index["picks"]),
        "pick_phase_K": np.concatenate(index["phases"]),
        "first_span_N": np.concatenate([[0], np.cumsum([len(lows) for lows in index["lows"]])]),
        "span_low_W": np.concatenate(index["lows"]),
        "span_high_W": np.concatenate(index["highs"]),
        "trace_name_N": np.array(index["name"]),
    }


def _check_disk(metadata: pd.DataFrame, config: DataConfig, split: str, cache_dir: Path) -> None:
    """Hold the store's size, from the metadata, against the free space of its disk."""
    factor = SAMPLING_RATE_HZ / metadata["trace_sampling_rate_hz"].to_numpy(dtype=float)
    columns = [column for column in PICK_COLUMNS if column in metadata]
    picks = metadata[columns].apply(pd.to_numeric, errors="coerce")
    apart = (picks.max(axis=1) - picks.min(axis=1)).fillna(0).to_numpy() * factor
    needed = SPAN_SAMPLES + apart + 2 * _margin(config)
    if "trace_npts" in metadata:
        in_trace = metadata["trace_npts"].to_numpy(dtype=float) * factor
        needed = np.fmin(needed, in_trace)
    needed_gb = 3 * np.dtype(config.store_dtype).itemsize * needed.sum() / 1e9
    free_gb = shutil.disk_usage(cache_dir).free / 1e9
    if needed_gb > free_gb:
        raise ValueError(
            f"data.cache_dir={cache_dir}: the windows of split {split} take {needed_gb:.1f} GB and the disk has "
            f"{free_gb:.1f} GB free; use data.store_dtype=float16, a smaller data.few_shot_fraction or another disk"
        )
