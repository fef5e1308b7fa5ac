from __future__ import annotations

import pytest
from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.screen.ending import closing_lines
from seisweep.settings.home import Home


@pytest.mark.parametrize("state", ["done", "failed"])
def test_who_reads_of_a_failure_reads_where_its_log_is(home, state):
    (Home.find().sweep_dir("toy-1") / "logs").mkdir(parents=True)
    rows = [TrialRow(0, "0", state, reason="RuntimeError: out of luck" if state == "failed" else "")]
    lines = closing_lines(Outcome("toy-1", "finished", rows, None, "", "", "sqlite:///none", {"dev/f1": "max"}))
    folder = Home.find().sweep_dir("toy-1")
    expected = [
        "1 of 1 trials failed:",
        "  trial 0: RuntimeError: out of luck",
        f"logs: {folder}/sweep.log, of each trial in {folder}/logs",
    ]
    assert lines == ["", *(expected if state == "failed" else [])]
