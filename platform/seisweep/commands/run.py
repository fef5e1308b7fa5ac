"""`seisweep run`, `train` and `resume`: what starts work."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import typer

from search_spaces.sweep import LONGEST_NAME, NAME_PATTERN, Sweep, single_run
from seisweep.commands.options import (
    Cpus,
    DiskBudget,
    Extend,
    Gpus,
    Memory,
    Name,
    Note,
    ProfileName,
    ReportTimeout,
    RetryOom,
    Settings,
    Workers,
    profile_by_default,
    profile_of,
)
from seisweep.engine.outcome import Outcome
from seisweep.engine.sweep_folder import NameTakenError
from seisweep.requested.sweep import SEEDS, narrow, next_name, parse_duration, parse_seeds
from seisweep.screen.kept import watching_and_keeping
from seisweep.settings import in_a_job
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides, parse_overrides
from seisweep.settings.profile import Profile, with_limits
from seisweep.settings.sent import sent_with
from seisweep.settings.which_store import Store, kept_store, store_by_default


def run(
    sweep: Annotated[str, typer.Argument(help="A named sweep (see `seisweep sweeps`) or module:function.")],
    settings: Settings = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Number of trials.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most trials to run at a time.")] = None,
    extend: Extend = None,
    profile: Annotated[
        str | None,
        typer.Option(help="Where it runs: local, cluster, or a TOML file; default SEISWEEP_PROFILE, else local."),
    ] = None,
    name: Name = None,
    note: Note = "",
    seed: Annotated[str | None, typer.Option(help="Seed; for a grid also several, as 0,1,2.")] = None,
    sampler: Annotated[str | None, typer.Option(help="How settings are chosen: tpe, random, nsgaii, grid.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="How weak trials are stopped early: asha, hyperband, none; or pbt (population based)."),
    ] = None,
    time_budget: Annotated[str | None, typer.Option(help="Stop the sweep after this time, as 90s, 30m or 2h.")] = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = None,
    retry_oom: RetryOom = None,
    report_timeout: ReportTimeout = None,
    disk_budget: DiskBudget = None,
) -> Outcome | int:
    """Search: run a sweep of trials."""
    from search_spaces.named import named_sweep

    where = profile_of(profile or profile_by_default())
    changes = {
        "samples": samples,
        "seeds": parse_seeds(seed) if seed else None,
        "sampler": sampler,
        "scheduler": scheduler,
        "time_budget_s": parse_duration(time_budget) if time_budget else None,
        **_resources(workers, cpus, gpus, memory),
    }
    limits = _limits(retry_oom, report_timeout, disk_budget)
    chosen = narrow(named_sweep(sweep), parse_overrides(settings or []), changes)
    if extend is None:
        return finish(start(chosen, where, name=name, note=note, concurrency=concurrency, limits=limits))
    if name is None:
        raise ValueError("--extend adds trials to a sweep that exists: give its --name (see `seisweep sweeps`)")
    if samples is not None or note:
        given = "--samples" if samples is not None else "--note"
        raise ValueError(f"--extend N adds N trials to the sweep as it is: leave out {given}")
    return finish(go_on(name, profile, concurrency=concurrency, limits=limits, extend=extend, same_as=chosen))


def train(
    trainable: Annotated[
        str, typer.Argument(help="distillation, picking, pretraining, finetuning, or your own module:function.")
    ],
    settings: Settings = None,
    profile: ProfileName = "local",
    name: Name = None,
    note: Note = "",
    seed: Annotated[int | None, typer.Option(min=0, max=SEEDS - 1, help="Seed.")] = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = None,
    retry_oom: RetryOom = None,
    report_timeout: ReportTimeout = None,
    disk_budget: DiskBudget = None,
) -> Outcome | int:
    """Train once, without a search."""
    from search_spaces.named import objectives_of

    where = profile_of(profile)
    base, vary = parse_overrides(settings or [])
    if vary:
        key = next(iter(vary))
        raise ValueError(f"{key} has several values; train takes one, `seisweep run` searches")
    changes = {"seeds": None if seed is None else [seed], **_resources(workers, cpus, gpus, memory)}
    chosen = narrow(single_run(trainable, {}, objectives_of(trainable)), Overrides(base, vary), changes)
    limits = _limits(retry_oom, report_timeout, disk_budget)
    return finish(start(chosen, where, name=name, note=note, limits=limits))


def resume(
    name: Annotated[str, typer.Argument(help="A sweep that was interrupted (see `seisweep sweeps`).")],
    profile: Annotated[str | None, typer.Option(help="Where it goes on; default where it was launched.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most trials to run at a time.")] = None,
    retry_oom: RetryOom = None,
    report_timeout: ReportTimeout = None,
    disk_budget: DiskBudget = None,
    extend: Extend = None,
) -> Outcome | int:
    """Go on with a sweep that was interrupted: same search, same checkpoints, same record. Or add trials to one."""
    limits = _limits(retry_oom, report_timeout, disk_budget)
    if profile and not extend and (store := _only_lacks(name, Home.find(), profile_of(profile))) is not None:
        return _bring(name, Home.find(), store)
    return finish(go_on(name, profile, concurrency=concurrency, limits=limits, extend=extend or 0))


def _only_lacks(name: str, home: Home, profile: Profile) -> Store | None:
    """The profile's server, where the sweep is over and recorded in its home alone: there is nothing to run, and who
    names a server wants it there."""
    if not profile.tracking_uri or name not in home.sweep_names or not kept_store(home, name).is_own:
        return None
    from seisweep.engine.launch import sweep_state

    store = store_by_default(home, profile)
    return store if not store.is_own and sweep_state(home, name) in ("finished", "failed") else None


def _bring(name: str, home: Home, store: Store) -> int:
    """The same as `seisweep merge NAME --to URI`."""
    from seisweep.archive.bringing import bring_sweep

    say = partial(print, file=sys.stderr)
    say(f"{name} is over, there is nothing left to run: to {store.uri}, as `seisweep merge {name} --to {store.uri}`")
    brought = bring_sweep(name, home, store, say)
    say(f"{brought.trials} trials, {brought.num_written} runs written; in the home {name} stays as it is")
    return 0


def go_on(
    name: str,
    profile: str | None,
    *,
    concurrency: int | None = None,
    limits: Mapping[str, Any] | None = None,
    extend: int = 0,
    same_as: Sweep | None = None,
) -> Outcome | int:
    """Resume a sweep, where it was launched or on a profile by name, watched in this terminal."""
    home = Home.find()
    where = profile_of(profile) if profile else None
    from seisweep.commands import jobs

    if where is None and not home.sweep_file(name).is_file():
        where = sent_with(home, name)
    if where is not None and where.submit_to:
        return jobs.send_resume(name, where, home)
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

    with watching_and_keeping(home) as watch:
        return launch.resume(
            name,
            where,
            home,
            limits=limits,
            concurrency=concurrency,
            extend=extend,
            same_as=same_as,
            watch=watch,
        )


def _resources(
    workers: int | None, cpus: float | None, gpus: float | None, memory_gb: float | None
) -> dict[str, float | None]:
    return {
        "workers": workers,
        "cpus_per_worker": cpus,
        "gpus_per_worker": gpus,
        "memory_gb_per_worker": memory_gb,
    }


def _limits(retry_oom: bool | None, report_timeout: str | None, disk_budget_gb: float | None) -> dict[str, Any]:
    """Fields of the profile; None where the profile's own holds."""
    timeout_s = None if report_timeout is None else 0 if report_timeout == "0" else parse_duration(report_timeout)
    return {"retry_oom": retry_oom, "report_timeout_s": timeout_s, "disk_budget_gb": disk_budget_gb}


