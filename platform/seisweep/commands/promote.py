"""`seisweep promote`: a trial is measured on the test split, once, and its models are registered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seisweep.commands.options import ProfileName
from seisweep.screen.tables import Format, TableFormat, write
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from seisweep.settings.which_profile import profile_of

if TYPE_CHECKING:
    from seisweep.artifacts.hub import Hub
    from seisweep.promotion.promote import Promotion


MINUS_BEST = "minus_best"
"""Column of the F1 of a model less that of the best."""


def promote(
    name: Annotated[str, typer.Argument(help="A sweep, or a single training (see `seisweep sweeps`).")],
    trial: Annotated[int | None, typer.Option(min=0, help="Number of the trial; default the best.")] = None,
    trials: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="Several trials in one opening and one model card, as 0,1,2; the best on dev becomes champion.",
        ),
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL,...",
            help="Models to compare with in the same card, not registered: any that evaluate takes, as stead,V5B.pth.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Open the test split although it was opened before; the model card says so.")
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="ORG/REPO",
            help="Push the picker folder to a repository of a Hugging Face hub; if the trial is promoted already, its "
            "folder is pushed as it is.",
        ),
    ] = None,
    format: TableFormat = Format.TABLE,
    profile: ProfileName = "local",
) -> int:
    """Open the test split once, at the thresholds chosen on dev, and register the ONNX models with their card."""
    if trials and trial is not None:
        raise ValueError("--trial names one trial, --trials several: give only one of the two options")
    home = Home.find()
    where = profile_of(profile)
    from seisweep.artifacts.hub import Hub
    from seisweep.promotion.beside import names_in, numbers_in
    from seisweep.promotion.promote import promote as promoted
    from seisweep.promotion.pushing import promoted_folder

    numbers, others = numbers_in(trials) if trials else [], names_in(beside) if beside else []
    hub = Hub.ready(push) if push else None
    if (
        hub is not None
        and not (numbers or others)
        and (folder := promoted_folder(name, trial, again, home, where)) is not None
    ):
        say(f"{name} is promoted: its picker folder goes to the hub as it is")
        return _pushed(hub, folder, name)
    done = promoted(name, trial, again, home, where, say, trials=numbers, others=others)
    rows = rows_side_by_side(done) if done.side_by_side else rows_of(done)
    write(_for_people(rows) if format is Format.TABLE else rows, format)
    sys.stdout.flush()
    say(f"\n{after(done)}")
    if hub is None:
        return 0
    assert done.folder is not None
    return _pushed(hub, done.folder, name)


def say(words: str) -> None:
    print(words, file=sys.stderr)


def _pushed(hub: Hub, folder: Path, name: str) -> int:
    """Upload it, and say where it is; the exit code."""
    from seisweep.artifacts.hub import NotPushedError

    try:
        page = hub.push(folder)
    except NotPushedError as error:
        say(f"promoted, but not on the hub: {error}; `seisweep promote {name} --push {hub.repository}` tries again")
        return 1
    say(f"on the hub: {page} (a new repository is private until you change that there)")
    say(f'in Python: seisweep.load_picker("hf:{hub.repository}"); README.md there says how without seisweep')
    return 0


def rows_of(done: Promotion) -> list[dict[str, Any]]:
    """One row a metric, each model's score on dev and on test with the ends of its interval."""
    from seisweep.commands.interval_cells import with_ends

    rows = []
    for metric in done.candidate.headlines:
        row: dict[str, Any] = {"metric": metric}
        for precision in done.candidate.models:
            for split in ("dev", "test"):
                row |= with_ends(f"{precision} {split}", done.measured[split].scores[precision].get(metric))
        rows.append(row)
    return rows


def rows_side_by_side(done: Promotion) -> list[dict[str, Any]]:
    """One row a model of each data set's test split; the best one has no difference from the best."""
    from seisweep.commands.interval_cells import with_ends
    from trainables.evaluation.intervals import Interval

    several = len(done.side_by_side) > 1
    rows = []
    for table in done.side_by_side:
        for model in table["models"]:
            row: dict[str, Any] = {"data": table["data"]} if several else {}
            row |= {key: model[key] for key in ("name", "parameters", "bytes")}
            for name in ("p_f1", "s_f1", "f1"):
                row |= with_ends(name, Interval(**model[name]) if name in model else None)
            is_best = model["name"] == table["best"]
            rows.append(row | with_ends(MINUS_BEST, None if is_best else Interval(**model["f1_less_best"])))
    return rows


def _for_people(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from seisweep.commands.interval_cells import as_words

    words = as_words(rows)
    for row in words:
        if MINUS_BEST in row:
            row["difference from best"] = row.pop(MINUS_BEST) or "the best"
    return words


def _trials(numbers: Sequence[int]) -> str:
    return f"trial{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def after(done: Promotion) -> str:
    """Where everything is, and what to do with it."""
    test, name = done.measured["test"], done.name
    best = f"models:/{name}@{'int8' if 'int8' in done.aliases else 'fp32'}"
    number, units = done.card["test_openings"], done.card.get("units", "events")
    versions = ", ".join(f"{alias} version {version}" for alias, version in done.aliases.items())
    lines = [
        f"in brackets: {done.card['intervals']}; test: {test.windows} windows of {test.events} {units}",
        *([done.card["reference"]] if "reference" in done.card else []),
        f"this test split was opened {number} time{'s' if number > 1 else ''}",
        *([f"champion: trial {done.trial}, the best of these trials on dev"] if done.others else []),
        f"registered: {name} ({versions}), with its card; run {done.run_id}",
        *([f"registered without an alias: {_trials(done.others)}"] if done.others else []),
    ]
    if done.refused:
        lines.append(f"only FP32 is registered: the gate's verdict on INT8 is {done.refused}")
    if done.folder is not None:
        lines.append(f"picker folder: {from_here(done.folder)} (python pick.pyz WAVEFORMS, without seisweep or torch)")
        lines.append(f"next: seisweep pick {best} WAVEFORMS")
        if any(done.folder.glob("*.pt.v*")):
            lines.append(f'for SeisBench: seisweep.load_picker("{name}"), or as README.md of the folder says')
    load = f'mlflow.set_tracking_uri("{done.tracking_uri}"); mlflow.pyfunc.load_model("{best}")'
    lines.append(f"in Python: import mlflow; {load}.predict(WINDOWS)")
    return "\n".join(lines)
