"""How much each setting matters for being among a sweep's best trials: Optuna's PED-ANOVA on the runs.

Watanabe, Bansal and Hutter 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
Subspaces" (arXiv:2304.10255). What is compared is how a setting is distributed among the best trials and among all.
"""

from __future__ import annotations

import json
import math
import warnings
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from search_spaces.narrowing import narrowed_space
from search_spaces.sweep import Sweep
from seisweep.statistics.objective import Objective

FEWEST = 5
"""Trials below which there is nothing to say. Even then only large shares mean anything."""
BEST_SHARE, BEST_AT_LEAST = 0.1, 5
"""Who is among the best: a tenth, but so many where there are, up to half of all."""

MOST_SHARE = 0.75
"""Where ties make more than that the best, they are not told from the rest."""

Params = Mapping[str, Any]


def importances(
    params: Sequence[Params], values: Sequence[float], objective: Objective, sweep: Sweep | None = None
) -> pd.Series:
    """Share of each setting that varied between these trials, the largest first; they sum to 1.

    `sweep`: whose space says what could have been proposed, and which ranges are logarithmic; else the values say it.
    Raises ValueError where trials are too few, or nothing varies.
    """
    metric = objective.metric
    if len(values) < FEWEST:
        raise ValueError(f"importances want at least {FEWEST} finished trials with a {metric}, there are {len(values)}")
    if len(set(values)) == 1:
        raise ValueError(f"all trials have the same {metric}: no setting is more important than another")
    plain = [{key: _plain(value) for key, value in one.items()} for one in params]
    distributions = (as_proposed(plain, sweep) if sweep else None) or _of_values(plain)
    varied = [
        key for key in dict.fromkeys(key for one in plain for key in one) if len({one.get(key) for one in plain}) > 1
    ]
    if not varied:
        raise ValueError("importances want a setting that varies between the finished trials")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=objective.study_direction)
    study.add_trials(
        optuna.trial.create_trial(params=one, distributions=of_one, value=value)
        for one, of_one, value in zip(plain, distributions, values, strict=True)
    )
    share = min(0.5, max(BEST_SHARE, BEST_AT_LEAST / len(values)))
    losses = sorted(map(objective.loss, values))
    num_best = bisect_right(losses, losses[math.ceil(share * len(losses)) - 1])
    if num_best > MOST_SHARE * len(losses):
        raise ValueError(f"{num_best} of {len(losses)} trials share the best values of {metric}: no setting stands out")
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    found = get_param_importances(study, evaluator=evaluator, params=varied)
    return pd.Series(found, name=metric, dtype="float64").rename_axis("setting")


def as_proposed(params: Sequence[Params], sweep: Sweep) -> list[dict[str, BaseDistribution]] | None:
    """As the sweep's space proposed each trial; None where one lies outside of it or the space is not to be had."""
    found = []
    try:
        space = narrowed_space(sweep)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # so does Optuna say that a value is outside
            for one in params:
                trial = optuna.trial.FixedTrial(dict(one))
                space(trial)
                if trial.distributions.keys() != one.keys():
                    return None
                found.append(trial.distributions)
    except (ValueError, UserWarning):
        return None
    return found


def _of_values(params: Sequence[Params]) -> list[dict[str, BaseDistribution]]:
    """The ranges that the values span, and as choices the words that there are."""
    columns: dict[str, list[Any]] = {}
    for one in params:
        for key, value in one.items():
            columns.setdefault(key, []).append(value)
    ranges = {key: _range(values) for key, values in columns.items()}
    return [{key: ranges[key] for key in one} for one in params]


def _range(values: Sequence[Any]) -> BaseDistribution:
    kinds = {type(value) for value in values}
    if kinds == {int}:
        return IntDistribution(min(values), max(values))
    if kinds <= {int, float}:
        return FloatDistribution(float(min(values)), float(max(values)))
    return CategoricalDistribution(tuple(dict.fromkeys(values)))


def _plain(value: Any) -> Any:
    """Optuna's categories are numbers, words, truth values and None."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)
