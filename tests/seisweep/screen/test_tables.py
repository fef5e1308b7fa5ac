from __future__ import annotations

import json

from seisweep.screen.tables import as_csv, as_fitting_table, as_json, as_table, fitting_conditions, print_fitting

ROWS = [{"trial": 0, "state": "done", "dev/f1": 0.87654}, {"trial": 11, "state": "failed", "dev/f1": float("nan")}]


def test_a_table_lines_up_and_leaves_missing_values_empty():
    assert as_table(ROWS).splitlines() == [
        "trial  state   dev/f1",
        "    0  done    0.8765",
        "   11  failed",
    ]
    assert as_table([]) == ""


def test_csv_keeps_every_digit():
    assert as_csv(ROWS) == "trial,state,dev/f1\n0,done,0.87654\n11,failed,"


def test_json_has_no_nan():
    assert json.loads(as_json(ROWS)) == [{**ROWS[0]}, {**ROWS[1], "dev/f1": None}]


def test_a_note_that_a_spreadsheet_would_run_is_no_formula_in_csv():
    rows = [{"note": '=HYPERLINK("http://x","y")', "x": -1.5, "low": "-1e-3", "@sum": "-2+3"}, {"note": "+1 seed"}]
    assert as_csv(rows).splitlines() == [
        "note,x,low,'@sum",
        '"\'=HYPERLINK(""http://x"",""y"")",-1.5,-1e-3,\'-2+3',
        "'+1 seed,,,",
    ]
    assert "'" not in as_table(rows) + as_json(rows), "nothing runs these"


WIDE = [{"trial": 3, "state": "done", "epoch": 50, "dev/f1": 0.87654, "rate": 0.0012345, "patience": 7}]


def test_columns_that_do_not_fit_leave_the_table_whole():
    table, left_out = as_fitting_table(WIDE, 40, ["trial", "state", "dev/f1", "rate"])
    assert table.splitlines() == ["trial  state  epoch  dev/f1      rate", "    3  done      50  0.8765  0.001234"]
    assert left_out == ["patience"]
    assert as_fitting_table(WIDE, 24, ["trial", "dev/f1", "rate"])[1] == ["state", "epoch", "patience"]
    assert as_fitting_table(WIDE, 3)[0].splitlines() == ["trial", "    3"], "the first one stays"


def test_a_pipe_gets_every_column():
    assert as_fitting_table(WIDE, None) == (as_table(WIDE), [])


def test_a_last_column_of_words_goes_on_below():
    rows = [{"sweep": "picking", "what it is": "XiaoNet on labels alone, without a teacher"}]
    table, left_out = as_fitting_table(rows, 40)
    assert table.splitlines() == [
        "sweep    what it is",
        "picking  XiaoNet on labels alone,",
        "         without a teacher",
    ]
    assert left_out == []


def test_what_has_no_room_is_named_unless_it_is_empty(capsys, monkeypatch):
    monkeypatch.setattr("seisweep.screen.tables.columns_of", lambda stream: 20)
    rows = [{"name": "many-1", "objective": "dev/f1", "note": "", "kind": "distillation"}]
    assert "kind" in print_fitting(rows, ["name", "objective"], "many-1")
    shown = capsys.readouterr()
    assert "name" in shown.out
    assert " ".join(shown.err.split()) == "no room for kind (seisweep results many-1 --format csv has all)"


def test_conditions_keep_their_difference_rather_than_their_spread(monkeypatch):
    monkeypatch.setattr("seisweep.screen.tables.columns_of", lambda stream: 60)
    rows = [{"model.start": "random", "seeds": 2, "dev/f1": 0.5, "sd": 0.1, "difference": 0.2, "95 % interval": "a"}]
    renamed, first = fitting_conditions(rows)
    assert list(renamed[0]) == ["start", "seeds", "dev/f1", "sd", "difference", "95 % interval"]
    assert first == ["start", "dev/f1", "difference", "95 % interval"]
