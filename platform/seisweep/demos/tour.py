"""What the demos share: commands as a user types them, and words between them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import Any

from seisweep.engine.outcome import Outcome
from seisweep.settings.home import Home

PARTS = ("teacher", "sweep", "best", "pretraining", "ablation", "before", "adaptation")
"""What the sweeps of a demo are called, behind its number."""


Command = Callable[..., Any]
"""`command("run", "distillation", ...)` prints a command, then runs it exactly as the command line would; its outcome.
"""


def commands_of(program: Any, outcomes: list[Outcome]) -> Command:
    """Commands of the program that the tour is a part of: Typer's command at the root of a context. What sweeps came
    to is added to `outcomes`."""

    def command(*words: str) -> Any:
        print(f"\n$ seisweep {shlex.join(words)}", file=sys.stderr, flush=True)
        outcome = program.main(list(words), prog_name="seisweep", standalone_mode=False)
        if isinstance(outcome, Outcome):
            outcomes.append(outcome)
            if outcome.state == "interrupted":
                raise KeyboardInterrupt
            if outcome.exit_code == 1:
                raise RuntimeError(f"{outcome.name} {outcome.state}, and lacks trials that it should have")
        return outcome

    return command


def check_files(outcome: Outcome) -> None:
    """What comes next takes files of it out of MLflow. Raises RuntimeError where it lacks them."""
    if outcome.lacks_in_mlflow:
        raise RuntimeError(f"the demo goes on from files that MLflow lacks yet: seisweep resume {outcome.name}")


def free_stem(home: Home) -> str:
    """`demo-1`, or the first number that no part of a demo has used."""
    number = 1
    while any(home.sweep_dir(f"demo-{number}-{part}").exists() for part in PARTS):
        number += 1
    return f"demo-{number}"


def name_option(stem: str, part: str) -> tuple[str, str]:
    """`--name` of a part."""
    assert part in PARTS
    return "--name", f"{stem}-{part}"


def say(line: str) -> None:
    """A line of the tour, between its commands."""
    print(f"\n{line}", file=sys.stderr, flush=True)
