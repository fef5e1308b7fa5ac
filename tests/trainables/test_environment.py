"""Variables are there for a while, and then as they were."""

from __future__ import annotations

import os

import pytest

from trainables.environment import variables


def meanwhile() -> None:
    with variables(SEISWEEP_TRIED="meanwhile", SEISWEEP_NEW="1"):
        assert (os.environ["SEISWEEP_TRIED"], os.environ["SEISWEEP_NEW"]) == ("meanwhile", "1")
        raise KeyError


def test_variables_are_there_meanwhile_and_then_as_before(monkeypatch):
    monkeypatch.setenv("SEISWEEP_TRIED", "before")
    monkeypatch.delenv("SEISWEEP_NEW", raising=False)
    with pytest.raises(KeyError):
        meanwhile()
    assert os.environ["SEISWEEP_TRIED"] == "before"
    assert "SEISWEEP_NEW" not in os.environ
