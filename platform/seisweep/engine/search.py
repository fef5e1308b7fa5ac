"""Who proposes trials: an Optuna study on a journal file, behind Ray Tune's Searcher interface.

Ray ships an OptunaSearch. It is not used, because it keeps its trials in a pickle beside the study, leaves a
trial RUNNING for ever where its result is NaN or lacks an objective, and counts one that was stopped early as
complete. Here the journal is the only state: a resumed
sweep goes on with the trials that were under way, and each proposal is drawn with a sampler seeded by
(sweep, trial number), so that it depends on the history alone.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Collection, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.storages.journal import JournalStorage
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search_spaces.narrowing import POINT_ATTRIBUTE, default_point, enumerate_space, narrowed_space
from search_spaces.sweep import Sweep
from seisweep.engine.journal import Journal
from seisweep.private.optuna import name_objectives, under_way
from seisweep.record.ledger import Ledger, TrialRecord
from seisweep.statistics.distributions import Distributions
from seisweep.statistics.objective import Objective

STUDY = "sweep"
"""Name of the study in the journals of earlier versions."""
SEED_ATTRIBUTE = "seed"

logger = logging.getLogger(__name__)


class Study:
    """The Optuna study of a sweep and the rules by which trials are asked for and told."""

    def __init__(self, sweep: Sweep, journal: Path, defaults: Mapping[str, Any], name: str = STUDY) -> None:
        """`name` of the study in the journal, for whoever opens that; one that is there keeps its own."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        # Its journal is JSON, which keeps a choice that is a list (teachers=[a,b]) as well as any other.
        warnings.filterwarnings("ignore", message="PartialFixedSampler is experimental")
        warnings.filterwarnings("ignore", message="Choices for a categorical distribution", category=UserWarning)
        self.sweep = sweep
        self.space = narrowed_space(sweep)
        storage = JournalStorage(Journal(journal))
        self.study = optuna.create_study(
            study_name=next(iter(optuna.get_all_study_names(storage)), name),
            storage=storage,
            directions=[objective.study_direction for objective in Objective.all(sweep.objectives)],
            pruner=optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        name_objectives(self.study, list(sweep.objectives))
        self._enqueue(defaults)
        self._open = [t.number for t in self._trials(TrialState.RUNNING)]
        """Trials under way when the last session ended; they are handed out first."""
        self._past: dict[int, TrialRecord] = {}
        """Of those, what the ledger knows of them."""
        self.distributions = self._all_distributions()
        """From what the settings of all trials were drawn."""

    def ask(self) -> optuna.Trial | optuna.trial.FrozenTrial:
        """The next trial: one that was interrupted, one that is enqueued, or a new proposal."""
        if self._open:
            number = self._open.pop(0)
            if self._trial(number).state.is_finished():
                return self._trial(number)
            trial = under_way(self.study, number)
        else:
            waiting = self._trials(TrialState.WAITING)
            number = waiting[0].number if waiting else len(self._trials())
            self.study.sampler = _sampler(self.sweep, number)
            trial = self.study.ask()
        return self._suggest(trial)

    def _suggest(self, trial: optuna.Trial) -> optuna.Trial:
        """Draw what is not drawn yet; what the ledger says of an earlier session holds."""
        sampler = _sampler(self.sweep, trial.number)
        past = self._past.get(trial.number)
        fixed = past.proposed if past else {}
        self.study.sampler = optuna.samplers.PartialFixedSampler(fixed, sampler) if fixed else sampler
        is_last = trial.number + 1 == len(self._trials())
        self.space(trial)
        if is_last:
            self.distributions.add(trial.number, trial.distributions)
        else:  # one of those before them, which may have drawn something that it had not drawn yet
            self.distributions = self._all_distributions()
        return trial

    def _all_distributions(self) -> Distributions:
        return Distributions.of((trial.number, trial.distributions) for trial in self._trials())

    def tell(self, record: TrialRecord) -> None:
        """Tell how a trial ended: complete; pruned, where it was stopped early; or failed, as is one without a
        finite value of each objective."""
        frozen = self._trial(record.number)
        self._past.pop(record.number, None)
        if frozen.state.is_finished():
            return
        values = [record.metrics.get(metric, math.nan) for metric in self.sweep.objectives]
        if record.state == "failed" or not all(map(math.isfinite, values)):
            self.study.tell(record.number, state=TrialState.FAIL)
        elif record.state == "stopped" and len(values) == 1:  # Optuna knows no pruning of several objectives
            if record.epoch not in frozen.intermediate_values:
                under_way(self.study, record.number).report(values[0], record.epoch)
            self.study.tell(record.number, state=TrialState.PRUNED)  # with its last value
        else:
            self.study.tell(record.number, values)

    def seed_of(self, trial: optuna.Trial | optuna.trial.FrozenTrial) -> int:
        return int(trial.user_attrs.get(SEED_ATTRIBUTE, self.sweep.seeds[0]))

    def reconcile(self, ledger: Ledger) -> None:
        """Bring the study up to the ledger. A session that died, or a machine that lost its power, may have left either
        of them behind the other: a trial that the study lacks begins there with the ledger's settings, one that has
        ended in the ledger ends there, and one that has not is handed out again, although the study knows its end."""
        for number, record in sorted(ledger.trials.items()):
            self._past[number] = record
            self._begin_again(record)
            if not record.running:
                self._leave_open(number)
                if set(self._trial(number).params) < set(record.proposed):
                    self._suggest(under_way(self.study, number))
                self.tell(record)
            elif number not in self._open:
                self._open.append(number)
        self._open.sort()

    def _begin_again(self, record: TrialRecord) -> None:
        """A trial that the study lacks, or has as not begun; so are those that were to begin before it."""
        known = len(self._trials())
        if record.number >= known:
            self.study.enqueue_trial(record.proposed, user_attrs={SEED_ATTRIBUTE: record.seed})
        while self._trial(record.number).state == TrialState.WAITING:
            self._open.append(self._suggest(self.study.ask()).number)

    def _leave_open(self, number: int) -> None:
        self._open = [other for other in self._open if other != number]

    def leave_open(self, numbers: Collection[int]) -> None:
        """These are under way, and somebody else hands them out."""
        self._open = [number for number in self._open if number not in numbers]

    @property
    def num_finished(self) -> int:
        """Trials that are over, in the ledger too."""
        return sum(trial.state.is_finished() and trial.number not in self._past for trial in self._trials())

    @property
    def num_known(self) -> int:
        """Trials that are over, under way or enqueued."""
        return len(self._trials())

    def _trials(self, *states: TrialState) -> list[optuna.trial.FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    def _trial(self, number: int) -> optuna.trial.FrozenTrial:
        return self._trials()[number]

    def _enqueue(self, defaults: Mapping[str, Any]) -> None:
        """What is known from the start: every point of a grid, or the documented defaults.

        A driver that was killed here has left the first points of the grid, whose order is always the same.
        """
        known = len(self._trials())
        if self.sweep.sampler == "grid":
            points = enumerate(enumerate_space(self.sweep))
            for seed, (place, point) in list(product(self.sweep.seeds, points))[known:]:
                self.study.enqueue_trial(point, user_attrs={SEED_ATTRIBUTE: seed, POINT_ATTRIBUTE: place})
        elif not known and self.sweep.defaults_first and (point := default_point(self.sweep, defaults)):
            self.study.enqueue_trial(point)


class Host(Protocol):
    """What the searcher needs from the driver."""

    def propose(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's Tune config; None where it has to wait for others, FINISHED where there is none."""

    def trial_over(self, trial_id: str, failed: bool) -> None:
        """Tune is done with a trial."""


class StudySearcher(Searcher):
    """Ray Tune asks here for trials and tells here when one is over; the driver does both.

    `at_a_time`: how many may be under way, which changes where machines join and leave. No trial is proposed before
    there is a place for it.
    """

    def __init__(self, host: Host, limit: Callable[[], bool], at_a_time: Callable[[], int]) -> None:
        super().__init__(metric=None, mode=None)
        self._host, self._limit, self._at_a_time = host, limit, at_a_time
        self._under_way: set[str] = set()

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Tune's own limit, which is fixed, is left to this."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._limit():
            return Searcher.FINISHED
        if len(self._under_way) >= self._at_a_time():
            return None
        given = self._host.propose(trial_id)
        if isinstance(given, dict):
            self._under_way.add(trial_id)
        return given

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: the driver's callback sees every report."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if trial_id in self._under_way:
            self._under_way.remove(trial_id)
            self._host.trial_over(trial_id, failed=error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study's journal and the ledger are the state."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a sweep is resumed from its journal and ledger")

    def __reduce__(self) -> tuple[Any, ...]:
        return _empty_searcher, ()


def _empty_searcher() -> Searcher:
    """What Ray pickles of a searcher into its own, unused snapshot."""
    return Searcher()


def _sampler(sweep: Sweep, number: int) -> optuna.samplers.BaseSampler:
    seed = (sweep.seeds[0] * 1_000_003 + number) % 2**32  # the largest that Optuna's samplers take
    if sweep.sampler == "nsgaii":
        return optuna.samplers.NSGAIISampler(seed=seed)
    if sweep.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)
