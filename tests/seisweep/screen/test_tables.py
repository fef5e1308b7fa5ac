from __future__ import annotations

import json

from seisweep.screen.tables import as_csv, as_json, as_table

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
