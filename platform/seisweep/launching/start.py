"""What `seisweep run`, `train` and `resume` do, whoever asks: from what was asked to how the sweep ended.

The command line parses words for it, `from_python.py` takes values; checks, messages and what happens are the same.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from search_spaces.sweep import LONGEST_NAME, NAME_PATTERN, Sweep, single_run
from seisweep.engine.outcome import Outcome
from seisweep.launching.endings import SweepInterrupt, interrupted_line
from seisweep.launching.reporting import with_report
from seisweep.launching.sending import Sent, send, send_resume
from seisweep.requested.sweep import narrow, next_name
from seisweep.screen.kept import watching_and_keeping
from seisweep.settings import in_a_job
from seisweep.settings.home import Home, NameTakenError
from seisweep.settings.overrides import Overrides
from seisweep.settings.profile import Profile, with_limits
from seisweep.settings.sent import sent_with
from seisweep.settings.which_profile import profile_by_default, profile_of
from seisweep.settings.which_store import Store, kept_store, store_by_default

if TYPE_CHECKING:
    from seisweep.launching.dry_run import LookAhead

Where = str | Path | Profile
"""A profile, or how it is named."""


class Brought(NamedTuple):
    """A sweep that was over, and is recorded on a server now too."""

    name: str
    uri: str


def run_sweep(
    sweep: str | Sweep,
    overrides: Overrides,
    profile: Where | None,
    *,
    fields: Mapping[str, Any],
    limits: Mapping[str, Any],
    name: str | None = None,
    note: str = "",
    concurrency: int | None = None,
    extend: int | None = None,
) -> Outcome | Sent:
    """Search: a sweep of trials, or so many trials more of one that exists. Raises ValueError before any work.

    `fields` of the sweep and `limits`, fields of the profile, are left as they are where they are None.
    """
    from search_spaces.named import named_sweep

    where = profile_of(profile or profile_by_default())
    chosen = narrow(sweep if isinstance(sweep, Sweep) else named_sweep(sweep), overrides, fields)
    if extend is None:
        return start(chosen, where, name=name, note=note, concurrency=concurrency, limits=limits)
    if name is None:
        raise ValueError("--extend adds trials to an existing sweep: give its --name (see `seisweep sweeps`)")
    if fields.get("samples") is not None or note:
        given = "--samples" if fields.get("samples") is not None else "--note"
        raise ValueError(f"--extend N adds N trials to the sweep as it is: leave out {given}")
    return go_on(name, profile, concurrency=concurrency, limits=limits, extend=extend, same_as=chosen)


def look_ahead(
    sweep: str | Sweep,
    overrides: Overrides,
    profile: Where | None,
    *,
    fields: Mapping[str, Any],
    limits: Mapping[str, Any],
    name: str | None = None,
    concurrency: int | None = None,
    extend: int | None = None,
) -> LookAhead:
    """What `run_sweep` would do. Starts nothing and writes nothing into the home. Raises ValueError as it would."""
    from search_spaces.named import named_sweep
    from seisweep.launching.dry_run import look

    if extend is not None:
        raise ValueError("--dry-run shows what a new sweep would do: leave out --extend")
    where = with_limits(profile_of(profile or profile_by_default()), limits)
    chosen = narrow(sweep if isinstance(sweep, Sweep) else named_sweep(sweep), overrides, fields)
    check_name(name)
    check_that_others_find_it(chosen)
    return look(chosen, where, Home.find(), name, concurrency)


def train_once(
    trainable: str,
    overrides: Overrides,
    profile: Where | None,
    *,
    fields: Mapping[str, Any],
    limits: Mapping[str, Any],
    name: str | None = None,
    note: str = "",
) -> Outcome | Sent:
    """One training, without a search. Raises ValueError before any work."""
    from search_spaces.named import objectives_of

    where = profile_of(profile or profile_by_default())
    if overrides.vary:
        key = next(iter(overrides.vary))
        raise ValueError(f"{key} has several values; train takes one, use `seisweep run` to search")
    chosen = narrow(single_run(trainable, {}, objectives_of(trainable)), overrides, fields)
    return start(chosen, where, name=name, note=note, limits=limits)


def resume_sweep(
    name: str, profile: Where | None, *, limits: Mapping[str, Any], concurrency: int | None, extend: int | None
) -> Outcome | Sent | Brought:
    """Go on with a sweep, with so many trials more; or, of one that is over, bring the record to the profile's server.
    Raises ValueError before any work."""
    if profile and not extend and (store := _only_lacks(name, Home.find(), profile_of(profile))) is not None:
        return _bring(name, Home.find(), store)
    return go_on(name, profile, concurrency=concurrency, limits=limits, extend=extend or 0)


def _only_lacks(name: str, home: Home, profile: Profile) -> Store | None:
    """The profile's server, where the sweep is over and recorded in its home alone: there is nothing to run, and who
    names a server wants it there."""
    if not profile.tracking_uri or name not in home.sweep_names or not kept_store(home, name).is_own:
        return None
    from seisweep.engine.launch import sweep_state

    store = store_by_default(home, profile)
    return store if not store.is_own and sweep_state(home, name) in ("finished", "failed") else None


def _bring(name: str, home: Home, store: Store) -> Brought:
    """The same as `seisweep merge NAME --to URI`."""
    from seisweep.archive.bringing import bring_sweep

    say = partial(print, file=sys.stderr)
    say(f"{name} is over: nothing is left to run; it is copied, as by `seisweep merge {name} --to {store.uri}`")
    brought = bring_sweep(name, home, store, say)
    say(f"{brought.trials} trials, {brought.num_written} runs written; in the home {name} stays as it is")
    return Brought(name, store.uri)


def go_on(
    name: str,
    profile: Where | None,
    *,
    concurrency: int | None = None,
    limits: Mapping[str, Any] | None = None,
    extend: int = 0,
    same_as: Sweep | None = None,
) -> Outcome | Sent:
    """Resume a sweep, where it was launched or on a profile, watched here."""
    home = Home.find()
    where = profile_of(profile) if profile else None
    if where is None and not home.sweep_file(name).is_file():
        where = sent_with(home, name)
    if where is not None and where.submit_to:
        return send_resume(name, with_limits(where, limits or {}), home)
    return _go_on(name, where, home, limits=limits, concurrency=concurrency, extend=extend, same_as=same_as)


def _go_on(
    name: str,
    where: Profile | None,
    home: Home,
    *,
    limits: Mapping[str, Any] | None,
    concurrency: int | None,
    extend: int = 0,
    same_as: Sweep | None = None,
) -> Outcome:
    from seisweep.engine import launch

    with _named_when_interrupted(name, home), watching_and_keeping(home) as watch:
        outcome = launch.resume(
            name,
            where,
            home,
            limits=limits,
            concurrency=concurrency,
            extend=extend,
            same_as=same_as,
            watch=watch,
        )
    return with_report(outcome)


def check_name(name: str | None) -> None:
    """What was given can be a sweep's name. Raises ValueError."""
    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"--name {name}: a name is letters, digits, dots, dashes and underscores, as distillation-1")
    if name is not None and len(name) > LONGEST_NAME:
        raise ValueError(f"--name {name[:40]}... has {len(name)} characters: a name has at most {LONGEST_NAME}")


