"""What a window store keeps of each trace, read one after the other, or by several processes that share the traces.

The processes write runs of traces into files of their own, which are joined in order: the store is the same to the
last bit, however many there are, and no waveform passes from one process to another but by these files.
"""

# K pick, W span (the samples around one pick that windows are drawn from), X component, T time sample

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import seisbench.data as sbd

from trainables.data.arrivals import arrivals_in
from trainables.data.catalog import dataset_folder, load_dataset
from trainables.data.config import PHASES, SAMPLING_RATE_HZ, DataConfig
from trainables.data.processes import MOST_PROCESSES, cores, end_with_parent, interpreters, last_words
from trainables.data.windowing import PRESCRIBED, Windowing
from trainables.edge.channels import flat_spans, is_waveform
from trainables.edge.joining import is_count, without_gaps

TRACES_EACH = 20_000
"""A process pays from about so many traces on: it loads its libraries first, which takes seconds."""
RUN_TRACES = 256
"""Traces of a file."""

SAY_EVERY_S, LOOK_EVERY_S = 10.0, 0.05
COPY_BYTES = 8 * 2**20
_SHIFT_MARGIN_SAMPLES = 1000  # the largest time shift that a configuration allows
_JOB, _TRACES, _ERRORS = "job.json", "traces.npy", "errors.txt"

logger = logging.getLogger("trainables.data")

Part = dict[str, Any]
"""What the index keeps of a trace, or `left_out`: why nothing of it is kept."""

NO_WAVEFORM, NO_SAMPLES, NO_SIGNAL = "no waveform in the file", "no samples", "no signal (NaN or one value throughout)"
NO_NUMBERS = "samples that are not numbers"
"""Why a trace is left out of training and scoring."""


