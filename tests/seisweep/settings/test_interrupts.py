"""An interrupt in the middle of an import waits for its end; who insists is heard at once."""

from __future__ import annotations

import signal
import threading

import pytest
from seisweep.settings.interrupts import interrupts_wait


def interrupted(times: int, done: list[str]) -> None:
    with interrupts_wait():
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        done.append("whole")


@pytest.mark.parametrize(("times", "done"), [(1, ["whole"]), (2, [])])
def test_an_interrupt_counts_when_what_must_be_whole_is_done_and_a_second_one_at_once(times, done):
    before, did = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt):
        interrupted(times, did)
    assert did == done
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_of_what_is_imported_comes_through():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="no module of this name"), interrupts_wait():
        raise ValueError("no module of this name")
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_and_programs_that_ignore_interrupts_are_left_alone():
    entered = []

    def work() -> None:
        with interrupts_wait():
            entered.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_wait():
            signal.raise_signal(signal.SIGINT)
            entered.append(signal.getsignal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert entered == [before, signal.SIG_IGN]
