"""Questions to other machines that may be silent for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable

from trainables.remote import SILENCE


def within(seconds: float, work: Callable[[], None]) -> None:
    """Do it. Raises what it raises, or ConnectionError where it takes too long; it may go on then, nothing can stop
    it."""
    found: list[Exception | None] = []

    def run() -> None:
        try:
            work()
            found.append(None)
        except Exception as error:  # for whoever waits
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    error = found[0] if found else ConnectionError(f"{SILENCE} for {seconds:g} s")
    if error is not None:
        raise error
