"""What a data set really holds: every waveform is looked at, not only the columns."""

# X component, T time sample

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import seisbench.data as sbd

from trainables.data.arrivals import arrivals_in, unread_columns
from trainables.data.catalog import SPLITS
from trainables.data.config import COMPONENT_ORDER, PHASES
from trainables.data.splits import event_ids, shared_events
from trainables.data.store_parts import NO_WAVEFORM, left_out_lines, why_useless
from trainables.edge.joining import LARGEST, is_count

NO_SPLIT = "(no split column)"


def inspect(dataset: sbd.WaveformDataset, progress: Callable[[int, int], None] | None = None) -> pd.DataFrame:
    """One row for each trace: split, event, rate_hz, components, num_samples, P and S (picks inside it), outside (picks
    that are not), nan_samples, beyond_samples (infinite, or beyond all counts), and left_out (why nothing can be learnt
    from it, "" where something can).

    `progress` is told how many traces are done, of how many. Raises ValueError in one line where there is no trace, or
    one cannot be read.
    """
    raw = dataset.copy()
    raw.sampling_rate = None  # as it is in the file
    metadata = raw.metadata
    if metadata.empty:
        raise ValueError(f"data.dataset={dataset.path}: no traces; its metadata have a header and no row")
    rows = []
    for trace in range(len(metadata)):
        rows.append(_of_trace(raw, trace))
        if progress:
            progress(trace + 1, len(metadata))
    found = pd.DataFrame(rows)
    found.insert(0, "trace_name", metadata["trace_name"].astype(str).to_numpy())
    found.insert(1, "split", metadata["split"].to_numpy() if "split" in metadata else NO_SPLIT)
    found.insert(2, "event", event_ids(metadata))
    found["rate_hz"] = metadata["trace_sampling_rate_hz"].to_numpy()
    found["components"] = metadata["trace_component_order"].to_numpy()
    return found


def _of_trace(raw: sbd.WaveformDataset, trace: int) -> dict[str, Any]:
    try:
        waveform_XT, metadata = raw.get_sample(trace)
    except (KeyError, IndexError):
        numbers = ("num_samples", "P", "S", "outside", "nan_samples", "beyond_samples")
        return dict.fromkeys(numbers, 0) | {"left_out": NO_WAVEFORM}
    except (OSError, ValueError) as error:
        name = raw.metadata["trace_name"].iloc[trace]
        raise ValueError(f"data.dataset={raw.path}: trace {name} cannot be read ({error})") from error
    picks, outside = arrivals_in(metadata, waveform_XT.shape[-1])
    reason = why_useless(waveform_XT)
    is_nan_T = np.isnan(waveform_XT).any(axis=0) if not reason else np.zeros(0, dtype=bool)
    is_beyond_T = (~is_count(waveform_XT)).any(axis=0) & ~is_nan_T if not reason else is_nan_T
    counts = {phase: 0 if reason else sum(its == phase for its, _ in picks) for phase in PHASES}
    return {
        "num_samples": waveform_XT.shape[-1],
        **counts,
        "outside": outside,
        "nan_samples": int(is_nan_T.sum()),
        "beyond_samples": int(is_beyond_T.sum()),
        "left_out": reason,
    }


