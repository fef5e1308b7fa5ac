"""`seisweep promote`: a trial is measured on the test split, once, and its models are registered."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seisweep.commands.options import ProfileName
from seisweep.screen.tables import Format, TableFormat, write
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from seisweep.settings.which_profile import profile_of

if TYPE_CHECKING:
    from seisweep.promotion.promote import Promotion


def promote(
    name: Annotated[str, typer.Argument(help="A sweep, or a single training (see `seisweep sweeps`).")],
    trial: Annotated[int | None, typer.Option(min=0, help="Number of the trial; default the best.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Open a test split again that was opened before; the model card says so.")
    ] = False,
    format: TableFormat = Format.TABLE,
    profile: ProfileName = "local",
) -> None:
    """Open the test split once, at the thresholds chosen on dev, and register the ONNX models with their card."""
    home = Home.find()
    where = profile_of(profile)
    from seisweep.promotion.promote import promote as promoted

    done = promoted(name, trial, again, home, where, say=lambda words: print(words, file=sys.stderr))
    write(rows_of(done), format)
    sys.stdout.flush()
    print(f"\n{after(done)}", file=sys.stderr)


def rows_of(done: Promotion) -> list[dict[str, Any]]:
    """One row a metric, each model's score on dev and, with its interval, on test."""
    from seisweep.promotion.model_card import shown

    rows = []
    for metric in done.candidate.headlines:
        row: dict[str, Any] = {"metric": metric}
        for precision in done.candidate.models:
            for split in ("dev", "test"):
                score = done.measured[split].scores[precision].get(metric)
                row[f"{precision} {split}"] = "" if score is None else shown(score)
        rows.append(row)
    return rows


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
        f"registered: {name} ({versions}), with its card; run {done.run_id}",
    ]
    if done.refused:
        lines.append(f"FP32 alone, the gate's word on INT8 is {done.refused}")
    if done.folder is not None:
        lines.append(f"picker folder: {from_here(done.folder)} (python pick.pyz WAVEFORMS, without seisweep or torch)")
        lines.append(f"next: seisweep pick {best} WAVEFORMS")
    load = f'mlflow.set_tracking_uri("{done.tracking_uri}"); mlflow.pyfunc.load_model("{best}")'
    lines.append(f"in Python: import mlflow; {load}.predict(WINDOWS)")
    return "\n".join(lines)
