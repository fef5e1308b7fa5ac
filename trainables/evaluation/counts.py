"""What a model got right and wrong, by event: small enough to be kept with every trial.

A score says how good a model was on one dev split, and not how well that is known. The counts of each event do: whole
events are drawn anew from them (`bootstrap.py`), and two models on the same events are compared event by event.
"""

# N event

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables import metrics
from trainables.atomic import whole_file

COUNTS_FILE = "event_counts.json"
"""Artifact of a trial: counts of each of its models, by the name of the model (`dev`, `fp32`, `int8`, `teacher`)."""

MOST_ROWS = 400
"""Of more events, several share a row: the file stays below 100 KB, and a bootstrap of so many rows is as good."""

FIELDS = ("true", "false", "missed")

MISTAKEN = "{}/mistaken"
"""Beside a model's counts those of P taken for S and the reverse, by the name of their score (`s_picks_on_p_share`):
true is an arrival that was mistaken; one that was not is false once and missed once, so that the F1 is the share."""


@dataclass(frozen=True)
class EventCounts:
    """Counts of one model by event and phase. Of a classifier, a class stands in the place of a phase."""

    events: list[str]
    """Identifiers, in ascending order; of a row of several events, the first one's with the number of the others."""

    true: dict[str, np.ndarray]
    """By phase, of each event (N,): picks that are right. Of a class: its windows that were taken for it."""

    false: dict[str, np.ndarray]
    """Picks without an arrival. Of a class: other windows that were taken for it."""

    missed: dict[str, np.ndarray]
    """Arrivals without a pick. Of a class: its windows that were taken for another."""

    def __post_init__(self) -> None:
        for counts in (self.true, self.false, self.missed):
            assert list(counts) == list(self.true), "the phases differ"
            assert all(len(row) == len(self.events) for row in counts.values()), "one count for each event"

    @property
    def phases(self) -> list[str]:
        return list(self.true)

    @property
    def tensor(self) -> np.ndarray:
        """All counts as int64 (N, phase, field), fields true, false, missed."""
        fields = [[counts[phase] for phase in self.phases] for counts in (self.true, self.false, self.missed)]
        return np.array(fields, dtype=np.int64).transpose(2, 1, 0)

    def f1(self, phase: str | None = None) -> float:
        """2 true / (2 true + false + missed) of the sums over events; None: the mean over phases, as `dev/f1`."""
        return float(f1_of(self.only(phase).tensor.sum(axis=0)))

    def only(self, phase: str | None) -> EventCounts:
        """The counts of one phase; None: of all."""
        if phase is None:
            return self
        return EventCounts(self.events, *({phase: part[phase]} for part in (self.true, self.false, self.missed)))

    def pooled(self) -> EventCounts:
        """All phases as one. Of a classifier its F1 is the accuracy: a wrong window is false once and missed once."""
        parts = (self.true, self.false, self.missed)
        return EventCounts(self.events, *({"all": np.sum(list(part.values()), axis=0)} for part in parts))

    @classmethod
    def total(cls, several: Sequence[EventCounts]) -> EventCounts:
        """Of the same model trained several times: all picks together. Raises ValueError where events differ."""
        first = several[0]
        if any(one.events != first.events or one.phases != first.phases for one in several):
            raise ValueError("counts of other events or phases cannot be added up")
        tensor = np.sum([one.tensor for one in several], axis=0)
        parts = ({phase: tensor[:, row, field] for row, phase in enumerate(first.phases)} for field in range(3))
        return cls(first.events, *parts)

    @classmethod
    def of_events(
        cls, event_N: Sequence[str] | np.ndarray, counts_NPF: np.ndarray, phases: Sequence[str]
    ) -> EventCounts:
        """From counts of windows (N, phase, field) and the event of each. Of more than `MOST_ROWS` events, several
        share a row; which ones follows from the events alone, so that two models have the same rows."""
        names, row_N = np.unique(np.asarray(event_N, dtype=str), return_inverse=True)
        num_rows = min(len(names), MOST_ROWS)
        sums_GPF = np.zeros((num_rows, *np.shape(counts_NPF)[1:]), dtype=np.int64)
        np.add.at(sums_GPF, row_N % max(num_rows, 1), np.asarray(counts_NPF, dtype=np.int64))
        size_G = np.bincount(np.arange(len(names)) % max(num_rows, 1), minlength=num_rows)
        events = [name if size == 1 else f"{name} and {size - 1}" for name, size in zip(names, size_G, strict=False)]
        parts = ({phase: sums_GPF[:, row, field] for row, phase in enumerate(phases)} for field in range(len(FIELDS)))
        return cls(events, *parts)


def f1_of(sums_PF: np.ndarray) -> np.ndarray:
    """Mean over phases of their F1, of sums (..., phase, field); 0 for a phase with neither pick nor arrival."""
    true, false, missed = np.moveaxis(np.asarray(sums_PF, dtype=float), -1, 0)
    return (2 * true / np.maximum(2 * true + false + missed, 1)).mean(axis=-1)


def counts_behind(metric: str, counts: Mapping[str, EventCounts]) -> EventCounts | None:
    """The counts whose F1 is this metric, of a trial's counts by model; None where none are kept for such a score."""
    model, _, score = metric.partition("/")
    mistaken = counts.get(MISTAKEN.format(model))
    if mistaken is not None and score in mistaken.phases:
        return mistaken.only(score)
    if model not in counts:
        return None
    of_model = counts[model]
    if score == "accuracy":
        return of_model.pooled()
    if score in ("f1", "macro_f1"):
        return of_model
    by_name = {metrics.picking(model, phase, "f1").partition("/")[2]: phase for phase in of_model.phases}
    return of_model.only(by_name[score]) if score in by_name else None


def write_counts(file: Path, counts: Mapping[str, EventCounts]) -> None:
    """Counts of several models on the same events as one file, which appears whole or not at all."""
    events = next(iter(counts.values())).events
    assert all(of_model.events == events for of_model in counts.values()), "the models have other events"
    models = {
        name: {field: {phase: row.tolist() for phase, row in getattr(one, field).items()} for field in FIELDS}
        for name, one in counts.items()
    }
    with whole_file(file) as arriving:
        arriving.write_text(json.dumps({"events": events, "models": models}, separators=(",", ":")))


def read_counts(file: Path) -> dict[str, EventCounts]:
    """Counts by model. Raises ValueError in one line where the file is not such a one; OSError where there is none."""
    try:
        data = json.loads(file.read_text())
        return {name: EventCounts(list(data["events"]), *_fields(kept)) for name, kept in data["models"].items()}
    except (KeyError, TypeError, AttributeError, ValueError, AssertionError) as error:
        raise ValueError(f"{file} does not hold counts by event: {error}") from None


def _fields(kept: Mapping[str, Mapping[str, Sequence[int]]]) -> Iterator[dict[str, np.ndarray]]:
    for field in FIELDS:
        yield {phase: np.array(row, dtype=np.int64) for phase, row in kept[field].items()}
