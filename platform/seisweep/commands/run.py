"""`seisweep run`, `train` and `resume`: what starts work."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from search_spaces.sweep import Sweep, single_run
from seisweep.commands.options import (
    ConfigFile,
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
    SettingsFrom,
    Workers,
)
from seisweep.engine.outcome import Outcome
from seisweep.launching import command_line
from seisweep.launching.fields import limit_fields, resource_fields
from seisweep.launching.python_values import as_words
from seisweep.launching.sending import Sent
from seisweep.launching.start import Brought, look_ahead, resume_sweep, run_sweep, train_once
from seisweep.requested.sweep import SEEDS, narrow, parse_duration, parse_seeds
from seisweep.requested.trainable import Trainable
from seisweep.screen.asking import ask, can_ask
from seisweep.screen.terminal import wrapped
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides, parse_overrides
from seisweep.settings.profile import Profile
from seisweep.settings.which_profile import profile_by_default, profile_of


def run(
    sweep: Annotated[str, typer.Argument(help="A named sweep (see `seisweep sweeps`) or module:function.")],
    settings: Settings = None,
    settings_from: SettingsFrom = None,
    config: ConfigFile = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Number of trials.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most trials to run at a time.")] = None,
    extend: Extend = None,
    profile: Annotated[
        str | None,
        typer.Option(help="Where trials run: local, cluster, or a TOML file; default SEISWEEP_PROFILE, else local."),
    ] = None,
    name: Name = None,
    note: Note = "",
    seed: Annotated[str | None, typer.Option(help="Seed; for a grid also several, as 0,1,2.")] = None,
    sampler: Annotated[str | None, typer.Option(help="How settings are chosen: tpe, random, nsgaii, grid.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="How weak trials are stopped early: asha, hyperband, none; or pbt (population based)."),
    ] = None,
    grace_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs that every trial gets before it may be stopped early.")
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
        bool,
        typer.Option(
            "--dry-run",
            help="Show what is searched, the first trials, model sizes and time; start nothing, write nothing.",
        ),
    ] = False,
) -> Outcome | int:
    """Run a sweep: a search over many trials."""
    fields = {
        "samples": samples,
        "seeds": parse_seeds(seed) if seed else None,
        "sampler": sampler,
        "scheduler": scheduler,
        "grace_epochs": grace_epochs,
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
    if (begun := settings_from or config) and extend is not None:
        option = "--settings-from" if settings_from else "--config"
        raise ValueError(f"--extend adds trials to the sweep as it is: leave out {option} {begun}")
    overrides = parse_overrides(settings or [])
    from search_spaces.named import named_sweep

    where = profile_of(profile or profile_by_default())  # the user's own code may lie in its working_dir
    chosen = named_sweep(sweep)
    overrides, typed = _begun_with(settings_from, config, chosen, overrides, where, fields)
    if dry_run:
        from seisweep.commands.dry_run import show

        show(look_ahead(sweep, overrides, profile, **asked))
        return 0
    if extend is None and not note and (note := _why(chosen, overrides, fields)):
        typed = command_line.instead_of(typed, "--note", [f"--note={note}"])
    with command_line.typed(typed):
        return finish(run_sweep(sweep, overrides, profile, note=note, **asked))


def train(
    trainable: Annotated[
        str, typer.Argument(help="distillation, picking, pretraining, finetuning, or your own module:function.")
    ],
    settings: Settings = None,
    settings_from: SettingsFrom = None,
    config: ConfigFile = None,
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
    """Run a single training, without a search."""
    fields = {"seeds": None if seed is None else [seed], **resource_fields(workers, cpus, gpus, memory)}
    limits = _limits(retry_oom, report_timeout, disk_budget)
    overrides = parse_overrides(settings or [])
    where = profile_of(profile)  # the user's own code may lie in its working_dir
    chosen = single_run(trainable, {})
    overrides, typed = _begun_with(settings_from, config, chosen, overrides, where, fields)
    if not note and (note := _why(chosen, overrides, fields)):
        typed = command_line.instead_of(typed, "--note", [f"--note={note}"])
    with command_line.typed(typed):
        return finish(train_once(trainable, overrides, profile, fields=fields, limits=limits, name=name, note=note))


def resume(
    name: Annotated[str, typer.Argument(help="A sweep that was interrupted (see `seisweep sweeps`).")],
    profile: Annotated[str | None, typer.Option(help="Where the sweep goes on; default where it was launched.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most trials to run at a time.")] = None,
    retry_oom: RetryOom = None,
    report_timeout: ReportTimeout = None,
    disk_budget: DiskBudget = None,
    extend: Extend = None,
) -> Outcome | int:
    """Go on with an interrupted sweep, with the same search, checkpoints and record; or add trials to a sweep."""
    limits = _limits(retry_oom, report_timeout, disk_budget)
    return finish(resume_sweep(name, profile, limits=limits, concurrency=concurrency, extend=extend))


def _begun_with(
    trial: str | None, config: str | None, chosen: Sweep, given: Overrides, where: Profile, fields: dict[str, Any]
) -> tuple[Overrides, Sequence[str]]:
    """What was asked for over what it begins with, and the command line that says it; `fields` get what a file says of
    the GPU. Raises ValueError."""
    if trial and config:
        raise ValueError("--settings-from and --config are both given: begin with one of them")
    if trial:
        return _with_settings_of(trial, chosen, given, where)
    if not config:
        return given, command_line.words()
    from seisweep.launching.document_config import OPTION, with_config

    read = with_config(config, chosen, given)
    for line in read.words:
        print(wrapped(line, sys.stderr), file=sys.stderr)
    says_gpus = read.gpus is not None and fields["gpus_per_worker"] is None
    if says_gpus:
        fields["gpus_per_worker"] = read.gpus
    others = [f"--gpus={read.gpus:g}"] if says_gpus else []
    words = as_words(Overrides(read.settings, {}))
    return read.overrides, command_line.instead_of(command_line.words(), OPTION, others, words)


def _with_settings_of(trial: str, chosen: Sweep, given: Overrides, where: Profile) -> tuple[Overrides, Sequence[str]]:
    """What was asked for over the settings of a trial, and the command line that says the same without it: another
    machine may not have that trial. Raises ValueError."""
    from seisweep.launching.settings_from import OPTION, with_settings_of

    taken = with_settings_of(trial, chosen, given, Home.find(), where)
    for line in taken.words:
        print(wrapped(line, sys.stderr), file=sys.stderr)
    typed = command_line.words()
    if not where.submit_to:
        return taken.overrides, typed
    words = as_words(Overrides(taken.settings, {}))
    return taken.overrides, command_line.instead_of(typed, OPTION, settings=words)


def _why(chosen: Sweep, given: Overrides, fields: Mapping[str, Any]) -> str:
    """Whoever changes a prescribed default in a terminal is asked why, once; the answer is the note. Raises ValueError
    where the settings make no sense: they come first."""
    if not can_ask():
        return ""
    from seisweep.requested.prescribed import question

    asked = question(chosen, given)
    if asked:
        narrowed = narrow(chosen, given, fields)
        Trainable.find(narrowed.trainable).check(narrowed)
    return ask(asked) if asked else ""


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
