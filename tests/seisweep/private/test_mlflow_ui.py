"""What `seisweep ui` takes of MLflow's pages, which an upgrade may change: it says so here."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

SCRIPTS = Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js"
USES = {
    "mlflow.workflowType": "the first page is the one on runs",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad": "no panel takes a quarter of the screen",
    "machine_learning": "links open runs",
    "viewStateShareKey": "links open a sweep's own view",
    "compareRunsMode": "a link opens its charts",
    '"chartsSearchFilter"': "curves are the first charts",
    '"columnOrder","columnWidths"': "state, objective and what varied fit the screen",
}


@pytest.fixture(scope="module")
def pages() -> str:
    files = [file for pattern in ("main.*.js", "*.chunk.js") for file in sorted(SCRIPTS.glob(pattern))]
    assert files, "MLflow's wheel has its pages"
    return "".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("name", USES)
def test_a_name_that_an_upgrade_removes_is_missed_here(pages, name):
    assert name in pages, f"MLflow's pages have no {name} any more; without it this does not work: {USES[name]}"
