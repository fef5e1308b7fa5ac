"""`seisweep run`, `train` and `resume`: what starts work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from search_spaces.sweep import NAME_PATTERN, Sweep, single_run
from seisweep.config import Overrides, Profile, load_profile, parse_overrides, with_limits
from seisweep.home import Home
from seisweep.launch import NameTakenError
from seisweep.prepare import narrow, next_name, parse_duration, parse_seeds
from seisweep.progress import Outcome
from seisweep.watch import watching

Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Settings: loss.alpha=0.3 fixes a key, loss.alpha=0.2,0.5 or loss.alpha=0.2..0.5 narrows its search.",
        show_default=False,
    ),
]
ProfileName = Annotated[str, typer.Option("--profile", help="Where it runs: local, cluster, or a TOML file.")]
Name = Annotated[str | None, typer.Option("--name", help="Name of this launch; default the sweep's with a number.")]
Extend = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="N trials more for a sweep that is there, which goes on.")
]
Note = Annotated[str, typer.Option("--note", help="A line for the record: why this sweep.")]
Cpus = Annotated[float | None, typer.Option(help="Processor cores of a worker; default the profile's.")]
Gpus = Annotated[float | None, typer.Option(help="GPUs of a worker, 0.5 for half a one; default the profile's.")]
Memory = Annotated[float | None, typer.Option(help="Most memory of a worker in GB; default the profile's.")]
RetryOom = Annotated[
    bool | None,
    typer.Option("--retry-oom", help="Out of memory: go on with half the batch and twice the accumulation."),
]
ReportTimeout = Annotated[
    str | None, typer.Option(help="A trial without a report for 30m, 2h has hung and fails; 0: never.")
]
DiskBudget = Annotated[float | None, typer.Option(help="What the checkpoints of the sweep may take, in GB.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Ray Train workers of a trial; default the profile's.")]


def run(
    sweep: Annotated[str, typer.Argument(help="A named sweep (see `seisweep sweeps`) or module:function.")],
    settings: Settings = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Number of trials.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most trials at a time.")] = None,
    extend: Extend = None,
    profile: Annotated[
        str | None, typer.Option(help="Where it runs: local (default), cluster, or a TOML file.")
    ] = None,
    name: Name = None,
    note: Note = "",
    seed: Annotated[str | None, typer.Option(help="Seed, or several for a grid: 0,1,2.")] = None,
    sampler: Annotated[str | None, typer.Option(help="Who proposes: tpe, random, nsgaii, grid.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Who stops trials early: asha, hyperband, none; or pbt.")
    ] = None,
    time_budget: Annotated[str | None, typer.Option(help="Stop after 90s, 30m, 2h.")] = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = None,
    retry_oom: RetryOom = None,
    report_timeout: ReportTimeout = None,
    disk_budget: DiskBudget = None,
) -> Outcome:
    """Search: run a sweep of trials."""
    from search_spaces.named import named_sweep

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
        where = profile or "local"
        return finish(start(chosen, where, name=name, note=note, concurrency=concurrency, limits=limits))
    if name is None:
        raise ValueError("--extend adds trials to a sweep that is there: give its --name (see `seisweep sweeps`)")
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
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the run.")] = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = None,
    retry_oom: RetryOom = None,
    report_timeout: ReportTimeout = None,
    disk_budget: DiskBudget = None,
) -> Outcome:
    """Train once, without a search."""
    from search_spaces.named import objectives_of

    base, vary = parse_overrides(settings or [])
    if vary:
        key = next(iter(vary))
        raise ValueError(f"{key} has several values; train takes one, `seisweep run` searches")
    changes = {"seeds": None if seed is None else [seed], **_resources(workers, cpus, gpus, memory)}
    chosen = narrow(single_run(trainable, {}, objectives_of(trainable)), Overrides(base, vary), changes)
    limits = _limits(retry_oom, report_timeout, disk_budget)
    return finish(start(chosen, profile, name=name, note=note, limits=limits))


def resume(
    name: Annotated[str, typer.Argument(help="A sweep that was interrupted (see `seisweep sweeps`).")],
    profile: Annotated[str | None, typer.Option(help="Where it goes on; default where it was launched.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most trials at a time.")] = None,
    retry_oom: RetryOom = None,
    report_timeout: ReportTimeout = None,
    disk_budget: DiskBudget = None,
    extend: Extend = None,
) -> Outcome:
    """Go on with a sweep that was interrupted: same search, same checkpoints, same record. Or add trials to one."""
    limits = _limits(retry_oom, report_timeout, disk_budget)
    return finish(go_on(name, profile, concurrency=concurrency, limits=limits, extend=extend or 0))


def go_on(
    name: str,
    profile: str | None,
    *,
    concurrency: int | None = None,
    limits: Mapping[str, Any] | None = None,
    extend: int = 0,
    same_as: Sweep | None = None,
) -> Outcome:
    """Resume a sweep, where it was launched or on a profile by name, watched in this terminal."""
    home = Home.find()
    where = load_profile(profile, home.profiles_dir) if profile else None
    from seisweep import engine

    with watching() as watch:
        return engine.resume(
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


def start(
    sweep: Sweep,
    profile: str | Profile,
    *,
    name: str | None = None,
    note: str = "",
    concurrency: int | None = None,
    limits: Mapping[str, Any] | None = None,
) -> Outcome:
    """Launch a sweep on a profile, watched in this terminal. `limits` are fields of the profile."""
    home = Home.find()
    named = load_profile(profile, home.profiles_dir) if isinstance(profile, str) else profile
    where = with_limits(named, limits or {})
    from seisweep import engine

    check_name(name)
    while True:
        chosen = name or next_name(home, sweep.name)
        try:
            with watching() as watch:
                return engine.launch(sweep, where, home, name=chosen, note=note, concurrency=concurrency, watch=watch)
        except NameTakenError:  # by another launch of the same moment
            if name is not None:
                raise


def finish(outcome: Outcome) -> Outcome:
    """Print how it ended; the command line makes an exit code of it."""
    from seisweep.outcome import show

    show(outcome)
    return outcome
