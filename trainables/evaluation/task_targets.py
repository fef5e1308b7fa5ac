"""Windows of pick-benchmark's three tasks: which part of which trace is judged, and what is true there.

Made as Münchmeyer et al. (2022, doi:10.1029/2021JB023499) make them, with their seed and in their order, so that a data
set gets the windows that their own program would give it:

- event detection: 30 s of each trace, around its first arrival, or anywhere in a trace without one, which is noise; and
  30 s of noise before the first arrival where there is room for it;
- phase identification and onset time: 10 s around each arrival that is alone in them, others at least 0.5 s outside.

One difference: a trace in which nobody looked for a phase (`labelled.py`) is not taken for noise.
"""

# N trace, J column of arrivals

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import seisbench.data as sbd
from pydantic import Field

from trainables.atomic import whole_file
from trainables.config import Config
from trainables.data.arrivals import PICK_COLUMNS, arrival_columns
from trainables.data.config import PHASES, SAMPLING_RATE_HZ
from trainables.data.labelled import labelled_phases

DETECTION_S, ONSET_S, APART_S = 30, 10, 0.5
"""Lengths of windows, and how far other arrivals stay outside those around an arrival."""

_DETECTION_MARGIN, _ONSET_MARGIN = 100, 50  # samples at both ends of a window where its arrival does not lie
DETECTION_FILE, ONSET_FILE = "task1.csv", "task23.csv"
EARTHQUAKE, NOISE = "earthquake", "noise"
_PLACE = ("trace_name", "trace_idx", "trace_split", "sampling_rate", "start_sample", "end_sample")
DETECTION_COLUMNS = (*_PLACE, "trace_type")
ONSET_COLUMNS = (*_PLACE, "phase_label", "full_phase_label", "phase_onset")


class TasksConfig(Config):
    """The three tasks of pick-benchmark; the defaults are its own."""

    seed: int = Field(42, ge=0, lt=2**32)
    """Seed that decides where the windows lie and which half of the dev events is used to choose thresholds."""

    noise_before_events: bool = True
    """Whether the 30 s before the first arrival of a trace are noise windows too, if the trace starts early enough."""

    outlier_s: float = Field(0.45, gt=0)
    """Seconds beyond which the residual of an onset counts as an outlier. pick-benchmark uses 0.45 for local and
    regional data, 1.5 for teleseismic."""


@dataclass(frozen=True)
class Targets:
    """The windows of one split, at 100 Hz, in the columns of pick-benchmark's files."""

    detection: pd.DataFrame
    """A row for each window of event detection, columns as in DETECTION_COLUMNS."""
    onset: pd.DataFrame
    """Of phase identification and onset time, columns as in ONSET_COLUMNS."""


def make_targets(dataset: sbd.WaveformDataset, split: str, config: TasksConfig) -> Targets:
    """The windows of a split. Random numbers are drawn for all splits in the order of the metadata, as pick-benchmark
    does. No waveform is read where the metadata have `trace_npts`; else those of this split alone, and no number is
    drawn for the traces of others, so that windows are not pick-benchmark's own."""
    length_N = _lengths(dataset, split)
    detection = [row for row in _detection(_traces(dataset, length_N), config) if row["trace_split"] == split]
    onset = [row for row in _onset(_traces(dataset, length_N), config) if row["trace_split"] == split]
    return Targets(
        pd.DataFrame(detection, columns=list(DETECTION_COLUMNS)), pd.DataFrame(onset, columns=list(ONSET_COLUMNS))
    )


def write_targets(targets: Targets, folder: Path) -> None:
    """`task1.csv` and `task23.csv`, as pick-benchmark names them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in ((DETECTION_FILE, targets.detection), (ONSET_FILE, targets.onset)):
        with whole_file(folder / name) as arriving:
            frame.to_csv(arriving, index=False)


def holds_targets(folder: Path) -> bool:
    """Whether there is one of these files."""
    return any((folder / name).is_file() for name in (DETECTION_FILE, ONSET_FILE))


def read_targets(folder: Path, dataset: sbd.WaveformDataset, split: str) -> Targets:
    """Those of a split out of files that `write_targets` or pick-benchmark has written; a file that is not there has no
    windows. Raises ValueError in one line where they are not targets, or of other data."""
    return Targets(
        _read(folder / DETECTION_FILE, DETECTION_COLUMNS, dataset, split),
        _read(folder / ONSET_FILE, ONSET_COLUMNS, dataset, split),
    )


def _read(file: Path, columns: Sequence[str], dataset: sbd.WaveformDataset, split: str) -> pd.DataFrame:
    if not file.is_file():
        return pd.DataFrame(columns=list(columns))
    try:
        frame = pd.read_csv(file)
    except (ValueError, OSError) as error:
        raise ValueError(f"{file}: no table of targets ({error})") from None
    if missing := [column for column in columns if column not in frame]:
        raise ValueError(f"{file}: no table of targets: it has no column {missing[0]}")
    frame = frame.loc[frame["trace_split"] == split, list(columns)].reset_index(drop=True)
    names = dataset.metadata["trace_name"].astype(str).to_numpy()
    place = frame["trace_idx"].to_numpy(dtype=int)
    is_there = (place >= 0) & (place < len(names))
    if not is_there.all() or (names[place] != frame["trace_name"].astype(str).to_numpy()).any():
        raise ValueError(f"{file}: targets of other data: trace_idx and trace_name do not belong together here")
    if not np.allclose(frame["sampling_rate"].to_numpy(dtype=float), SAMPLING_RATE_HZ):
        raise ValueError(f"{file}: targets at another rate; they must be at {SAMPLING_RATE_HZ:g} Hz")
    return frame


@dataclass(frozen=True)
class _Trace:
    """What targets are made from."""

    place: Mapping[str, object]
    """The columns of every target that are the trace's: its name, its row in the metadata, its split."""
    num_samples: int
    """At 100 Hz."""
    arrivals: list[tuple[float, str, str]]
    """Sample, P or S, and the phase as the data set names it; ascending."""
    is_labelled: Mapping[str, bool]
    """By phase, whether somebody looked for it."""


