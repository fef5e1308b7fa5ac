"""The report, the charts and the tables into the sweep's own run in MLflow, whose description says what was found."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

from mlflow.tracking import MlflowClient

from seisweep.record import tags
from seisweep.record.data_of_trial import inputs_of, log_inputs
from seisweep.record.mlflow_answers import RefusedError, ask
from seisweep.record.mlflow_files import upload
from seisweep.record.mlflow_names import text
from seisweep.report import render
from seisweep.report.figures import figures_of_sweep
from seisweep.report.findings import found
from seisweep.results.sweep_results import SweepResults

REPORT_FILE, CHARTS, TABLES = "report.html", "charts", "tables"
SENTENCES = 3


def add_report(sweep: SweepResults) -> None:
    """Write them; what is there of the same findings stays. Of a single trial only the description.

    Raises NoAnswerError or RefusedError, ValueError and OSError.
    """
    client, run_id = MlflowClient(tracking_uri=sweep.tracking_uri), sweep.parent.info.run_id
    facts = sweep.parent.data.tags
    note = facts.get(tags.OWN_NOTE, facts.get(tags.NOTE, ""))
    words = described(sweep, note)
    if words == facts.get(tags.NOTE):
        return
    if len(sweep.runs) > 1:
        with tempfile.TemporaryDirectory(prefix="seisweep-report-") as folder:
            write_folder(sweep, Path(folder))
            for name, reason in upload(client, run_id, Path(folder)):
                raise RefusedError(f"{name}: {reason}")
    for best in sweep.finished()[:1]:
        with suppress(ValueError, OSError):  # its files are gone
            log_inputs(client, run_id, inputs_of(sweep.config(best), facts))
    ask(partial(client.set_tag, run_id, tags.OWN_NOTE, text(note)))
    ask(partial(client.set_tag, run_id, tags.NOTE, text(words)))


def described(sweep: SweepResults, note: str = "") -> str:
    """What was found in three sentences, then the note of whoever launched it."""
    sentences = found(sweep).sentences
    chosen = sentences if len(sentences) <= SENTENCES else [*sentences[: SENTENCES - 1], sentences[-1]]
    return "\n\n".join(part for part in (" ".join(chosen), note) if part)


def write_folder(sweep: SweepResults, folder: Path) -> None:
    """The report, a PNG file for each of its charts, and the table of trials as CSV."""
    figures = figures_of_sweep(sweep)
    (folder / REPORT_FILE).write_text(render(sweep, figures), encoding="utf-8")
    (folder / CHARTS).mkdir()
    for figure in figures:
        (folder / CHARTS / f"{figure.name}.png").write_bytes(figure.png)
    (folder / TABLES).mkdir()
    sweep.trials.to_csv(folder / TABLES / "trials.csv")
