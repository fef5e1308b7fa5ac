"""What seisweep takes of Optuna that is not public."""

from __future__ import annotations

import warnings

import optuna
from optuna.storages.journal import JournalFileOpenLock
from optuna.storages.journal._storage import JournalOperation

USES = {
    "optuna.trial.FrozenTrial._trial_id": "a trial that was under way when its process died is asked for again",
    "optuna.storages.journal._storage.JournalOperation.SET_TRIAL_PARAM": "a sweep without its ledger is told from "
    "one that has not begun",
    "optuna.storages.journal._storage.JournalOperation.SET_TRIAL_STATE_VALUES": "the same",
    "optuna.storages.journal.JournalFileOpenLock": "the journal does without a lock of its own",
}
"""Dotted name, and what would not work without it."""

WORK_BEGAN = (int(JournalOperation.SET_TRIAL_PARAM), int(JournalOperation.SET_TRIAL_STATE_VALUES))
"""Operations in a journal that no trial causes which only waits."""


def under_way(study: optuna.Study, number: int) -> optuna.Trial:
    """A trial of the study that is not over, to suggest or report something more."""
    frozen = study.get_trials(deepcopy=False)[number]
    return optuna.trial.Trial(study, frozen._trial_id)


def name_objectives(study: optuna.Study, names: list[str]) -> None:
    """What optuna-dashboard and Optuna's plots call the objectives; said once, for a study keeps it."""
    if study.metric_names != names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(names)


class NoLock(JournalFileOpenLock):
    """For a journal with one writer whom somebody else's lock admits: a killed one leaves no stale lock."""

    def __init__(self) -> None:
        super().__init__("")

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass
