"""The study asks and tells by the sweep's rules, and goes on after a crash as if nothing had happened."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState
from ray.tune.search import ConcurrencyLimiter
from seisweep.engine.search import STUDY, Study, StudySearcher
from seisweep.record.ledger import Ledger, TrialRecord
from toy_trainable import space as toy_sweep_space


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "study.journal"


def ended(number, state="done", **metrics):
    named = {name.replace("_", "/"): value for name, value in metrics.items()}
    return TrialRecord(number, {}, 0, 0, state=state, epoch=7, metrics=named)


def states(journal):
    storage = optuna.storages.journal.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    return [trial.state for trial in optuna.load_study(study_name="sweep", storage=storage).trials]


def test_the_documented_defaults_come_first(toy_sweep, journal):
    study = Study(toy_sweep(), journal, {"x": 0.5, "size": 1})
    assert study.ask().params == {"x": 0.5}
    assert study.ask().params != {"x": 0.5}


def test_defaults_outside_a_narrowed_range_do_not(toy_sweep, journal):
    sweep = toy_sweep(vary={"x": {"low": 0.6, "high": 0.7}})
    assert 0.6 <= Study(sweep, journal, {"x": 0.5}).ask().params["x"] <= 0.7


def test_a_grid_runs_every_point_with_every_seed_once(toy_sweep, journal):
    sweep = toy_sweep(space=None, vary={"x": [0.1, 0.2], "size": [1, 2]}, sampler="grid", seeds=[4, 5])
    study = Study(sweep, journal, {})
    assert study.num_known == 8
    asked = [study.ask() for _ in range(8)]
    points = [(trial.params["x"], trial.params["size"], study.seed_of(trial)) for trial in asked]
    assert len(set(points)) == 8
    assert {seed for _, _, seed in points} == {4, 5}


def test_a_grid_is_completed_where_its_driver_was_killed(toy_sweep, journal, monkeypatch):
    sweep = toy_sweep(space=None, vary={"x": [0.1, 0.2], "size": [1, 2]}, sampler="grid", seeds=[4, 5])
    enqueue = optuna.Study.enqueue_trial

    def until_killed(study, *given, **named):
        if len(study.get_trials()) == 3:
            raise KeyboardInterrupt
        enqueue(study, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "enqueue_trial", until_killed)
        with pytest.raises(KeyboardInterrupt):
            Study(sweep, journal, {})
    for _ in range(2):  # resuming once more adds nothing
        study = Study(sweep, journal, {})
        assert study.num_known == 8
    asked = [study.ask() for _ in range(8)]
    assert len({(trial.params["x"], trial.params["size"], study.seed_of(trial)) for trial in asked}) == 8


def test_a_choice_may_be_a_list_and_survives_the_journal(toy_sweep, journal, recwarn):
    sweep = toy_sweep(space=None, vary={"label": [["a"], ["a", "b"]]}, sampler="grid", scheduler="none")
    assert Study(sweep, journal, {}).ask().params == {"label": ["a"]}
    again = Study(sweep, journal, {})
    assert [again.ask().params for _ in range(2)] == [{"label": ["a"]}, {"label": ["a", "b"]}]
    assert not [warning for warning in recwarn if issubclass(warning.category, UserWarning)]


def test_listed_points_run_with_every_seed_and_go_on_after_a_crash(toy_sweep, journal):
    points = [{"x": 0.1, "label": "a"}, {"size": 1, "x": 0.1}, {"x": 0.3, "size": True}]
    sweep = toy_sweep(space=None, points=points, sampler="grid", seeds=[4, 5])
    first = Study(sweep, journal, {})
    asked = [first.ask() for _ in range(4)]
    first.tell(ended(0, dev_f1=0.5))
    again = Study(sweep, journal, {})
    rest = [again.ask() for _ in range(5)]
    assert [trial.number for trial in rest] == [1, 2, 3, 4, 5]
    for trial in [*asked, *rest]:
        assert trial.params == points[trial.number % 3]
        assert again.seed_of(trial) == 4 + trial.number // 3
    assert again.num_known == 6


@pytest.mark.parametrize("defaults", [{}, {"x": 0.5}])
def test_a_trial_interrupted_before_its_first_suggestion_gets_the_same(toy_sweep, tmp_path, monkeypatch, defaults):
    whole = Study(toy_sweep(), tmp_path / "whole", defaults)
    interrupted = Study(toy_sweep(), tmp_path / "interrupted", defaults)
    monkeypatch.setattr(interrupted, "space", lambda trial: None)
    for _ in range(2):
        interrupted.ask()
    again = Study(toy_sweep(), tmp_path / "interrupted", defaults)
    assert [again.ask().params for _ in range(2)] == [whole.ask().params for _ in range(2)]


def test_an_interrupted_trial_is_asked_for_again(toy_sweep, journal):
    before = Study(toy_sweep(), journal, {"x": 0.5})
    first, second = before.ask(), before.ask()
    before.tell(ended(first.number, dev_f1=0.5))
    after = Study(toy_sweep(), journal, {"x": 0.5})
    again = after.ask()
    assert (again.number, again.params) == (second.number, second.params)
    assert after.ask().number == 2


def test_proposals_depend_on_the_history_alone(toy_sweep, tmp_path):
    def proposals(journal: Path, reopen: bool) -> list[float]:
        study, asked = Study(toy_sweep(), journal, {"x": 0.5}), []
        for number in range(14):
            if reopen:
                study = Study(toy_sweep(), journal, {"x": 0.5})
            x = study.ask().params["x"]
            asked.append(x)
            study.tell(ended(number, dev_f1=-((x - 0.3) ** 2)))
        return asked

    assert proposals(tmp_path / "one", reopen=False) == proposals(tmp_path / "two", reopen=True)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (ended(0, dev_f1=0.5), TrialState.COMPLETE),
        (ended(0, "stopped", dev_f1=0.5), TrialState.PRUNED),
        (ended(0, "failed", dev_f1=0.5), TrialState.FAIL),
        (ended(0, dev_f1=math.nan), TrialState.FAIL),
        (ended(0, dev_f1=math.inf), TrialState.FAIL),
        (ended(0, loss=0.5), TrialState.FAIL),
    ],
)
def test_how_a_trial_ended(toy_sweep, journal, record, expected):
    study = Study(toy_sweep(), journal, {})
    study.ask()
    study.tell(record)
    study.tell(record)  # once more, as after a crash: nothing changes
    assert states(journal) == [expected]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (ended(0, dev_f1=0.5, int8_bytes=9.0), TrialState.COMPLETE),
        (ended(0, "stopped", dev_f1=0.5, int8_bytes=9.0), TrialState.COMPLETE),
        (ended(0, dev_f1=0.5), TrialState.FAIL),
        (ended(0, dev_f1=0.5, int8_bytes=math.nan), TrialState.FAIL),
    ],
)
def test_several_objectives(toy_sweep, journal, record, expected):
    study = Study(toy_sweep(objectives={"dev/f1": "max", "int8/bytes": "min"}), journal, {})
    study.ask()
    study.tell(record)
    assert states(journal) == [expected]
    assert [direction.name for direction in study.study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_a_stopped_trial_keeps_its_last_value(toy_sweep, journal):
    study = Study(toy_sweep(), journal, {})
    study.ask()
    study.tell(ended(0, "stopped", dev_f1=0.25))
    assert study.study.trials[0].intermediate_values == {7: 0.25}
    assert study.study.trials[0].value == 0.25


def test_a_journal_with_a_torn_line_and_a_stale_lock_is_read(toy_sweep, journal):
    Study(toy_sweep(), journal, {}).ask()
    with journal.open("a") as file:
        file.write('{"op_code": 5, "wor')
    journal.with_name("study.journal.lock").symlink_to("nowhere")
    study = Study(toy_sweep(), journal, {})
    assert study.ask().number == 0
    assert study.ask().number == 1


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsgaii"])
@pytest.mark.parametrize("objectives", [{"dev/f1": "max"}, {"dev/f1": "max", "int8/bytes": "min"}])
def test_every_sampler_proposes_without_a_word(toy_sweep, journal, recwarn, sampler, objectives):
    study = Study(toy_sweep(sampler=sampler, objectives=objectives), journal, {"x": 0.5})
    for number in range(15):
        x = study.ask().params["x"]
        study.tell(ended(number, "stopped" if number % 4 == 1 else "done", dev_f1=x, int8_bytes=1.0 / (x + 1)))
    assert study.num_finished == 15
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsgaii"])
def test_every_seed_that_can_be_given_draws(toy_sweep, tmp_path, sampler):
    drawn = set()
    for seed in (0, 4294, 4295, 20261125, 2**32 - 1):
        study = Study(toy_sweep(sampler=sampler, seeds=[seed]), tmp_path / str(seed), {})
        drawn.add(tuple(study.ask().params["x"] for _ in range(3)))
    assert len(drawn) == 5


def test_smaller_seeds_keep_their_draws(toy_sweep, journal):
    expected = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=4294 * 1_000_003, constant_liar=True))
    trial = expected.ask()
    toy_sweep_space(trial)
    assert Study(toy_sweep(seeds=[4294], defaults_first=False), journal, {}).ask().params == trial.params


def filled(path: Path, trials: list[tuple[str, dict[str, float]]]) -> Ledger:
    """A ledger with trials in these states, of these settings."""
    ledger = Ledger(path)
    for number, (state, params) in enumerate(trials):
        ledger.begin_trial(number, params, 0)
        if state != "running":
            ledger.report(number, {"epoch": 1, "dev/f1": 0.5})
            ledger.end_trial(number, state)
    return ledger


def test_a_study_that_lost_trials_gets_them_from_the_ledger(toy_sweep, journal):
    ledger = filled(journal.with_name("ledger"), [("done", {"x": 0.1}), ("running", {"x": 0.2})])
    study = Study(toy_sweep(), journal, {})
    study.reconcile(ledger)
    again = study.ask()
    assert (again.number, again.params) == (1, {"x": 0.2})
    assert study.ask().number == 2
    assert states(journal) == [TrialState.COMPLETE, TrialState.RUNNING, TrialState.RUNNING]


def test_a_trial_that_the_study_alone_knows_to_be_over_is_handed_out_again(toy_sweep, journal):
    study = Study(toy_sweep(), journal, {})
    proposed = [study.ask().params for _ in range(2)]
    study.tell(ended(0, dev_f1=0.5))
    ledger = filled(journal.with_name("ledger"), [("running", one) for one in proposed])
    again = Study(toy_sweep(), journal, {})
    again.reconcile(ledger)
    assert again.num_finished == 0
    assert [again.ask().number for _ in range(3)] == [0, 1, 2]
    ledger.end_trial(0, "done")
    again.tell(ledger.trials[0])
    assert again.num_finished == 1


def test_settings_that_the_journal_lost_are_those_of_the_ledger(toy_sweep, journal):
    study = Study(toy_sweep(vary={"x": {"low": 0.0, "high": 1.0}, "size": [1, 2, 3]}), journal, {})
    study.space = lambda trial: None  # killed before the first of them was on the disk
    study.ask()
    ledger = filled(journal.with_name("ledger"), [("running", {"x": 0.123, "size": 2})])
    again = Study(toy_sweep(vary={"x": {"low": 0.0, "high": 1.0}, "size": [1, 2, 3]}), journal, {})
    again.reconcile(ledger)
    assert again.ask().params == {"x": 0.123, "size": 2}


class Proposer:
    """A host that proposes and remembers how trials ended."""

    def __init__(self) -> None:
        self.over: list[str] = []

    def propose(self, trial_id: str) -> dict[str, str]:
        return {"trial": trial_id}

    def trial_over(self, trial_id: str, failed: bool) -> None:
        self.over.append(trial_id)


def test_so_many_trials_are_proposed_as_there_are_places_now():
    places = 1
    host = Proposer()
    searcher = StudySearcher(host, lambda: False, lambda: places)
    limiter = ConcurrencyLimiter(searcher, max_concurrent=1000)  # as Tune wraps it
    assert [bool(limiter.suggest(name)) for name in "ab"] == [True, False]
    places = 3
    assert [bool(limiter.suggest(name)) for name in "bcd"] == [True, True, False]
    places = 2
    limiter.on_trial_complete("a")
    assert limiter.suggest("d") is None
    limiter.on_trial_complete("b")
    limiter.on_trial_complete("b")
    assert limiter.suggest("d") == {"trial": "d"}
    assert host.over == ["a", "b"]


def test_the_journal_has_the_names_of_sweep_and_objectives(tmp_path, toy_sweep):
    """optuna-dashboard shows both; a journal of an earlier version, whose study is called `sweep`, goes on in that."""
    sweep = toy_sweep(objectives={"dev/f1": "max", "int8/bytes": "min"})
    for file, given, expected in (("new", ["toy-1", "toy-1"], "toy-1"), ("older", [STUDY, "toy-1"], "sweep")):
        for name in given:
            Study(sweep, tmp_path / file, {}, name)
        stored = optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(str(tmp_path / file))))
        assert (stored.study_name, stored.metric_names) == (expected, ["dev/f1", "int8/bytes"])