def by_split(traces: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a split: traces, events with picks, P and S picks, traces without any pick, traces that are left out."""
    return [
        {
            "split": split,
            "traces": len(part),
            "events": part.loc[part[list(PHASES)].any(axis=1), "event"].nunique(),
            "P picks": int(part["P"].sum()),
            "S picks": int(part["S"].sum()),
            "without picks": int((~part[list(PHASES)].any(axis=1)).sum()),
            "left out": int((part["left_out"] != "").sum()),
        }
        for split, part in _splits(traces)
    ]


def _splits(traces: pd.DataFrame) -> Iterator[tuple[Any, pd.DataFrame]]:
    """train, dev, test, then whatever else there is."""
    found = dict(iter(traces.groupby("split", sort=False, dropna=False)))
    for split in dict.fromkeys([*(known for known in SPLITS if known in found), *found]):
        yield str(split), found[split]


def recording(traces: pd.DataFrame) -> list[str]:
    """A line each on sampling rates, components and lengths, and one on each phase."""
    usable = traces[traces["left_out"] == ""]
    lengths_s = usable["num_samples"] / usable["rate_hz"]
    lines = [
        f"sampling rate {_counted(traces['rate_hz'].map('{:g} Hz'.format))}",
        f"components {_counted(traces['components'])}",
    ]
    if len(usable):
        lines.append(f"length {lengths_s.min():g} to {lengths_s.max():g} s")
    for phase in PHASES:
        shares = [f"{int((part[phase] > 0).sum())} of {len(part)} {split}" for split, part in _splits(usable)]
        lines.append(f"{phase} in {', '.join(shares)} traces")
    return lines


def findings(dataset: sbd.WaveformDataset, traces: pd.DataFrame) -> list[str]:
    """A line for each thing that is wrong, left out of training and scoring, or not read, with its count."""
    lines = _of_rows(dataset, traces)
    left_out = traces[traces["left_out"] != ""].groupby("left_out", sort=False)["trace_name"]
    lines += left_out_lines({str(reason): names.tolist() for reason, names in left_out}, len(traces))
    for column, what in (("nan_samples", "NaN samples"), ("beyond_samples", f"samples beyond {LARGEST:g}")):
        if len(names := traces["trace_name"][traces[column] > 0]):
            lines.append(f"{len(names)} traces have {what}, which count as gaps (zeros); the first is {names.iloc[0]}")
    with_outside = traces[traces["outside"] > 0]
    if len(with_outside):
        lines.append(
            f"{with_outside['outside'].sum()} picks lie outside their traces and do not count; "
            f"the first is of {with_outside['trace_name'].iloc[0]}"
        )
    lines += [
        f"column {column} is not read: {count} values; P and S picks lie in columns such as trace_P_arrival_sample, "
        "further ones of a trace in trace_P_2_arrival_sample"
        for column, count in unread_columns(dataset.metadata).items()
    ]
    if "split" in dataset.metadata and (shared := shared_events(dataset.metadata)):
        lines.append(
            f"{len(shared)} events have traces in more than one split; the first is {shared[0]}: "
            "scores on dev and test will be too good"
        )
    return lines


def _of_rows(dataset: sbd.WaveformDataset, traces: pd.DataFrame) -> list[str]:
    """Rows that are never used or used twice, traces without a row, components that nobody listens to."""
    lines = []
    elsewhere = traces[~traces["split"].isin([*SPLITS, NO_SPLIT])]
    if len(elsewhere):
        names = ", ".join(repr(str(name)) for name in elsewhere["split"].unique())
        lines.append(f"{len(elsewhere)} of {len(traces)} traces lie in no split of {', '.join(SPLITS)}: {names}")
    twice = dataset.metadata.duplicated([c for c in ("trace_chunk", "trace_name") if c in dataset.metadata])
    if twice.any():
        first = traces["trace_name"][twice.to_numpy()].iloc[0]
        lines.append(f"{twice.sum()} rows name a trace that a row before them names too; the first is {first}")
    if (without := _traces_in_files(dataset) - int((~twice).sum()) + _without_waveform(traces, twice)) > 0:
        lines.append(f"{without} traces in the waveforms have no row in the metadata, and are not used")
    for order, its in traces.groupby("components", sort=False)["trace_name"]:
        missing = [c for c in COMPONENT_ORDER if c not in str(order)]
        unread = [c for c in str(order) if c not in COMPONENT_ORDER]
        said = [f"no component {', '.join(missing)}, zeros instead"] * bool(missing)
        said += [f"{', '.join(unread)} not read"] * bool(unread)
        if said:
            lines.append(f"{len(its)} of {len(traces)} traces with components {order}: {'; '.join(said)}")
    return lines


def _without_waveform(traces: pd.DataFrame, twice: pd.Series) -> int:
    return int(((traces["left_out"] == NO_WAVEFORM) & ~twice.to_numpy()).sum())


def _traces_in_files(dataset: sbd.WaveformDataset) -> int:
    """Traces of all files of waveforms: a block of three dimensions holds several. 0 where the data set has none."""
    count = 0

    def add(_: str, item: h5py.Group | h5py.Dataset) -> None:
        nonlocal count
        if isinstance(item, h5py.Dataset):
            count += item.shape[0] if item.ndim > 2 else 1

    for file in sorted(Path(dataset.path).glob("waveforms*.hdf5")):
        with h5py.File(file) as opened:
            if "data" in opened:
                opened["data"].visititems(add)
    return count


def problems(traces: pd.DataFrame, splits: tuple[str, ...] = ("train", "dev")) -> str:
    """Why no picker can be trained on what is left; "" where one can."""
    for split in splits:
        usable = traces[(traces["split"] == split) & (traces["left_out"] == "")]
        if usable.empty:
            return f"no trace of split {split} can be used"
        if not usable[list(PHASES)].to_numpy().any():
            return f"no trace of split {split} that can be used has a pick"
    return ""


def _counted(values: pd.Series) -> str:
    counts = values.astype(str).value_counts()
    return ", ".join(f"{value} in {count} traces" for value, count in counts.items())