def write_parts(
    dataset: sbd.WaveformDataset,
    traces: np.ndarray,
    config: DataConfig,
    split: str,
    file: IO[bytes],
    folder: Path,
    windowing: Windowing = PRESCRIBED,
) -> list[Part]:
    """Write the values of all traces in order; returns what the index keeps of each. `folder` is for files in between.

    Raises ValueError in one line where a trace cannot be read.
    """
    count = min(cores(), MOST_PROCESSES, len(traces) // TRACES_EACH)
    progress = _Progress(f"window store of {config.dataset}, split {split}", len(traces))
    if count > 1:
        return _write_by_processes(count, traces, config, file, folder, progress, windowing)
    parts = []
    for values, part in _parts(dataset, traces, config, windowing):
        file.write(values)
        parts.append(part)
        progress.now(len(parts))
    return parts


def margin(config: DataConfig, windowing: Windowing = PRESCRIBED) -> int:
    """Samples on both sides of what windows are drawn from that a time shift, or who listens longer, may reach."""
    return (_SHIFT_MARGIN_SAMPLES if config.max_time_shift_s > 0 else 0) + windowing.around


def _parts(
    dataset: sbd.WaveformDataset, traces: np.ndarray, config: DataConfig, windowing: Windowing
) -> Iterator[tuple[bytes, Part]]:
    for trace in traces:
        name = str(dataset.metadata["trace_name"].iloc[trace])
        try:
            waveform_XT, metadata = dataset.get_sample(int(trace))
        except (KeyError, IndexError):
            yield b"", {"left_out": NO_WAVEFORM, "name": name}
            continue
        except (OSError, ValueError) as error:  # a disk that fails, not a row too many
            raise ValueError(f"data.dataset={config.dataset}: trace {name} cannot be read ({error})") from error
        if reason := why_useless(waveform_XT):
            yield b"", {"left_out": reason, "name": name}
        else:
            values, part = needed_part(waveform_XT, metadata, config, windowing)
            yield values, {"left_out": "", "row": int(trace), **part}


def why_useless(waveform_XT: np.ndarray) -> str:
    """Why nothing can be learnt from a trace; "" where something can."""
    if not waveform_XT.size:
        return NO_SAMPLES
    if not is_waveform(waveform_XT):
        return NO_NUMBERS
    lowest_X, highest_X = np.fmin.reduce(waveform_XT, axis=-1), np.fmax.reduce(waveform_XT, axis=-1)
    if not (is_count(lowest_X) & is_count(highest_X)).all():  # a gap, or a sample that is cleaned as one
        counts_XT = np.where(is_count(waveform_XT), waveform_XT, np.nan)
        lowest_X, highest_X = np.fmin.reduce(counts_XT, axis=-1), np.fmax.reduce(counts_XT, axis=-1)
    return "" if (highest_X > lowest_X).any() else NO_SIGNAL


def left_out_lines(names_by_reason: Mapping[str, Sequence[str]], num_traces: int) -> list[str]:
    """A line for each reason for which traces are left out, with their count."""
    return [
        f"{len(names)} of {num_traces} traces left out: {reason}; the first is {names[0]}"
        for reason, names in names_by_reason.items()
        if len(names)
    ]


def needed_part(
    waveform_XT: np.ndarray, metadata: dict[str, Any], config: DataConfig, windowing: Windowing = PRESCRIBED
) -> tuple[bytes, Part]:
    """What the store keeps of one trace: the union of its spans, and picks and spans relative to its start."""
    num_samples = waveform_XT.shape[-1]
    picks, outside = ([], 0) if windowing.whole else arrivals_in(metadata, num_samples)
    low_W, high_W = (alive(waveform_XT) if windowing.whole else _around_picks(picks, num_samples, windowing)).T
    first = 0 if windowing.whole else max(0, low_W.min() - margin(config, windowing))
    last = num_samples if windowing.whole else min(num_samples, high_W.max() + margin(config, windowing))
    values, gain_X, mean_X = as_stored(without_gaps(waveform_XT[:, first:last]), config.store_dtype)
    return values, {
        "length": last - first,
        "gain": gain_X,
        "mean": mean_X,
        "picks": np.array([pick - first for _, pick in picks], dtype=np.float64),
        "phases": np.array([PHASES.index(phase) for phase, _ in picks], dtype=np.int64),
        "outside": outside,
        "lows": low_W - first,
        "highs": high_W - first,
        "name": str(metadata["trace_name"]),
    }


def as_stored(part_XT: np.ndarray, store_dtype: str) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Counts as a store has them, and by what gain (X,) and with what mean (X,) they are counts again."""
    mean_X, gain_X = np.zeros(3), np.ones(3)
    if store_dtype == "float16":
        part_XT = part_XT.astype(np.float64)
        mean_X = part_XT.mean(axis=1) if part_XT.shape[1] else mean_X
        part_XT = part_XT - mean_X[:, None]
        gain_X = np.maximum(np.abs(part_XT).max(axis=1, initial=0.0), 1e-30)
        part_XT = part_XT / gain_X[:, None]
    return np.ascontiguousarray(part_XT, dtype=store_dtype).tobytes(), gain_X, mean_X


def _around_picks(picks: list[tuple[str, float]], num_samples: int, windowing: Windowing) -> np.ndarray:
    """First sample and end (W, 2) of the span of each pick; of the first samples where there is none."""
    # int() cuts towards zero, as SeisBench does.
    starts_W = np.array([int(pick - windowing.samples_before) for _, pick in picks] or [0])
    return np.stack([starts_W, starts_W + windowing.span_samples], axis=1).clip(0, num_samples)


def alive(waveform_XT: np.ndarray) -> np.ndarray:
    """First sample and end (W, 2) of each stretch in which any component is alive: not the same value, or none, for
    `edge.channels.FLAT_S`."""
    dead_T = np.ones(waveform_XT.shape[-1], dtype=bool)
    for component_T in waveform_XT:
        flat_T = np.zeros_like(dead_T)
        for first, last in flat_spans(component_T, SAMPLING_RATE_HZ):
            flat_T[first:last] = True
        dead_T &= flat_T
    return np.flatnonzero(np.diff(dead_T, prepend=True, append=True)).reshape(-1, 2)


class _Progress:
    """Says now and then how many traces are done."""

    def __init__(self, what: str, count: int) -> None:
        self.what, self.count, self.said_s = what, count, time.monotonic()

    def now(self, done: int) -> None:
        if time.monotonic() - self.said_s > SAY_EVERY_S:
            self.said_s = time.monotonic()
            logger.info("%s: %d of %d traces", self.what, done, self.count)


# Several processes


def _write_by_processes(
    count: int,
    traces: np.ndarray,
    config: DataConfig,
    file: IO[bytes],
    folder: Path,
    progress: _Progress,
    windowing: Windowing,
) -> list[Part]:
    logger.info("%s: %d traces, by %d processes", progress.what, len(traces), count)
    job = config.model_dump(mode="json") | {"dataset": str(dataset_folder(config.only)), "cache_dir": None}
    facts = {"config": job, "named": config.dataset, "run": RUN_TRACES, "windowing": dataclasses.asdict(windowing)}
    (folder / _JOB).write_text(json.dumps(facts))
    np.save(folder / _TRACES, traces)
    parts: list[Part] = []
    ours = [["-m", __name__, str(folder), str(number), str(count)] for number in range(count)]
    with interpreters(ours, folder / _ERRORS) as processes:
        for run in range(_num_runs(len(traces), RUN_TRACES)):
            _wait_for(_index_of(folder, run), processes[run % count], config, folder)
            values = _values_of(folder, run)
            with values.open("rb") as written:
                shutil.copyfileobj(written, file, COPY_BYTES)
            values.unlink()
            parts += pickle.loads(_index_of(folder, run).read_bytes())  # ours, of a moment ago
            _index_of(folder, run).unlink()
            progress.now(len(parts))
    for name in (_JOB, _TRACES, _ERRORS):
        (folder / name).unlink(missing_ok=True)
    return parts


def _wait_for(file: Path, process: subprocess.Popen[bytes], config: DataConfig, folder: Path) -> None:
    """Raises ValueError where its process has ended without it."""
    while not file.exists():
        if process.poll() is not None and not file.exists():
            said = last_words(folder / _ERRORS)
            raise ValueError(said.removeprefix("ValueError: ") or f"data.dataset={config.dataset}: its reader died")
        time.sleep(LOOK_EVERY_S)


def _num_runs(num_traces: int, each: int) -> int:
    return -(-num_traces // each)


def _values_of(folder: Path, run: int) -> Path:
    return folder / f"run-{run:06d}.bin"


def _index_of(folder: Path, run: int) -> Path:
    return folder / f"run-{run:06d}.index"


def _read_share(folder: Path, number: int, count: int) -> None:
    """In one of the processes: every `count`-th run of traces."""
    end_with_parent()
    job = json.loads((folder / _JOB).read_text())
    config = DataConfig.model_validate(job["config"])
    traces, dataset = np.load(folder / _TRACES), load_dataset(config.only)
    said, each = config.model_copy(update={"dataset": job["named"]}), job["run"]
    windowing = Windowing(**job["windowing"])
    for run in range(number, _num_runs(len(traces), each), count):
        parts = []
        with _values_of(folder, run).open("wb") as file:
            for values, part in _parts(dataset, traces[run * each : (run + 1) * each], said, windowing):
                file.write(values)
                parts.append(part)
        arriving = folder / f".run-{run:06d}"
        arriving.write_bytes(pickle.dumps(parts))
        arriving.rename(_index_of(folder, run))  # which says that its values are there


if __name__ == "__main__":
    _read_share(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
