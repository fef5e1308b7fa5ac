"""`seisweep run`, `train` and `resume`: what starts work."""

from __future__ import annotations

from typing import Annotated, Any

import typer

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
)
from seisweep.engine.outcome import Outcome
from seisweep.launching.fields import limit_fields, resource_fields
from seisweep.launching.sending import Sent
from seisweep.launching.start import Brought, look_ahead, resume_sweep, run_sweep, train_once
from seisweep.requested.sweep import SEEDS, parse_duration, parse_seeds
from seisweep.settings.overrides import parse_overrides


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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show space, first trials, sizes and time; start and write nothing.")
    ] = False,
) -> Outcome | int:
    """Search: run a sweep of trials."""
    fields = {
        "samples": samples,
        "seeds": parse_seeds(seed) if seed else None,
        "sampler": sampler,
        "scheduler": scheduler,
        "time_budget_s": parse_duration(time_budget) if time_budget else None,
        **resource_fields(workers, cpus, gpus, memory),
    }
    asked: dict[str, Any] = {
        "fields": fields,
        "limits": _limits(retry_oom, report_timeout, disk_budget),
        "name": name,
        "concurrency": concurrency,
        "extend": extend,
    }
    overrides = parse_overrides(settings or [])
    if dry_run:
        from seisweep.commands.dry_run import show

        show(look_ahead(sweep, overrides, profile, **asked))
        return 0
    return finish(run_sweep(sweep, overrides, profile, note=note, **asked))


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
    fields = {"seeds": None if seed is None else [seed], **resource_fields(workers, cpus, gpus, memory)}
    limits = _limits(retry_oom, report_timeout, disk_budget)
    overrides = parse_overrides(settings or [])
    return finish(train_once(trainable, overrides, profile, fields=fields, limits=limits, name=name, note=note))


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
    return finish(resume_sweep(name, profile, limits=limits, concurrency=concurrency, extend=extend))


def _limits(retry_oom: bool | None, report_timeout: str | None, disk_budget_gb: float | None) -> dict[str, Any]:
    """Fields of the profile; None where the profile's own holds."""
    timeout_s = None if report_timeout is None else 0 if report_timeout == "0" else parse_duration(report_timeout)
    return limit_fields(retry_oom, timeout_s, disk_budget_gb)


def finish(ended: Outcome | Sent | Brought) -> Outcome | int:
    """Print how it ended; the command line makes an exit code of it. Of a job that is one, and all is said."""
    if isinstance(ended, Sent):
        return ended.exit_code
    if isinstance(ended, Brought):
        return 0
    from seisweep.screen.ending import show

    show(ended)
    return ended