def _traces(dataset: sbd.WaveformDataset, length_N: np.ndarray) -> Iterator[_Trace]:
    metadata = dataset.metadata
    columns = arrival_columns(metadata.columns)
    factor_N = SAMPLING_RATE_HZ / metadata["trace_sampling_rate_hz"].to_numpy(dtype=float)
    samples_NJ = metadata[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float) * factor_N[:, None]
    labelled_NP = labelled_phases(metadata)
    names, splits = metadata["trace_name"].astype(str).tolist(), metadata["split"].astype(str).tolist()
    for n, samples_J in enumerate(samples_NJ):
        found: list[tuple[float, str, str]] = []
        for (column, phase), sample in zip(columns.items(), samples_J.tolist(), strict=True):
            arrival = (sample, phase, column.split("_")[1])
            if 0 <= sample < length_N[n] and (column in PICK_COLUMNS or arrival not in found):
                found.append(arrival)
        place = {"trace_name": names[n], "trace_idx": n, "trace_split": splits[n], "sampling_rate": SAMPLING_RATE_HZ}
        is_labelled = dict(zip(PHASES, labelled_NP[n].tolist(), strict=True))
        yield _Trace(place, int(length_N[n]), sorted(found), is_labelled)


def _lengths(dataset: sbd.WaveformDataset, split: str) -> np.ndarray:
    """Samples of each trace at 100 Hz (N,), as SeisBench resamples it; 0 where it would have to be read and is of
    another split."""
    metadata = dataset.metadata
    rate_N = metadata["trace_sampling_rate_hz"].to_numpy(dtype=float)
    given = metadata["trace_npts"] if "trace_npts" in metadata else pd.Series(np.nan, metadata.index)
    length_N = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float)
    is_same_N = np.abs(SAMPLING_RATE_HZ / rate_N - 1) < 1e-4
    is_decimated_N = ~is_same_N & (rate_N % SAMPLING_RATE_HZ < 1e-4)
    length_N = np.where(is_decimated_N, np.ceil(length_N / np.maximum(rate_N // SAMPLING_RATE_HZ, 1)), length_N)
    length_N = np.where(is_same_N | is_decimated_N, length_N, np.floor(length_N * SAMPLING_RATE_HZ / rate_N))
    is_unknown_N = ~np.isfinite(length_N)
    length_N[is_unknown_N] = 0
    for n in np.flatnonzero(is_unknown_N & (metadata["split"] == split).to_numpy()).tolist():
        with suppress(KeyError, IndexError):  # no waveform in the file
            length_N[n] = dataset.get_sample(n)[1]["trace_npts"]
    return length_N.astype(np.int64)


def _detection(traces: Iterable[_Trace], config: TasksConfig) -> Iterator[dict[str, object]]:
    rng = np.random.RandomState(config.seed)
    length = int(DETECTION_S * SAMPLING_RATE_HZ)
    for trace in traces:
        if not trace.arrivals:
            start, end = _window(rng, trace.num_samples, length)
            if all(trace.is_labelled.values()) and end > start:
                yield _target(trace, start, end, trace_type=NOISE)
            continue
        first = trace.arrivals[0][0]
        start, end = _window(rng, trace.num_samples, length, first, _DETECTION_MARGIN)
        if end - start <= length:
            yield _target(trace, start, end, trace_type=EARTHQUAKE)
        if config.noise_before_events and first > length:
            start, end = _window(rng, min(trace.num_samples, first), length)
            if trace.is_labelled["P"]:  # else a P that nobody looked for may lie there
                yield _target(trace, start, end, trace_type=NOISE)


def _onset(traces: Iterable[_Trace], config: TasksConfig) -> Iterator[dict[str, object]]:
    rng = np.random.RandomState(config.seed)
    length, apart = int(ONSET_S * SAMPLING_RATE_HZ), int(APART_S * SAMPLING_RATE_HZ)
    for trace in traces:
        samples = [int(sample) for sample, _, _ in trace.arrivals]
        for number, (onset, phase, name) in enumerate(trace.arrivals):
            before = samples[number - 1] + apart if number else 0
            after = samples[number + 1] - apart if number + 1 < len(samples) else np.inf
            if after - before < length or not before <= onset <= after:
                continue  # it cannot be had alone
            room = min(after, trace.num_samples) - before
            start, end = _window(rng, room, length, onset - before, _ONSET_MARGIN)
            if end - start <= length:
                yield _target(
                    trace, before + start, before + end, phase_label=phase, full_phase_label=name, phase_onset=onset
                )


def _target(trace: _Trace, start: int, end: int, **facts: object) -> dict[str, object]:
    return {**trace.place, "start_sample": start, "end_sample": end, **facts}


def _window(
    rng: np.random.RandomState, num_samples: float, length: int, containing: float | None = None, margin: int = 0
) -> tuple[int, int]:
    """First sample and end of a random window, which has `containing` in it at least `margin` from its ends. All
    samples where there are no more than a window has; and where there is no such window, which is longer than one."""
    if num_samples <= length:
        return 0, int(num_samples)
    if containing is None:
        start = rng.randint(0, int(num_samples - length + 1))
        return start, start + length
    earliest, latest = max(0, containing - length + margin), min(num_samples - length, containing - margin)
    if latest <= earliest:
        return 0, int(num_samples)
    start = rng.randint(int(earliest), int(latest + 1))
    return start, start + length
