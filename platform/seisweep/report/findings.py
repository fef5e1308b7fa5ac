"""What was found: the result in a few sentences, the best trials, conditions over seeds, the front, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from seisweep import results
from seisweep.record import tags
from seisweep.report import best_trial, trials
from seisweep.report.agreement import agreement
from seisweep.report.cells import Facts, Table, in_text, table
from seisweep.results.certainty import best_two, counts_of_conditions
from seisweep.results.sweep_results import SweepResults
from seisweep.statistics import certainty, confirmation
from seisweep.statistics.ablation import best_of_both
from seisweep.statistics.conditions import (
    RANGE,
    Baseline,
    Condition,
    Estimate,
    best_conditions,
    differences,
    table_rows,
)
from seisweep.statistics.objective import Objective
from seisweep.text import show_number
from trainables import metrics
from trainables.export.artifacts import GATE_TAG

TOP_CONDITIONS = 30


@dataclass(frozen=True)
class Found:
    """The second part of the page."""

    state: str
    sentences: list[str]
    caution: str
    """What keeps a reader from trusting too much; empty where nothing does."""
    tiles: Facts
    """A few numbers that stand out."""
    best: int | None
    """None where no trial has finished."""
    trials: Table
    models: Table | None
    """The ONNX files of the same trials, where there are any."""
    settings: Facts
    """What was varied, as the best trial has it."""
    measured: Table | None
    """Of the best trial, in PyTorch, FP32 and INT8 where it has them."""
    agreement: Table | None
    """Of the best trial with its teacher, where it learned from continuous waveforms."""
    numbers: Facts
    """The other metrics of the best trial."""
    remarks: Facts
    """What the record says of the best trial in words."""
    whole_config: str
    conditions: Table | None
    conditions_note: str
    front: Table | None
    failures: Table | None
    exploits: Table | None


def found(sweep: SweepResults) -> Found:
    """Everything that is known of the trials now. Works for a sweep that is running or has only failures."""
    best = _best(sweep)
    metric = sweep.objective.metric
    conditions = sweep.grouped() if sweep.has_seeds and metric in sweep.metrics else []
    baseline = sweep.baseline(conditions) if conditions else None
    shown, note = _conditions(sweep, conditions, baseline) if baseline else (None, "")
    ordered = sweep.ranked()
    measured, numbers = (None, []) if best is None else best_trial.metrics_of(sweep, best)
    return Found(
        state=sweep.parent.data.tags.get(tags.STATE, ""),
        sentences=[*_sentences(sweep, best, conditions, baseline), *_unfinished(sweep)],
        caution=_caution(sweep, best, conditions),
        tiles=list(_tiles(sweep, best, conditions)),
        best=best,
        trials=trials.best_trials(sweep, ordered, best),
        models=trials.models(sweep, ordered, best),
        settings=[] if best is None else best_trial.settings(sweep, best),
        measured=measured,
        agreement=None if best is None else agreement(sweep, best),
        numbers=numbers,
        remarks=[] if best is None else best_trial.remarks(sweep, best),
        whole_config="" if best is None else best_trial.whole_config(sweep, best),
        conditions=shown,
        conditions_note=note,
        front=trials.front(sweep, best),
        failures=trials.failures(sweep),
        exploits=trials.exploits(sweep),
    )


def _best(sweep: SweepResults) -> int | None:
    try:
        return sweep.best()
    except ValueError:
        return None


def _counts(sweep: SweepResults) -> dict[str, int]:
    counts = Counter(run.data.tags.get(tags.STATE, "running") for run in sweep.runs.values())
    return {state: counts[state] for state in trials.STATES if counts[state]}


def _sentences(
    sweep: SweepResults, best: int | None, conditions: list[Condition], baseline: Baseline | None
) -> Iterator[str]:
    objective = sweep.objective
    metric = objective.metric
    counts = _counts(sweep)
    if best is None:
        states = ", ".join(f"{count} {trials.STATES[state]}" for state, count in counts.items()) or "none has begun"
        yield f"No trial has finished{' yet' if _is_running(sweep) else ''} ({states})."
        return
    if sweep.confirms is not None:
        events = counts_of_conditions(sweep, conditions, metric)
        for words in confirmation.verdict(conditions, sweep.confirms, objective, events) if conditions else []:
            yield f"{words[0].upper()}{words[1:]}."
    elif baseline and (top := _top(conditions, objective)) is not None:
        yield from _about(top, conditions, baseline, metric)
        yield from (f"{words[0].upper()}{words[1:]}." for words in best_of_both(conditions, objective))
    value = in_text(sweep.run(best).data.metrics[metric])
    if conditions:
        yield f"The best single trial is {best}, with {metric} {value}."
    elif len(sweep.runs) > 1:
        yield f"Trial {best} is the best of {len(sweep.runs)}: {metric} {value}."
    else:
        yield f"Trial {best} is the only one: {metric} {value}."
    yield from _certain(sweep, best)
    if gate := sweep.tags(best).get(GATE_TAG):
        yield f"Its INT8 file is {gate.rstrip('.')}."


def _certain(sweep: SweepResults, best: int) -> Iterator[str]:
    """How well the best score is known, what the teacher has, and whether the next best is any worse."""
    metric, values = sweep.objective.metric, sweep.run(best).data.metrics
    if found := certainty.interval_of(values, metric):
        yield f"By the bootstrap over its dev events, the {certainty.LEVEL} interval of that is {found}."
    else:
        yield f"{certainty.NONE_KEPT[0].upper()}{certainty.NONE_KEPT[1:]}."
    for teacher in certainty.teachers([(values, {})], [metric]):
        ends = certainty.interval_of(teacher.metrics, metric)
        yield f"Its teacher has {in_text(teacher.metrics[metric])} on the same windows{f' ({ends})' if ends else ''}."
    for words in best_two(sweep):
        yield f"{words[0].upper()}{words[1:]}."


def _unfinished(sweep: SweepResults) -> Iterator[str]:
    """What keeps this page from being the last word."""
    state = sweep.parent.data.tags.get(tags.STATE)
    if state == "running":
        yield "The sweep is not over: this is what is known so far."
    if state == "interrupted":
        yield f"The sweep was interrupted: seisweep resume {sweep.name} goes on with it."


def _about(top: Condition, conditions: list[Condition], baseline: Baseline, metric: str) -> Iterator[str]:
    """The condition with the best mean, and whether it is better than the baseline."""
    mean = Estimate.of(top.values.values())
    spread = f" ({RANGE} {show_number(mean.low)} to {show_number(mean.high)})" if mean.size > 1 else ""
    if len(conditions) == 1:
        yield f"Over {mean.size} seeds the mean {metric} is {show_number(mean.mean)}{spread}."
        return
    seeds = f"{mean.size} seed{'s' if mean.size > 1 else ''}"
    yield f"Best on average: {top.settings}, mean {metric} {show_number(mean.mean)} over {seeds}{spread}."
    if (other := baseline.of(top)) is None:
        return
    paired = Estimate.of(differences(top, other).values())
    if paired.size > 1:
        excluded = paired.low > 0 or paired.high < 0
        word = "zero lies outside" if excluded else "zero lies inside, so these seeds do not tell them apart"
        yield (
            f"Its difference from {other.settings} is {paired.mean:+.3g}, {RANGE} {paired.low:+.3g} to "
            f"{paired.high:+.3g} over {paired.size} seeds: {word}."
        )


def _top(conditions: list[Condition], objective: Objective) -> Condition | None:
    return next(iter(best_conditions(conditions, objective)), None)


def _caution(sweep: SweepResults, best: int | None, conditions: list[Condition]) -> str:
    if best is None or len(sweep.runs) == 1:
        return ""
    if not conditions and (said := _confirmed(sweep)):
        return said
    if not conditions:
        return (
            "The best trial of a search is partly luck: all of them have the same seed. "
            f"seisweep confirm {sweep.name} trains the best ones again with new seeds."
        )
    if any(condition.missing for condition in conditions):
        return "Some trials did not get to their end: conditions with missing seeds are less certain than they look."
    return ""


def _confirmed(sweep: SweepResults) -> str:
    """What a sweep that trained the best again says of them; empty where there is none."""
    for name in sweep.confirmed_by:
        again = results.load(name, sweep.tracking_uri)
        if again.confirms is not None and sweep.objective.metric in again.metrics:
            words = confirmation.verdict(again.grouped(), again.confirms, again.objective)
            return f"{name} trained the best ones again on fresh seeds: {words[0]}."
    return ""


def _tiles(sweep: SweepResults, best: int | None, conditions: list[Condition]) -> Iterator[tuple[str, str]]:
    """With several seeds the best mean stands before what a single run has reached."""
    counts = _counts(sweep)
    first = sweep.objective.metric
    if (top := _top(conditions, sweep.objective)) is not None:
        yield f"best mean {first}", show_number(Estimate.of(top.values.values()).mean)
    if best is not None:
        values = sweep.run(best).data.metrics
        for metric in dict.fromkeys((*sweep.objectives, metrics.INT8_F1, metrics.INT8_BYTES)):
            if metric in values:
                yield f"best {metric}" if metric == first and len(sweep.runs) > 1 else metric, in_text(values[metric])
    yield "trials", f"{len(sweep.runs):,}"
    if len(counts) > 1:
        for state, count in counts.items():
            yield trials.STATES[state], f"{count:,}"


def _is_running(sweep: SweepResults) -> bool:
    return sweep.parent.data.tags.get(tags.STATE) == "running"


def _conditions(sweep: SweepResults, conditions: list[Condition], baseline: Baseline) -> tuple[Table, str]:
    """The table and what is to be said under it."""
    metric = sweep.objective.metric
    if sweep.confirms is not None:
        rows = confirmation.table_rows(conditions, sweep.confirms, metric)
        words = f"The best of {sweep.confirms.sweep}, trained again on fresh seeds."
        return table(words, rows), (
            "Each is compared with the winner seed by seed (paired t-test, two-sided), corrected for the number of "
            "comparisons by Holm's step-down."
        )
    rows = table_rows(conditions, baseline, metric)
    shown = table(f"Conditions: what varied but the seed ({len(rows):,}).", rows[:TOP_CONDITIONS])
    note = ""
    if len(rows) > 1:
        note = (
            f"{baseline.words[0].upper()}{baseline.words[1:]}. Each interval stands for itself: of twenty comparisons "
            "without any effect, one leaves zero outside."
        )
    if len(rows) > TOP_CONDITIONS:
        note += f" The first {TOP_CONDITIONS}; all of them: seisweep results {sweep.name} --by condition."
    return shown, note
