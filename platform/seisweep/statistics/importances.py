"""How much each setting matters for being among a sweep's best trials: Optuna's PED-ANOVA on the runs.

Watanabe, Bansal and Hutter 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
Subspaces" (arXiv:2304.10255). What is compared is how a setting is distributed among the best trials and among all.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

import optuna
import pandas as pd
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from seisweep.statistics.distributions import Drawn, Params, of_values, plain
from seisweep.statistics.objective import Objective

FEWEST = 5
"""Trials below which there is nothing to say. Even then only large shares mean anything."""
BEST_SHARE, BEST_AT_LEAST = 0.1, 5
"""Who is among the best: a tenth, but so many where there are, up to half of all."""

MOST_SHARE = 0.75
"""Where ties make more than that the best, they are not told from the rest."""


def importances(
    params: Sequence[Params], values: Sequence[float], objective: Objective, drawn: Sequence[Drawn] | None = None
) -> pd.Series:
    """Share of each setting that varied between these trials, the largest first; they sum to 1.

    `drawn`: from what each trial's settings were drawn, which ranges are logarithmic; else the values say it. Raises
    ValueError where trials are too few, or nothing varies.
    """
    metric = objective.metric
    if len(values) < FEWEST:
        raise ValueError(f"importances need at least {FEWEST} finished trials with a {metric}, there are {len(values)}")
    if len(set(values)) == 1:
        raise ValueError(f"all trials have the same {metric}: no setting is more important than another")
    keys = dict.fromkeys(key for one in params for key in one)
    varied = [key for key in keys if len({plain(one.get(key)) for one in params}) > 1]
    if not varied:
        raise ValueError("importances need a setting that varies between the finished trials")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    losses = [objective.loss(value) for value in values]
    study = optuna.create_study(direction="minimize")
    study.add_trials(
        optuna.trial.create_trial(params=dict(one), distributions=of_one, value=loss)
        for one, of_one, loss in zip(params, drawn or of_values(params), losses, strict=True)
    )
    share = min(0.5, max(BEST_SHARE, BEST_AT_LEAST / len(values)))
    ordered = sorted(losses)
    num_best = bisect_right(ordered, ordered[math.ceil(share * len(losses)) - 1])
    if num_best > MOST_SHARE * len(losses):
        raise ValueError(f"{num_best} of {len(losses)} trials share the best values of {metric}: no setting stands out")
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    found = get_param_importances(study, evaluator=evaluator, params=varied)
    return pd.Series(found, name=metric, dtype="float64").rename_axis("setting")
