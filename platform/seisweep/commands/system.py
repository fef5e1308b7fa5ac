"""`seisweep demo` and `doctor`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from seisweep.commands.options import ProfileName
from seisweep.engine.outcome import Outcome
from seisweep.settings.home import Home
from seisweep.settings.which_profile import PROFILE_VARIABLE, profile_by_default, profile_of


class Demo(StrEnum):
    """What a demo shows."""

    PICKERS = "pickers"
    FORESHOCK = "foreshock"
    ADAPT = "adapt"


def demo(
    context: typer.Context,
    what: Annotated[
        Demo,
        typer.Argument(
            help="pickers: teacher, sweep, quantized students. foreshock: how much pretraining helps to tell "
            "foreshocks from aftershocks. adapt: a picker for a network without labels."
        ),
    ] = Demo.PICKERS,
    tiny: Annotated[bool, typer.Option("--tiny", help="A demo of about a minute, on very little data.")] = False,
) -> int:
    """Show the main job from end to end, offline, in minutes on two cores. Prints each command before running it."""
    from seisweep.demos.tour import commands_of

    if what is Demo.FORESHOCK:
        from seisweep.demos.foreshock import play
    elif what is Demo.ADAPT:
        from seisweep.demos.adapt import play
    else:
        from seisweep.demos.pickers import play
    where = profile_by_default()
    if profile_of(where).submit_to:
        raise ValueError(
            f"the demo works on files of this machine, but profile {where} ({PROFILE_VARIABLE}) sends jobs to other "
            "machines: run it with SEISWEEP_PROFILE=local, or on a node of that cluster"
        )
    outcomes: list[Outcome] = []
    play(commands_of(context.find_root().command, outcomes), Home.find(), tiny=tiny)
    return max((outcome.exit_code for outcome in outcomes), default=0)


def doctor(profile: ProfileName = "local") -> None:
    """Check what is installed, what can be reached and what would fail; exit code 1 if anything would."""
    from seisweep.commands.doctor_checks import Check, examine
    from seisweep.quiet import quiet

    quiet()
    home, where = Home.find(), profile_of(profile)
    failed = False

    def show(check: Check) -> None:
        nonlocal failed
        print(f"{check.state:5}  {check.what:13}  {check.detail}", flush=True)
        failed = failed or check.state == "fails"

    for check in examine(home, where):
        show(check)
    if where.submit_to and failed:
        print(f"\nthe nodes of {where.submit_to} were not checked: first repair what fails here", flush=True)
    elif where.submit_to:  # a machine that sends jobs is not a node: one of the cluster looks
        from seisweep.commands.doctor_nodes import examine_by_job

        print(f"\nas a job of {where.submit_to}:", flush=True)
        failed = examine_by_job(where, lambda line: print(line, flush=True)) != 0
    elif where.ray_address:
        from seisweep.commands.doctor_nodes import examine_nodes
        from seisweep.screen.tables import as_table

        checks, table = examine_nodes(where, home)
        for check in checks:
            show(check)
        if table:
            print(f"\n{as_table(table)}")
    if failed:
        raise typer.Exit(1)