def check_name(name: str | None) -> None:
    """What was given can be a sweep's name. Raises ValueError."""
    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"--name {name}: a name is letters, digits, dots, dashes and underscores, as distillation-1")
    if name is not None and len(name) > LONGEST_NAME:
        raise ValueError(f"--name {name[:40]}... has {len(name)} characters: a name has at most {LONGEST_NAME}")


def start(
    sweep: Sweep,
    profile: str | Profile,
    *,
    name: str | None = None,
    note: str = "",
    concurrency: int | None = None,
    limits: Mapping[str, Any] | None = None,
    store: Store | None = None,
) -> Outcome | int:
    """Launch a sweep on a profile, watched in this terminal, or as a job of the profile's cluster. `limits` are fields
    of the profile, `store` where it is recorded, if that is not for profile and environment to say."""
    home = Home.find()
    where = with_limits(profile_of(profile) if isinstance(profile, str) else profile, limits or {})
    check_name(name)
    if where.submit_to:
        from seisweep.commands import jobs

        return jobs.send(sweep, where, home, name, note, store)
    if name is not None and in_a_job.is_again() and home.sweep_file(name).is_file():
        return _go_on(name, where, home, limits=limits, concurrency=concurrency)  # an earlier job has begun it
    from seisweep.engine import launch

    refused: list[str] = []
    while True:
        taken = [] if name else _names_of_others(home, store or store_by_default(home, where))
        chosen = name or next_name(home, sweep.name, [*taken, *refused])
        check_name(chosen)
        try:
            with watching_and_keeping(home) as watch:
                return launch.launch(
                    sweep, where, home, name=chosen, note=note, concurrency=concurrency, store=store, watch=watch
                )
        except NameTakenError:  # by another launch of the same moment, perhaps from another home
            if name is not None:
                raise
            refused.append(chosen)


def _names_of_others(home: Home, store: Store) -> list[str]:
    """Names that a store has, perhaps from other homes; where it does not answer, launching says so."""
    from seisweep.results.loading import names_in

    with contextlib.suppress(ValueError):
        return names_in(store, home)
    return []


def finish(outcome: Outcome | int) -> Outcome | int:
    """Print how it ended; the command line makes an exit code of it. Of a job that is one, and all is said."""
    if isinstance(outcome, int):
        return outcome
    from seisweep.screen.ending import show

    show(outcome)
    return outcome
