from __future__ import annotations

import pytest

from trainables.edge.spreadsheet import as_cell


@pytest.mark.parametrize("text", ["=1+1", "+SUM(A1)", "@x", "-2+3", "\t=1", "-a"])
def test_what_a_spreadsheet_would_run_becomes_text(text):
    assert as_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["ABC", "", "--", "-1", "+2.5e-3", "-inf", "a=b", -1, 2.5, None, True])
def test_words_and_numbers_stay_as_they_are(value):
    assert as_cell(value) is value
