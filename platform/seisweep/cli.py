"""The command line. Results go to standard output, everything else to standard error.

Exit codes: 0 done; 1 failed, or something asked for is missing; 2 wrong use; 3 done, but MLflow still lacks something.
Heavy imports stand inside the commands, so that `--help` is quick.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from seisweep.commands import (
    archive,
    confirm,
    data,
    delete,
    evaluate,
    jobs,
    pick,
    plot,
    promote,
    report,
    results,
    settings,
    sweeps,
    system,
    ui,
)
from seisweep.commands.run import resume, train
from seisweep.commands.run import run as run_sweep
from seisweep.engine.outcome import Outcome
from seisweep.launching import command_line
from seisweep.quiet import quiet
from seisweep.settings.home import Home
from trainables.fetched import keep_in

app = typer.Typer(
    name="seisweep",
    help="Hyperparameter sweeps for small seismic models: distil, quantize, compare.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    epilog="A first look: seisweep demo. What there is to run: seisweep sweeps. What can be set: seisweep settings.",
)
app.command()(system.demo)
app.command()(run_sweep)
app.command()(train)
app.command()(resume)
app.command()(jobs.stop)
app.command()(jobs.logs)
app.command()(confirm.confirm)
app.command()(evaluate.evaluate)
app.command()(promote.promote)
app.command()(pick.pick)
app.command()(results.results)
app.command()(sweeps.sweeps)
app.command()(settings.settings)
app.command()(plot.plot)
app.command()(report.report)
app.add_typer(data.app, name="data")
app.command()(archive.pack)
app.command()(archive.merge)
app.command()(delete.delete)
app.command()(ui.ui)
app.command()(system.doctor)


def _say_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        print(f"seisweep {version('seisweep')}")
        raise typer.Exit


@app.callback()
def _settings(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Hyperparameter sweeps for small seismic models: distil, quantize, compare."""
    keep_in(Home.find().fetched_dir)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `seisweep` program."""
    code = run(sys.argv[1:] if arguments is None else arguments)
    gc.freeze()  # or the interpreter goes through every object of every library once more before it ends
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; an error is one line on standard error."""
    quiet()
    try:
        with command_line.typed(arguments):
            result = app(list(arguments) or ["--help"], prog_name="seisweep", standalone_mode=False)
        sys.stdout.flush()
        if isinstance(result, Outcome):
            return result.exit_code
        return result if isinstance(result, int) else 0
    except BrokenPipeError:  # the reader of our output has seen enough (`seisweep results ... | head`)
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted", 1)
    except ValueError as error:
        return _fail(str(error), 2)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        return _fail(f"{package} is not installed; {sys.executable} -m pip install seisweep brings it", 2)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            return _fail(f"{str(error.filename)[:80]}...: too long for a name", 2)
        if usage := getattr(error, "format_message", None):  # typer's own complaints
            help = f"seisweep {'--help' if not arguments else f'{arguments[0]} --help'}"
            return _fail(f"{usage().replace(': Value error, ', ': ')} ({help})", 2)
        return _fail(f"{type(error).__name__}: {error}", 1)


def _fail(message: str, code: int) -> int:
    if os.environ.get("SEISWEEP_DEBUG"):
        traceback.print_exc()
    lines = " ".join(message.split())
    print(f"seisweep: {lines}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
