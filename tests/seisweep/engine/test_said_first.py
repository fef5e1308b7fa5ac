"""Who starts a sweep reads first how large and how long; what is wrong with that estimate costs the sweep nothing."""

from __future__ import annotations

import pytest
from seisweep.engine.launch import _say_forecast
from seisweep.engine.outcome import Silent
from seisweep.requested.sweep import narrow
from seisweep.requested.trainable import Trainable
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides, flatten
from seisweep.settings.profile import Profile

from search_spaces.named import named_sweep


class Lines(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def log(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture
def said(tiny, tmp_path):
    def say(sweep=None) -> list[str]:
        sweep = sweep or narrow(named_sweep("distillation"), Overrides(dict(flatten(tiny)), {}), {"samples": 4})
        watch = Lines()
        _say_forecast(sweep, Trainable.find(sweep.trainable), Profile(), Home(tmp_path), 2, watch)
        return watch.said

    return say


def test_sizes_and_time_are_said_in_two_lines(said):
    sizes, time = said()
    assert sizes == "a model of 10,731 parameters"
    assert "3 of them and dev make an epoch of" in time


def test_nothing_is_said_where_nothing_is_known(said, toy_sweep):
    assert said(toy_sweep()) == []


def test_whatever_goes_wrong_is_a_line(said, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise TypeError("a network of\ntoday")

    monkeypatch.setattr("seisweep.requested.estimate.extremes", fails)
    assert said() == ["no estimate of sizes and time: a network of today"]
