"""A sweep out of its record as an Optuna study: for importances, Optuna's own plots and optuna-dashboard."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from seisweep.private.optuna import name_objectives
from seisweep.record import tags
from seisweep.results.runs import Run
from seisweep.results.tables import params_of, seed_of
from seisweep.statistics.distributions import Distributions, Drawn, as_proposed, of_values, plain, value_of
from seisweep.statistics.objective import DONE, FAILED, Objective

if TYPE_CHECKING:
    from seisweep.results.sweep_results import SweepResults


class Proposals(NamedTuple):
    """What was proposed to each of some trials, and from what it was drawn."""

    params: list[dict[str, Any]]
    drawn: list[Drawn]
    is_known: bool
    """False where only the values themselves say from what they could have been drawn."""


def recorded_distributions(sweep: SweepResults) -> Distributions | None:
    """What the record holds; None in sweeps that are older, and where the file is not to be had."""
    try:
        return Distributions.from_data(sweep.read_json(sweep.files / tags.DISTRIBUTIONS_FILE))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def proposals(sweep: SweepResults, numbers: Iterable[int], *, with_seed: bool = True) -> Proposals:
    """Of these trials. Where the record does not say from what a setting was drawn, the sweep's space does, else the
    values themselves. `with_seed`: of a grid with several, the seed is a setting too."""
    runs = [sweep.runs[number] for number in numbers]
    texts = [{key: text for key, text in run.data.params.items() if key != tags.SEED} for run in runs]
    params, drawn, is_known = _as_recorded(sweep, runs, texts) or _worked_out(sweep, runs)
    if with_seed and any(tags.SEED in run.data.params for run in runs):
        seeds = [{tags.SEED: seed_of(run)} for run in runs]
        params = [one | seed for one, seed in zip(params, seeds, strict=True)]
        drawn = [one | seed for one, seed in zip(drawn, of_values(seeds), strict=True)]
    return Proposals(params, drawn, is_known)


def _as_recorded(sweep: SweepResults, runs: Sequence[Run], texts: Sequence[dict[str, str]]) -> Proposals | None:
    if (kept := sweep.distributions) is None:
        return None
    params, drawn = [], []
    for run, given in zip(runs, texts, strict=True):
        own = kept.drawn(int(run.data.tags[tags.TRIAL]), given)
        try:
            if own is None:
                return None
            params.append({key: value_of(text, own[key]) for key, text in given.items()})
        except ValueError:
            return None
        drawn.append(own)
    return Proposals(params, drawn, is_known=True)


def _worked_out(sweep: SweepResults, runs: Sequence[Run]) -> Proposals:
    params = [{key: plain(value) for key, value in params_of(run).items() if key != tags.SEED} for run in runs]
    drawn = as_proposed(params, sweep.definition) if sweep.definition else None
    return Proposals(params, drawn or of_values(params), is_known=bool(drawn))


def study_of(sweep: SweepResults) -> optuna.Study:
    """Every trial with its settings, its state, its values and, of one objective, its reports by epoch; the seed and
    all last metrics as user attributes. In memory: what is done with it changes no record."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    objectives = Objective.all(sweep.objectives)
    study = optuna.create_study(
        study_name=sweep.name, directions=[objective.study_direction for objective in objectives]
    )
    name_objectives(study, [objective.metric for objective in objectives])
    numbers = list(range(max(sweep.runs) + 1)) if sweep.runs else []
    known = proposals(sweep, sweep.runs, with_seed=False)
    by_number = dict(zip(sweep.runs, zip(known.params, known.drawn, strict=True), strict=True))
    reports = _reports(sweep, objectives[0].metric) if len(objectives) == 1 and sweep.runs else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Choices for a categorical distribution", category=UserWarning)
        for number in numbers:
            if number not in by_number:  # which the record lacks: later ones keep their numbers
                study.add_trial(create_trial(state=TrialState.FAIL))
                continue
            study.add_trial(_trial(sweep.runs[number], *by_number[number], objectives, reports.get(number, {})))
    return study


def _trial(
    run: Run, params: dict[str, Any], drawn: Drawn, objectives: Sequence[Objective], reports: dict[int, float]
) -> FrozenTrial:
    state, values = (
        run.data.tags.get(tags.STATE, ""),
        [run.data.metrics.get(one.metric, math.nan) for one in objectives],
    )
    complete = all(map(math.isfinite, values))
    told = TrialState.RUNNING
    if state == FAILED or (state in (DONE, "stopped") and not complete):
        told = TrialState.FAIL
    elif state == DONE or (state == "stopped" and len(objectives) > 1):
        told = TrialState.COMPLETE  # Optuna knows no pruning of several objectives
    elif state == "stopped":
        told = TrialState.PRUNED
    trial = create_trial(
        state=told,
        params=params,
        distributions=drawn,
        values=values if told in (TrialState.COMPLETE, TrialState.PRUNED) else None,
        intermediate_values=reports,
        user_attrs={tags.SEED: seed_of(run), tags.STATE: state, **run.data.metrics},
    )
    trial.datetime_start = datetime.fromtimestamp(run.info.start_time / 1000, UTC).replace(tzinfo=None)
    if told.is_finished() and run.info.end_time:
        ended_ms = max(run.info.start_time, run.info.end_time)
        trial.datetime_complete = datetime.fromtimestamp(ended_ms / 1000, UTC).replace(tzinfo=None)
    return trial


def _reports(sweep: SweepResults, metric: str) -> dict[int, dict[int, float]]:
    """The first objective by epoch, of each trial."""
    found: dict[int, dict[int, float]] = {}
    for key, value in sweep.curves(metric)[metric].dropna().items():
        number, step = (int(part) for part in key)  # type: ignore[attr-defined]
        found.setdefault(number, {})[step] = float(value)
    return found
