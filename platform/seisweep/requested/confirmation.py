"""The best of a sweep once more, with fresh seeds: from its record to a new sweep.

The best of many trials is the best by its settings and by the luck of its seed; that luck does not come again. So its
configuration, and those that came next, are trained with seeds that the sweep did not use, as a grid of its own.
`seisweep.statistics.confirmation` says what came of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from search_spaces.sweep import Confirms, Sweep
from seisweep.record import tags
from seisweep.requested.trainable import ACCUMULATION_KEY, BATCH_KEY, CACHE_KEY, OUTPUTS_KEY, SEED_KEY, Trainable
from seisweep.results.certainty import counts_of
from seisweep.results.runs import seconds_of
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.overrides import Overrides, flatten
from seisweep.settings.paths import with_absolute_paths
from seisweep.statistics.conditions import Estimate, best_conditions
from seisweep.statistics.confirmation import on_events
from seisweep.text import show_seconds, show_settings, show_value
from trainables.evaluation.counts import counts_behind


class Candidate(NamedTuple):
    """A configuration that got to its end, and what it had."""

    trial: int
    """Its trial; of several seeds, the best."""
    value: float
    """Of the first objective; over several seeds the mean."""
    params: dict[str, Any]
    """What was searched, without the seed."""
    seconds: float
    """What that trial took."""
    epochs: int


class Plan(NamedTuple):
    """The sweep that would run, and what is to be said before it does."""

    sweep: Sweep
    words: list[str]


def plan(first: SweepResults, top: int, num_seeds: int, overrides: Overrides) -> Plan:
    """The sweep of the best `top` configurations of `first`, each with so many fresh seeds. Raises ValueError."""
    if num_seeds < 2:
        raise ValueError(f"--seeds {num_seeds}: a spread needs at least 2 seeds; 5 is better")
    if (recorded := first.definition) is None:
        raise ValueError(f"{first.name}: its record does not say what it was (no {tags.SWEEP_FILE} in MLflow)")
    if recorded.scheduler == "pbt":
        raise ValueError(
            f"{first.name} is a population: its trials took over weights and settings from each other under way, so "
            "none of them has one configuration that could be trained again"
        )
    chosen = _best(first, top)
    trainable = Trainable.find(recorded.trainable)
    if not trainable.has(SEED_KEY):
        raise ValueError(f"the configuration of {recorded.trainable} has no {SEED_KEY}: every seed would give the same")
    fixed = _common_settings(overrides)
    points = [{key: value for key, value in one.params.items() if key not in fixed} for one in chosen]
    _check_that_they_differ(chosen, points)
    base = {key: value for key, value in recorded.base.items() if key not in (SEED_KEY, *fixed)} | fixed
    then = _as_it_was(trainable, base | points[0], first, chosen[0].trial, set(points[0]) | set(fixed))
    sweep = recorded.changed(
        base=base | then,
        space=None,
        vary={},
        points=points,
        confirms=Confirms(
            sweep=first.name,
            trials=[one.trial for one in chosen],
            values=[one.value for one in chosen],
            settings=fixed,
        ),
        seeds=fresh_seeds(first, num_seeds),
        samples=None,
        time_budget_s=None,
        sampler="grid",
        scheduler="none",
        perturb=None,
        perturbation_epochs=None,
        baseline={},
        description=f"the best {top} of {first.name} with {num_seeds} fresh seeds",
    )
    words = [*_budget(first, chosen, sweep, trainable), *_shown_by_events(first, chosen), *_kept_words(then)]
    return Plan(sweep, words)


def candidates(first: SweepResults) -> list[Candidate]:
    """Every configuration with a finished trial, the best first by the first objective."""
    objective = first.objective
    numbers = sorted(first.runs)
    found: list[Candidate] = []
    for condition in best_conditions(first.grouped(), objective) if first.runs else []:
        best = objective.best((numbers[place] for place in condition.trials), first.standing(objective))
        assert best is not None, "a condition has values of trials that are done"
        mean = Estimate.of(condition.values.values()).mean
        seconds = seconds_of(first.runs[best].info) or 0.0
        epochs = int(first.runs[best].data.tags.get(tags.EPOCHS, 0))
        found.append(Candidate(best, mean, _exact(first, best, condition.params), seconds, epochs))
    return found


def fresh_seeds(first: SweepResults, count: int) -> list[int]:
    """The smallest seeds that no trial of the sweep had."""
    used = {run.data.tags.get(tags.SEED) for run in first.runs.values()}
    used |= {run.data.params.get(SEED_KEY) for run in first.runs.values()}
    return list(itertools.islice((seed for seed in itertools.count() if str(seed) not in used), count))


def _best(first: SweepResults, top: int) -> list[Candidate]:
    """The best so many configurations. Raises ValueError where there are fewer."""
    found = candidates(first)
    if not found:
        raise ValueError(f"no trial of {first.name} has finished: there is nothing to confirm")
    if len(found) < top:
        one = len(found) == 1
        raise ValueError(
            f"--top {top}: {first.name} has {len(found)} finished configuration{'' if one else 's'} "
            f"(of {len(first.runs)} trials; those that were stopped early do not count)"
        )
    return found[:top]


def _common_settings(overrides: Overrides) -> dict[str, Any]:
    """What is changed for all of them. Raises ValueError where it is not one value."""
    if overrides.vary:
        key = next(iter(overrides.vary))
        raise ValueError(f"{key} has several values: confirm trains the configurations as they were, `run` searches")
    if SEED_KEY in overrides.base:
        raise ValueError("the seeds are chosen: as many as --seeds says, none of which the sweep has used")
    return with_absolute_paths(overrides.base)


def _check_that_they_differ(chosen: Sequence[Candidate], points: Sequence[Mapping[str, Any]]) -> None:
    for one, other in itertools.combinations(range(len(points)), 2):
        if points[one] == points[other]:
            raise ValueError(
                f"with these settings the trials {chosen[one].trial} and {chosen[other].trial} are one configuration: "
                "change what they have in common, or give a smaller --top"
            )


def _exact(first: SweepResults, trial: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """The searched settings with their types: MLflow keeps text, the configuration that it was trained with values.

    Where the two differ (a batch that was halved for want of memory), what was proposed holds.
    """
    try:
        config = first.config(trial)
    except (OSError, ValueError):
        config = {}
    texts, exact = first.runs[trial].data.params, {}
    for key, value in params.items():
        node: Any = config
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        exact[key] = node if str(node) == texts[key] else value
    return exact


def _as_it_was(
    trainable: Trainable, settings: Mapping[str, Any], first: SweepResults, trial: int, decided: set[str]
) -> dict[str, Any]:
    """Settings that have another default today than when the trial ran, as it had them. Empty where the code is the
    same. `decided`: what the points or the user say."""
    try:
        then = dict(flatten(first.config(trial)))
    except (OSError, ValueError):
        return {}
    today = dict(flatten(trainable.dump(settings)))
    aside = {SEED_KEY, CACHE_KEY, OUTPUTS_KEY, *decided}
    if first.runs[trial].data.tags.get(tags.CHANGED):
        aside |= {BATCH_KEY, ACCUMULATION_KEY}
    return {key: value for key, value in then.items() if key in today and value != today[key] and key not in aside}


def _kept_words(then: Mapping[str, Any]) -> list[str]:
    return [f"as it was then, though the default is another today: {show_settings(then)}"] if then else []


def _shown_by_events(first: SweepResults, chosen: Sequence[Candidate]) -> list[str]:
    """What so few dev events can show of the best and the next, whatever the seeds; nothing where none are counted."""
    metric = first.objective.metric
    compared = on_events([counts_behind(metric, counts_of(first, one.trial)) for one in chosen])
    if not (known := [one for one in compared if one]):
        return []
    return [
        f"on its {known[0].size} dev events, the smallest difference in {metric} that can be shown is about "
        f"{max(one.least for one in known):.2g}, however many seeds there are"
    ]


def _budget(first: SweepResults, chosen: Sequence[Candidate], sweep: Sweep, trainable: Trainable) -> list[str]:
    """How many trials of how many epochs, and what they would take at the pace of the first sweep."""
    assert sweep.points is not None
    seeds = sweep.seeds
    metric = first.objective.metric
    values = ", ".join(f"{one.trial} ({show_value(one.value)})" for one in chosen)
    default = trainable.defaults(sweep).get(sweep.epochs_key)
    bounds = [point.get(sweep.epochs_key, default) for point in sweep.points]
    seconds = [
        one.seconds * min(1.0, bound / one.epochs) if bound and one.epochs else one.seconds
        for one, bound in zip(chosen, bounds, strict=True)
    ]
    whole = [bound for bound in bounds if isinstance(bound, int)]
    upper = f" of at most {max(whole)} epochs" if whole else ""
    return [
        f"the best {len(chosen)} of {first.name} by {metric}: trial{'s' if len(chosen) > 1 else ''} {values}",
        f"{len(chosen)} x {len(seeds)} fresh seeds ({', '.join(map(str, seeds))}): {len(chosen) * len(seeds)} trials"
        f"{upper}, about {show_seconds(sum(seconds) * len(seeds))} one after another at the pace of {first.name}",
    ]