def start(
    sweep: Sweep,
    profile: Where,
    *,
    name: str | None = None,
    note: str = "",
    concurrency: int | None = None,
    limits: Mapping[str, Any] | None = None,
    store: Store | None = None,
) -> Outcome | Sent:
    """Launch a sweep on a profile, watched here, or as a job of the profile's cluster. `limits` are fields of the
    profile, `store` where it is recorded, if that is not for profile and environment to say."""
    home = Home.find()
    where = with_limits(profile_of(profile), limits or {})
    check_name(name)
    check_that_others_find_it(sweep)
    if where.submit_to:
        return send(sweep, where, home, name, note, store)
    if name is not None and in_a_job.is_again() and home.sweep_file(name).is_file():
        return _go_on(name, where, home, limits=limits, concurrency=concurrency)  # an earlier job has begun it
    from seisweep.engine import launch

    refused: list[str] = []
    while True:
        taken = [] if name else _names_of_others(home, store or store_by_default(home, where))
        chosen = name or next_name(home, sweep.name, [*taken, *refused])
        check_name(chosen)
        try:
            with _named_when_interrupted(chosen, home), watching_and_keeping(home) as watch:
                outcome = launch.launch(
                    sweep, where, home, name=chosen, note=note, concurrency=concurrency, store=store, watch=watch
                )
            return with_report(outcome)
        except NameTakenError:  # by another launch of the same moment, perhaps from another home
            if name is not None:
                raise
            refused.append(chosen)


@contextlib.contextmanager
def _named_when_interrupted(name: str, home: Home) -> Iterator[None]:
    """An interrupt that the engine could not wait for says which sweep it has left, if that has begun."""
    try:
        yield
    except KeyboardInterrupt:
        if home.sweep_file(name).is_file():
            raise SweepInterrupt(name, interrupted_line(name)) from None
        raise


def check_that_others_find_it(sweep: Sweep) -> None:
    """What trains and what varies lies in modules. Raises ValueError."""
    for what, path in (("trainable", sweep.trainable), ("space", sweep.space or "")):
        module, _, attribute = path.partition(":")
        if module == "__main__":
            raise ValueError(
                f"the {what} {attribute} is defined in this notebook or script, where neither the processes of trials "
                f"nor a later resume find it: write it into a module (a cell that begins with %%writefile "
                f"my_{what}.py) and name it as my_{what}:{attribute}"
            )


def _names_of_others(home: Home, store: Store) -> list[str]:
    """Names that a store has, perhaps from other homes; where it does not answer, launching says so."""
    from seisweep.results.loading import names_in

    with contextlib.suppress(ValueError):
        return names_in(store, home)
    return []
