"""What a data set really holds: every waveform is looked at, not only the columns."""

# X component, T time sample

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import seisbench.data as sbd

from trainables.data.arrivals import arrivals_in, unread_columns
from trainables.data.catalog import SPLITS
from trainables.data.config import PHASES
from trainables.data.splits import event_ids, shared_events
from trainables.data.store_parts import NO_WAVEFORM, why_useless

NO_SPLIT = "(no split column)"


def inspect(dataset: sbd.WaveformDataset, progress: Callable[[int, int], None] | None = None) -> pd.DataFrame:
    """One row for each trace: split, event, rate_hz, components, num_samples, P and S (picks inside it), outside (picks
    that are not), nan_samples, and left_out (why nothing can be learnt from it, "" where something can).

    `progress` is told how many traces are done, of how many.
    """
    raw = dataset.copy()
    raw.sampling_rate = None  # as it is in the file
    metadata = raw.metadata
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
        return {"num_samples": 0, "P": 0, "S": 0, "outside": 0, "nan_samples": 0, "left_out": NO_WAVEFORM}
    picks, outside = arrivals_in(metadata, waveform_XT.shape[-1])
    reason = why_useless(waveform_XT)
    nan_samples = 0 if reason else int(np.isnan(waveform_XT).any(axis=0).sum())
    counts = {phase: 0 if reason else sum(its == phase for its, _ in picks) for phase in PHASES}
    return {
        "num_samples": waveform_XT.shape[-1],
        **counts,
        "outside": outside,
        "nan_samples": nan_samples,
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
        yield split, found[split]


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
    lines = []
    for reason, names in traces[traces["left_out"] != ""].groupby("left_out", sort=False)["trace_name"]:
        lines.append(f"{len(names)} of {len(traces)} traces left out: {reason}; the first is {names.iloc[0]}")
    with_nan = traces[traces["nan_samples"] > 0]
    if len(with_nan):
        lines.append(
            f"{len(with_nan)} traces have NaN samples, which count as gaps (zeros); "
            f"the first is {with_nan['trace_name'].iloc[0]}"
        )
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


def problems(traces: pd.DataFrame, splits: tuple[str, ...] = ("train", "dev")) -> str:
    """Why no picker can be trained on what is left; "" where one can."""
    for split in splits:
        usable = traces[(traces["split"] == split) & (traces["left_out"] == "")]
        if usable.empty:
            return f"no trace of split {split} can be used"
        for phase in PHASES:
            if not usable[phase].any():
                return f"no trace of split {split} that can be used has a {phase} pick"
    return ""


def _counted(values: pd.Series) -> str:
    counts = values.astype(str).value_counts()
    return ", ".join(f"{value} in {count} traces" for value, count in counts.items())
