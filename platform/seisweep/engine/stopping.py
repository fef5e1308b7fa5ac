"""How a sweep is asked to end before its time: Ctrl-C, SIGTERM, the time budget, a full disk."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from ray import tune

from seisweep.engine.outcome import Watch


class StopRequest(tune.Stopper):
    """Ends a sweep between two events of Tune: on Ctrl-C, when the time budget is used up, when it cannot go on."""

    def __init__(self, seconds_left: float | None) -> None:
        self._deadline_s = None if seconds_left is None else time.monotonic() + seconds_left
        self._interrupted = threading.Event()
        self.obstacle = ""
        """Why the sweep cannot go on for now, and what helps, in one line."""

    @property
    def interrupted(self) -> bool:
        return self._interrupted.is_set()

    @property
    def out_of_time(self) -> bool:
        return self._deadline_s is not None and time.monotonic() >= self._deadline_s

    def interrupt(self) -> None:
        self._interrupted.set()

    def end(self, obstacle: str) -> None:
        """The sweep cannot go on for now. The first obstacle counts: others follow from it."""
        self.obstacle = self.obstacle or obstacle

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.interrupted or self.out_of_time or bool(self.obstacle)

    def __reduce__(self) -> tuple[Any, ...]:
        return tune.stopper.NoopStopper, ()


@contextlib.contextmanager
def interruptible(stop: StopRequest, watch: Watch) -> Iterator[None]:
    """Ctrl-C (or SIGTERM) asks for an end between two events; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.interrupted:
            raise KeyboardInterrupt
        stop.interrupt()
        watch.log("stopping: running trials keep their last checkpoint (press Ctrl-C again to stop at once)")

    before: dict[int, Any] = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        give_back(before)


def give_back(handlers: Mapping[int, Any]) -> None:
    """Signals are handled again as before. One that was not handled by Python cannot be given back."""
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)
