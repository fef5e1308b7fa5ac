from __future__ import annotations

import io

import pytest
from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.screen.ending import _addresses, closing_lines, left_out_line, next_of_streams, ranked
from seisweep.settings.home import Home


def write_logs(*files: str) -> None:
    for file in files:
        (place := Home.find().sweep_dir("toy-1") / file).parent.mkdir(parents=True, exist_ok=True)
        place.write_text("bad luck")


@pytest.mark.parametrize("state", ["done", "failed"])
def test_who_reads_of_a_failure_reads_where_its_log_is(home, state):
    write_logs("sweep.log", "logs/trial-00000.log")
    rows = [TrialRow(0, "0", state, reason="RuntimeError: out of luck" if state == "failed" else "")]
    lines = closing_lines(Outcome("toy-1", "finished", rows, None, "", "", "sqlite:///none", {"dev/f1": "max"}))
    folder = Home.find().sweep_dir("toy-1")
    expected = [
        "1 of 1 trials failed:",
        "  trial 0: RuntimeError: out of luck",
        f"logs: {folder}/sweep.log, of each trial in {folder}/logs",
    ]
    assert lines == ["", *(expected if state == "failed" else [])]


def test_no_log_is_named_that_is_not_there(home):
    outcome = Outcome("toy-1", "interrupted", [], None, "", "", "sqlite:///none", {"dev/f1": "max"})
    (Home.find().sweep_dir("toy-1") / "logs").mkdir(parents=True)
    assert closing_lines(outcome) == ["", "interrupted; go on with: seisweep resume toy-1"]
    write_logs("logs/trial-00000.log")
    folder = Home.find().sweep_dir("toy-1")
    assert closing_lines(outcome)[2:] == [f"logs: of each trial in {folder}/logs"]


def test_an_interrupted_trial_stands_where_results_have_it():
    rows = [
        TrialRow(0, "0", "done", 4, 4, {"dev/f1": 0.5}),
        TrialRow(1, "1", "interrupted", 3, 4, {"dev/f1": 0.7}),
        TrialRow(2, "2", "stopped", 2, 4, {"dev/f1": 0.6}),
    ]
    assert [row.number for row in ranked(rows, {"dev/f1": "max"})] == [0, 1, 2]


def test_trials_that_no_machine_could_finish_are_named_with_why(home):
    rows = [
        TrialRow(0, "0", "done"),
        TrialRow(1, "1", "interrupted", reason="no module"),
        TrialRow(2, "2", "interrupted"),
    ]
    lines = closing_lines(Outcome("toy-1", "interrupted", rows, None, "", "", "sqlite:///none", {"dev/f1": "max"}))
    assert lines[1:3] == [
        "1 of 3 trials are not finished, because of the machines that they were tried on:",
        "  trial 1: no module",
    ]
    assert lines[3] == "interrupted; go on with: seisweep resume toy-1"


@pytest.mark.parametrize("found", [{"dev/f1": 0.5}, {"dev/f1": 0.5, "agreement/f1": 0.5}])
def test_what_comes_after_learning_from_streams_is_said(found):
    best = TrialRow(0, "0", "done", 4, 4, found)
    lines = next_of_streams(Outcome("mine", "finished", [best], best, "", "", "sqlite:///none", {"dev/f1": "max"}))
    commands = ["promote mine", "pick mine WAVEFORMS --output picks.csv"] if "agreement/f1" in found else []
    assert [line.partition("seisweep ")[2] for line in lines] == commands


def test_nodes_left_out_are_counted_with_why():
    nodes = [(f"w{number}", "no data") for number in range(7)]
    assert left_out_line([]) == []
    assert left_out_line(nodes[:1]) == ["1 node left out: w0: no data"]
    assert left_out_line(nodes)[0].endswith("w4: no data; and 2 more")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LONG = {"charts": f"/#/runs?{'x' * 300}", "trials": "/#/runs?view=toy-1", "compare": f"/#/compare?{'y' * 300}"}


@pytest.mark.parametrize(
    ("stream", "forced", "expected"),
    [
        (io.StringIO, "0", [f"  {page:8} http://s{path}" for page, path in LONG.items()]),
        (Terminal, "0", ["  trials   http://s/#/runs?view=toy-1", "  charts and compare: views of that page"]),
        (
            Terminal,
            "1",
            [
                f"  {page:8} \x1b]8;;http://s{path}\x1b\\http://s{path.partition('?')[0]}\x1b]8;;\x1b\\"
                for page, path in LONG.items()
            ],
        ),
    ],
)
def test_no_address_fills_the_screen(stream, forced, expected, monkeypatch):
    monkeypatch.setattr("sys.stderr", stream())
    monkeypatch.setenv("FORCE_HYPERLINK", forced)
    monkeypatch.setenv("COLUMNS", "80")
    assert _addresses("http://s", LONG, ("charts", "trials", "compare")) == expected
