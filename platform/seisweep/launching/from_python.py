"""Behind `seisweep.run`, `train` and `resume`: the commands of these names, with values for words, and results.

An error of the user is the ValueError that the command line prints as one line.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search_spaces.named import named_sweep
from search_spaces.sweep import Sweep
from seisweep import results
from seisweep.engine.outcome import Outcome
from seisweep.launching import command_line
from seisweep.launching.endings import SweepError, SweepInterrupt, interrupted_line
from seisweep.launching.python_values import as_words, overrides_of
from seisweep.launching.sending import Sent
from seisweep.launching.start import Brought, Where, resume_sweep, run_sweep, train_once
from seisweep.requested.trainable import SEED_KEY, Trainable
from seisweep.results.sweep_results import SweepResults
from seisweep.screen.ending import failures, left_out_line, unfinished
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides
from seisweep.settings.profile import Profile
from seisweep.settings.which_profile import profile_by_default, profile_of
from seisweep.settings.which_store import store_by_default

Ended = Outcome | Sent | Brought
Fields = Mapping[str, Any]
"""Fields of a sweep or of a profile; None: not given."""

Seed = int | Sequence[int] | None

OPTIONS = {
    "samples": "--samples={}",
    "sampler": "--sampler={}",
    "scheduler": "--scheduler={}",
    "grace_epochs": "--grace-epochs={}",
    "time_budget_s": "--time-budget={:f}s",
    "workers": "--workers={}",
    "cpus_per_worker": "--cpus={}",
    "gpus_per_worker": "--gpus={}",
    "memory_gb_per_worker": "--memory={}",
    "concurrency": "--concurrency={}",
    "extend": "--extend={}",
    "note": "--note={}",
}
"""How the command line has what is given here. What is a field of the profile goes to a cluster with that."""


def run(
    sweep: str | Sweep,
    settings: Mapping[str, Any] | None,
    seed: Seed,
    profile: Where | None,
    fields: Fields,
    limits: Fields,
    *,
    name: str | None,
    note: str,
    concurrency: int | None,
    extend: int | None,
) -> SweepResults:
    """See `seisweep.run`."""

    def ask() -> Ended:
        _check_whole_numbers(concurrency=concurrency, extend=extend)
        asked = sweep if isinstance(sweep, Sweep) else named_sweep(_text(sweep, "a sweep"))
        overrides = _overrides(settings, seed, asked.trainable)
        given = {**fields, "concurrency": concurrency, "extend": extend, "note": note}
        with _words_for_a_cluster(profile, "run", sweep, overrides, given):
            return run_sweep(
                asked,
                overrides,
                profile,
                fields=fields,
                limits=limits,
                name=name,
                note=note,
                concurrency=concurrency,
                extend=extend,
            )

    return _results_of(ask)


def train(
    trainable: str,
    settings: Mapping[str, Any] | None,
    seed: Seed,
    profile: Where | None,
    fields: Fields,
    limits: Fields,
    *,
    name: str | None,
    note: str,
) -> SweepResults:
    """See `seisweep.train`."""

    def ask() -> Ended:
        overrides = _overrides(settings, seed, _text(trainable, "a trainable"))
        with _words_for_a_cluster(profile, "train", trainable, overrides, {**fields, "note": note}):
            return train_once(trainable, overrides, profile, fields=fields, limits=limits, name=name, note=note)

    return _results_of(ask)


def resume(
    name: str, profile: Where | None, limits: Fields, *, concurrency: int | None, extend: int | None
) -> SweepResults:
    """See `seisweep.resume`."""

    def ask() -> Ended:
        _check_whole_numbers(concurrency=concurrency, extend=extend)
        words = ["resume", _text(name, "a sweep"), *_options({"concurrency": concurrency, "extend": extend})]
        with command_line.typed(words):
            return resume_sweep(name, profile, limits=limits, concurrency=concurrency, extend=extend)

    return _results_of(ask)


def _results_of(ask: Callable[[], Ended]) -> SweepResults:
    try:
        ended = ask()
    except ValueError as error:
        if os.environ.get("SEISWEEP_DEBUG"):
            raise
        raise error.with_traceback(None) from None  # the line says what is wrong, where in the engine says nothing
    if isinstance(ended, Brought):
        return results.load(ended.name, ended.uri)
    _check_sent(ended) if isinstance(ended, Sent) else _check_outcome(ended)
    try:
        return results.load_from(Home.find(), ended.name)
    except ValueError as error:
        raise SweepError(ended.name, f"{ended.name} is done, but its record cannot be read: {error}") from None


def _check_sent(sent: Sent) -> None:
    name, code = sent.name, sent.exit_code
    if sent.goes_on:
        raise SweepInterrupt(name, f"{name} goes on as a job of the cluster: `seisweep logs {name}` follows it")
    if code == 3:
        raise SweepError(name, f"{name} is done, but MLflow lacks some of it: {_resume(name)} brings it")
    if code == 2:
        raise SweepError(name, f"{name} has not begun: its job says above what is wrong")
    if code:
        raise SweepError(name, f"{name} has not finished, as its job says above; {_resume(name)} goes on with it")


def _check_outcome(outcome: Outcome) -> None:
    """Says what failed and was left out. Raises SweepError or SweepInterrupt where there is no finished sweep."""
    name, rows = outcome.name, outcome.rows
    for line in [*failures(rows), *unfinished(rows), *left_out_line(outcome.nodes_left_out)]:
        print(line, file=sys.stderr, flush=True)
    if outcome.state == "interrupted" and outcome.by_user:
        raise SweepInterrupt(name, interrupted_line(name))
    if outcome.state == "interrupted":
        raise SweepError(
            name, f"{name} was interrupted{f', {outcome.obstacle}' if outcome.obstacle else ''}, then: {_resume(name)}"
        )
    if outcome.state == "failed":
        which = f'none of its {len(rows)} trials has finished; seisweep.load("{name}").trials has their reasons'
        raise SweepError(name, f"{name} failed: {rows[0].reason if len(rows) == 1 else which}")
    if outcome.lacks_in_mlflow:
        lacks = f"MLflow lacks {outcome.lacks_in_mlflow}"
        raise SweepError(name, f"{name} is done, and {lacks}: {_resume(name)} brings it once the server answers")


def _resume(name: str) -> str:
    return f'seisweep.resume("{name}")'


def _overrides(settings: Mapping[str, Any] | None, seed: Seed, trainable: str) -> Overrides:
    base, vary = overrides_of(settings, Trainable.find(trainable).config_class)
    if seed is None:
        return Overrides(base, vary)
    if SEED_KEY in base or SEED_KEY in vary:
        raise ValueError("the seed is given twice, among the settings and as seed=...")
    seeds = overrides_of({SEED_KEY: list(seed) if isinstance(seed, Sequence) else seed}, None)
    return Overrides(base | seeds.base, vary | seeds.vary)


def _text(given: Any, what: str) -> str:
    if not isinstance(given, str):
        also = ", or as a search_spaces.sweep.Sweep" if what == "a sweep" else ""
        raise ValueError(f"{what} is given by its name or as module:function{also}, not as {type(given).__name__}")
    return given


def _check_whole_numbers(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} = {value!r} is not allowed: a whole number, at least 1")


def _words_for_a_cluster(
    profile: Where | None, command: str, what: str | Sweep, overrides: Overrides, options: Fields
) -> contextlib.AbstractContextManager[None]:
    """While it is open, the command line that does the same, where the profile sends it to a cluster. Raises
    ValueError where that cannot be, or nothing would come back."""
    where = profile_of(profile or profile_by_default())
    if not where.submit_to:
        return contextlib.nullcontext()
    if isinstance(what, Sweep):
        raise ValueError(
            f"a Sweep that was made here cannot be sent to a cluster: give the function that returns it, as "
            f"module:function of the working_dir of profile {where.name}"
        )
    _check_that_results_come_back(where)
    return command_line.typed([command, what, *as_words(overrides), *_options(options)])


def _check_that_results_come_back(where: Profile) -> None:
    if store_by_default(Home.find(), where).is_own and where.tracking_uri is None:
        raise ValueError(
            f"profile {where.name} sends jobs and names no MLflow server in tracking_uri: their results could not be "
            "read here; name one, or use the command line"
        )


def _options(given: Fields) -> list[str]:
    return [OPTIONS[name].format(value) for name, value in given.items() if value not in (None, "")]
