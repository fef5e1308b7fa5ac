"""Settings as Python has them mean what the command line's text means."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seisweep.launching.python_values import as_words, overrides_of
from seisweep.settings.overrides import Overrides, parse_overrides

from search_spaces.sweep import Choice, Range
from trainables.distillation import DistillationConfig


@pytest.mark.parametrize(
    ("settings", "typed"),
    [
        ({"loss.alpha": 0.3, "data.dataset": "ETHZ"}, ["loss.alpha=0.3", "data.dataset=ETHZ"]),
        ({"loss": {"alpha": 0.3, "temperature": 2}}, ["loss.alpha=0.3", "loss.temperature=2"]),
        ({"student.pooling": [2, 4]}, ["student.pooling=2,4"]),
        ({"student.pooling": [4]}, ["student.pooling=4"]),
        ({"loss.alpha": (0.2, 0.6)}, ["loss.alpha=0.2..0.6"]),
        ({"loss.alpha": Range(low=0.2, high=0.6)}, ["loss.alpha=0.2..0.6"]),
        ({"student.pooling": Choice(values=[2, 4])}, ["student.pooling=2,4"]),
        ({"export.enabled": True, "data.split_by": None}, ["export.enabled=true", "data.split_by=none"]),
        ({"teachers": ["stead", "original"]}, ["teachers=[stead,original]"]),
        ({"teachers": ("stead", "original")}, ["teachers=[stead,original]"]),
        ({"teachers": [["stead"], ["stead", "original"]]}, ["teachers=[stead],[stead,original]"]),
        ({"loss.alpha": np.array([0.2, 0.5])}, ["loss.alpha=0.2,0.5"]),
        ({"loss.alpha": np.float64(0.2), "student.pooling": np.int64(2)}, ["loss.alpha=0.2", "student.pooling=2"]),
        ({"export.enabled": np.bool_(True)}, ["export.enabled=true"]),
        ({}, []),
        (None, []),
    ],
)
def test_values_are_what_the_text_would_be(settings, typed):
    assert overrides_of(settings, DistillationConfig) == parse_overrides(typed)


def test_what_numpy_gave_is_plain(tmp_path):
    base, vary = overrides_of({"a": np.int64(3), "b": [np.float32(0.5), 1], "c": tmp_path, "d": np.str_("x")}, None)
    assert [type(base["a"]), type(vary["b"][0]), type(base["d"])] == [int, float, str]
    assert base["c"] == str(tmp_path)


def test_a_path_is_one_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert overrides_of({"records": Path("here")}, None).base == {"records": str(tmp_path / "here")}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"x": {1, 2}}, "x takes a number, text, true or false, None, or a list of them, not set"),
        ({"x": len}, "not builtin_function_or_method"),
        ({"x": {}}, "not dict"),
        ({"x": []}, "x = [] is not allowed: give at least one value to choose from"),
        ({"x": (1, 2, 3)}, "x = (1, 2, 3) is not allowed: a range is two numbers, (low, high); a choice is a list"),
        ({"x": ("a", "b")}, "a range is two numbers"),
        ({"x": (True, False)}, "a range is two numbers"),
        ({"x": (2, 1)}, "x = (2, 1): the range's low end must lie below its high end"),
        ({"loss.alpha": 1, "loss": {"alpha": 2}}, "loss.alpha is given twice"),
        ({"loss alpha": 1}, "'loss alpha' is not a key of a setting"),
        ({3: 1}, "3 is not a key of a setting"),
        (["x=1"], 'settings are a dict of keys and values, as {"loss.alpha": 0.3}, not list'),
    ],
)
def test_what_cannot_be_a_setting_is_one_line(settings, line):
    with pytest.raises(ValueError, match=re.escape(line)) as caught:
        overrides_of(settings, None)
    assert "\n" not in str(caught.value)


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5})?", fullmatch=True), VALUES | st.lists(VALUES, min_size=2))
)
def test_text_for_a_cluster_is_read_there_as_it_was_meant_or_refused(settings):
    meant = Overrides(
        {key: value for key, value in settings.items() if not isinstance(value, list)},
        {key: value for key, value in settings.items() if isinstance(value, list)},
    )
    with contextlib.suppress(ValueError):  # where the command line has no words for it
        assert repr(parse_overrides(as_words(meant))) == repr(meant)


@pytest.mark.parametrize(
    "settings",
    [
        {"data.dataset": "/shared/records", "note": "two words", "x": "3", "y": "none", "z": "1..2", "e": ""},
        {"x": (1, 5), "y": (0.1, 1e-7 + 0.2), "z": ["a", "b"], "t": [["a", "b"], ["c"]], "n": [None, True, 3]},
    ],
)
def test_ordinary_settings_can_be_sent(settings):
    meant = overrides_of(settings, None)
    assert parse_overrides(as_words(meant)) == meant
