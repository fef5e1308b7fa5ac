"""Several pickers on the same windows of one split: scores with intervals, and how far each is from the best.

Intervals are those of the card, a bootstrap over events; a difference is of the same draws, so that an event that is
hard for both counts for neither.
"""

# B window of a batch, C class, F field of counts, N window, P phase, S data set, T time sample

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trainables.data.config import PHASES, each_of
from trainables.data.seal import Opening
from trainables.evaluation.bootstrap import paired_f1_difference
from trainables.evaluation.card_scores import picking_counts, picking_scores
from trainables.evaluation.event_scores import Probabilities
from trainables.evaluation.intervals import Interval
from trainables.evaluation.picks import PickCounts, best_thresholds, count_picks
from trainables.promotion.picker import PickerCandidate

SCORES = ("p_f1", "s_f1", "f1")


@dataclass(frozen=True)
class Entry:
    """A picker of the table."""

    name: str
    probabilities: Probabilities
    """(B, C, T), P and S first."""
    window_samples: int
    parameters: int | None
    """None where the file does not say."""
    num_bytes: int | None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Of P and S; without, those with the best F1 on dev."""


@dataclass(frozen=True)
class Row:
    """A picker on one data set."""

    entry: Entry
    scores: dict[str, Interval]
    """p_f1, s_f1, f1; without that of a phase that is not labelled."""
    to_best: Interval
    """F1 less that of the best."""


@dataclass(frozen=True)
class Table:
    """All of them on one data set."""

    name: str
    windows: int
    events: int
    rows: list[Row]

    @property
    def best(self) -> str:
        """The one with the highest F1, of equals the first."""
        return max(self.rows, key=lambda row: row.scores["f1"].value).entry.name


def with_thresholds(candidate: PickerCandidate, entries: Sequence[Entry]) -> list[Entry]:
    """The entries, each with thresholds: those that have none get the best ones on the dev windows of `candidate`."""
    without = [entry for entry in entries if not entry.thresholds]
    counts = {entry.name: PickCounts.zeros() for entry in without}
    for length in dict.fromkeys(entry.window_samples for entry in without):
        for batch, arrivals, _ in candidate.windows("dev", None, length).batches():
            for entry in without:
                if entry.window_samples == length:
                    found = count_picks(entry.probabilities(batch), arrivals, candidate.config.picks)
                    counts[entry.name] += found
    return [
        entry if entry.thresholds else replace(entry, thresholds=best_thresholds(counts[entry.name]))
        for entry in entries
    ]


def compare(candidate: PickerCandidate, entries: Sequence[Entry], opening: Opening | None = None) -> list[Table]:
    """One table for each data set of `candidate`, on its dev split or, where that is opened, on its test split."""
    split: Literal["dev", "test"] = "dev" if opening is None else "test"
    counts: dict[str, np.ndarray] = {}
    events: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for length in dict.fromkeys(entry.window_samples for entry in entries):
        windows = candidate.windows(split, opening, length)
        of_length = [entry for entry in entries if entry.window_samples == length]
        counted: dict[str, list[np.ndarray]] = {entry.name: [] for entry in of_length}
        for batch, arrivals, second_BCT in windows.batches():
            for entry in of_length:
                probabilities_BCT = entry.probabilities(batch)
                for b, of_window in enumerate(arrivals):
                    heard_CT = None if second_BCT is None else second_BCT[b]
                    counted[entry.name].append(
                        candidate.count(probabilities_BCT[b], of_window, heard_CT, entry.thresholds)
                    )
        counts |= {name: np.stack(its) for name, its in counted.items()}
        events[length] = windows.dev.events, windows.set_of_window
    paths = each_of(candidate.config.data.dataset) or ["streams"]
    short = [Path(path).name for path in paths]  # a card goes to others
    names = short if len(set(short)) == len(short) else paths
    return [_table(name, number, entries, counts, events, split) for number, name in enumerate(names)]


def _table(
    name: str,
    number: int,
    entries: Sequence[Entry],
    counts: Mapping[str, np.ndarray],
    events: Mapping[int, tuple[np.ndarray, np.ndarray]],
    split: str,
) -> Table:
    scores, known = {}, {}
    for entry in entries:
        event_N, set_N = events[entry.window_samples]
        its_NPF, its_event_N = counts[entry.name][set_N == number], event_N[set_N == number]
        scores[entry.name] = _only(picking_scores(its_NPF, its_event_N, entry.thresholds, split))
        known[entry.name] = picking_counts(its_NPF, its_event_N)
    best = max(entries, key=lambda entry: scores[entry.name]["f1"].value)
    rows = [
        Row(entry, scores[entry.name], Interval(*paired_f1_difference(known[entry.name], known[best.name])))
        for entry in entries
    ]
    event_N, set_N = events[entries[0].window_samples]
    return Table(name, int((set_N == number).sum()), len(np.unique(event_N[set_N == number])), rows)


def _only(found: Mapping[str, Interval]) -> dict[str, Interval]:
    return {name: found[name] for name in SCORES if name in found}


def as_plain(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """The tables as a card keeps them."""
    return [
        {
            "data": table.name,
            "windows": table.windows,
            "events": table.events,
            "best": table.best,
            "models": [
                {
                    "name": row.entry.name,
                    "parameters": row.entry.parameters,
                    "bytes": row.entry.num_bytes,
                    "thresholds": {phase: row.entry.thresholds[phase] for phase in PHASES},
                    **{name: interval._asdict() for name, interval in row.scores.items()},
                    "f1_less_best": row.to_best._asdict(),
                }
                for row in table.rows
            ],
        }
        for table in tables
    ]
