"""Several sweeps side by side: the best trials of each, in what the sweeps differ, and whether that can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from seisweep.record import tags
from seisweep.results.certainty import counts_of
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.overrides import flatten
from seisweep.settings.scored_with import DATASET, OF_TRAINING, STREAMS
from seisweep.statistics import certainty
from seisweep.statistics.certainty import Interval
from seisweep.statistics.conditions import Estimate, best_conditions
from seisweep.text import show_value, some
from trainables import metrics

MOST_NAMED = 6
"""Settings that a line names."""
SCORED_WITH = ("data.", "picks.")
"""How settings begin that decide about dev windows and how they are scored."""
SEEDS = "seeds"


class Best(NamedTuple):
    """A trial, or with several seeds a condition, whose best trial it is."""

    trial: int
    over_seeds: Estimate | None


class Compared:
    """Sweeps in the order in which they were named."""

    def __init__(self, sweeps: Sequence[SweepResults], top: int) -> None:
        self.sweeps = list(sweeps)
        self.best = {sweep.name: best_of(sweep)[:top] for sweep in sweeps}

    @cached_property
    def metrics(self) -> list[str]:
        """What they are ranked by."""
        return list(dict.fromkeys(sweep.objective.metric for sweep in self.sweeps))

    @cached_property
    def _settings(self) -> dict[str, dict[str, Any]]:
        """The whole configuration of the best trial of each sweep that has one; empty where it is not to be had."""
        return {sweep.name: _settings_of(sweep, self.best[sweep.name]) for sweep in self.sweeps}

    def rows(self) -> list[dict[str, Any]]:
        """One row a trial: whose it is, its scores with their 95 % intervals, INT8 verdict and bytes."""
        rows = []
        for sweep in self.sweeps:
            for one in self.best[sweep.name]:
                run = sweep.run(one.trial)
                row: dict[str, Any] = {"sweep": sweep.name, "trial": one.trial}
                row[SEEDS] = one.over_seeds.size if one.over_seeds else None
                for metric in self.metrics:
                    ends: Interval | None
                    if one.over_seeds is not None and metric == sweep.objective.metric:
                        row[metric], ends = one.over_seeds.mean, Interval(one.over_seeds.low, one.over_seeds.high)
                    else:
                        row[metric] = run.data.metrics.get(metric)
                        ends = certainty.interval_of(run.data.metrics, metric)
                    row[certainty.heading(metric)] = str(ends) if ends and ends.low == ends.low else None
                row[metrics.INT8_VERDICT] = run.data.tags.get(metrics.INT8_VERDICT)
                row[metrics.INT8_BYTES] = _whole(run.data.metrics.get(metrics.INT8_BYTES))
                rows.append(row)
        unused = {key for key in rows[0] if all(row[key] is None for row in rows)} if rows else set()
        return [{key: value for key, value in row.items() if key not in unused} for row in rows]

    def lines(self) -> list[str]:
        """What is to be said under the table."""
        said = [f"{name}: no trial has finished" for name, found in self.best.items() if not found]
        if reasons := list(self._not_comparable()):
            said.append(f"not comparable: {'; '.join(reasons)}")
        said += [f"varied otherwise: {varied}"] if (varied := self._varied()) else []
        said += [f"fixed otherwise: {fixed}"] if (fixed := self._fixed()) else []
        if not (varied or fixed or reasons):
            said.append("no setting differs")
        return [*said, *([] if reasons else self._told_apart()), *self._intervals()]

    def _not_comparable(self) -> Iterator[str]:
        if self.metrics[1:]:
            yield _said({sweep.name: f"ranked by {sweep.objective.metric}" for sweep in self.sweeps})
        data = {sweep.name: _data_of(sweep) for sweep in self.sweeps}
        if len({fingerprint for fingerprint, _ in data.values()}) > 1:
            yield _said({name: f"on {words}" for name, (_, words) in data.items()})
        about_streams = any(metric.startswith(metrics.AGREEMENT) for metric in self.metrics)
        for key in self._otherwise(SCORED_WITH):
            if key not in (*OF_TRAINING, DATASET) and (about_streams or not key.startswith(STREAMS)):
                yield self._setting(key)

    def _varied(self) -> str:
        searched = {sweep.name: [key for key in sweep.params if key != tags.SEED] for sweep in self.sweeps}
        by_sweeps: dict[tuple[str, ...], list[str]] = {}
        for key in dict.fromkeys(key for found in searched.values() for key in found):
            by_sweeps.setdefault(tuple(name for name, found in searched.items() if key in found), []).append(key)
        return "; ".join(
            f"{some(keys, MOST_NAMED)} in {' and '.join(names)} alone"
            for names, keys in by_sweeps.items()
            if len(names) < len(self.sweeps)
        )

    def _fixed(self) -> str:
        """Settings that some sweep gives, none searches, and that are not the same in all; of data that are the same by
        another path nothing."""
        given = {key for sweep in self.sweeps if (wanted := sweep.definition) for key in wanted.base}
        searched = {key for sweep in self.sweeps for key in sweep.params}
        trainables = {sweep.name: sweep.parent.data.tags.get(tags.TRAINABLE, "") for sweep in self.sweeps}
        words = [f"trainable {_said(trainables)}"] if len(set(trainables.values())) > 1 else []
        aside = {DATASET, *searched, *(key for key in self._otherwise(SCORED_WITH) if key not in OF_TRAINING)}
        words += [self._setting(key) for key in self._otherwise() if key in given - aside]
        return some(words, MOST_NAMED, "; ")

    def _otherwise(self, begins: tuple[str, ...] = ("",)) -> list[str]:
        """Settings that not all have the same, of those that all have."""
        known = [settings for settings in self._settings.values() if settings]
        if len(known) < 2:
            return []
        searched = {key for sweep in self.sweeps for key in sweep.params}
        return [
            key
            for key in known[0]
            if key.startswith(begins)
            and key not in searched
            and all(key in one for one in known)
            and any(one[key] != known[0][key] for one in known)
        ]

    def _setting(self, key: str) -> str:
        values = {name: show_value(one[key]) for name, one in self._settings.items() if key in one}
        return f"{key} {_said(values)}"

    def _told_apart(self) -> list[str]:
        """Whether the best of the two best sweeps differ by more than chance, where their counts by event say it."""
        having = {sweep.name: sweep for sweep in self.sweeps if self.best[sweep.name]}
        if len(having) < 2 or any(sweep.has_seeds for sweep in having.values()):
            return []
        names, objective = list(having), self.sweeps[0].objective
        values = [having[name].run(self.best[name][0].trial).data.metrics[objective.metric] for name in names]
        one, other = (having[names[place]] for place in objective.best_first(values)[:2])
        first, second = ((sweep, self.best[sweep.name][0].trial) for sweep in (one, other))
        told = certainty.tell_apart(
            objective.metric,
            *((f"{sweep.name}/{trial}", counts_of(sweep, trial)) for sweep, trial in (first, second)),
        )
        return [told.words] if told else []

    def _intervals(self) -> Iterator[str]:
        of_trials = [sweep for sweep in self.sweeps if not sweep.has_seeds and self.best[sweep.name]]
        found = [sweep.run(one.trial).data.metrics for sweep in of_trials for one in self.best[sweep.name]]
        if scored := certainty.scores_with_intervals(self.metrics, found):
            several = any(len(sweep.runs) > 1 for sweep in of_trials)
            yield certainty.what_intervals_are(scored, of_the_best=several)
        if of_seeds := [sweep.name for sweep in self.sweeps if sweep.has_seeds]:
            how = "the mean over seeds with its 95 % interval by Student's t; the trial is the best of them"
            yield f"{', '.join(of_seeds)}: {how}"


def best_of(sweep: SweepResults) -> list[Best]:
    """Finished trials, the best first; with several seeds conditions by their mean."""
    if not sweep.has_seeds:
        return [Best(number, None) for number in sweep.finished()]
    numbers, found = list(sweep.runs), []
    for condition in best_conditions(sweep.grouped(), sweep.objective):
        of_it = [numbers[place] for place in condition.trials]
        best = sweep.objective.best(of_it, sweep.standing(sweep.objective))
        assert best is not None, "a condition has values of trials that are done"
        found.append(Best(best, Estimate.of(condition.values.values())))
    return found


def _settings_of(sweep: SweepResults, best: Sequence[Best]) -> dict[str, Any]:
    try:
        return dict(flatten(sweep.config(best[0].trial))) if best else {}
    except (OSError, ValueError):
        return {}


def _data_of(sweep: SweepResults) -> tuple[str, str]:
    """The fingerprint, and in words."""
    facts = sweep.parent.data.tags
    fingerprint = facts.get(tags.DATA_FINGERPRINT, "")
    return fingerprint, f"{facts.get(tags.DATASET, 'data')} ({fingerprint or 'no fingerprint'})"


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _said(by_sweep: Mapping[str, str]) -> str:
    """Words and the sweeps that they are said of."""
    whose: dict[str, list[str]] = {}
    for name, words in by_sweep.items():
        whose.setdefault(words, []).append(name)
    return ", ".join(f"{words} in {' and '.join(names)}" for words, names in whose.items())
