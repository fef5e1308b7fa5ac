"""How a sweep that was started from Python may end without what was asked for. Imports nothing heavy."""

from __future__ import annotations


class _OneLine(BaseException):
    """A notebook shows the line and nothing of the engine, where nothing is wrong."""

    def __init__(self, name: str, line: str) -> None:
        super().__init__(name, line)
        self.name = name
        """Of the sweep."""

    def __str__(self) -> str:
        return str(self.args[1])

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class SweepError(_OneLine, RuntimeError):
    """A sweep has ended without what was asked for: no trial has finished, it could not go on, or MLflow lacks some of
    its record. `name` is the sweep's: `seisweep.load(name)` shows what there is."""


class SweepInterrupt(_OneLine, KeyboardInterrupt):
    """A sweep was interrupted by its user; `seisweep.resume(name)` goes on with it.

    It is a KeyboardInterrupt, so that what comes after the call does not run either.
    """


def interrupted_line(name: str) -> str:
    """What is said of a sweep that its user has interrupted."""
    return f'{name} was interrupted and nothing is lost; go on with: seisweep.resume("{name}")'
