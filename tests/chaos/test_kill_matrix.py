"""A few cells of the kill matrix, one kill each; `make chaos` runs all of them, three times."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos.kill_matrix import kill_once


@pytest.mark.integration
@pytest.mark.parametrize("cell", ["driver:tracking", "train-controller:epochs", "mlflow:tracking", "ray:export"])
def test_killed_and_resumed_as_if_nothing_had_happened(cell: str, tmp_path: Path) -> None:
    report = kill_once(*cell.split(":"), tmp_path / "arena", f"test {cell}", waits_for_agents=False)
    assert not report.broken, "\n".join([f"killed: {report.killed}", *report.broken])
