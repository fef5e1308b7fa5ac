"""Who says to MLflow what is unsaid, and when: a line of runs, served by whoever has news or by a thread.

What has waited longest comes first, and who gets no answer goes to the end of the line: one run that MLflow cannot
take keeps no other waiting. After no answer there is a pause, longer each time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from mlflow.tracking import MlflowClient

from seisweep.record.mlflow_answers import RefusedError, heard_s, one_line
from seisweep.record.trial_run import GoneError, say_left_out, say_renamed
from seisweep.record.unsaid import Say, Step, Unsaid

FLUSH_EVERY_S = 1.0
"""So long the epochs of a trial gather for one call."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 15.0
QUIET_S = 2.0
"""Who waits at the end for no longer is not told of it."""
LOOK_EVERY_S = 0.2
MOST_PATIENCES = 5
"""So many times their patience those who wait at the end do so at most: a server may answer, and yet take nothing."""
LONGEST_WORD_S = 2.0
"""So long the thread may take to end what it has begun to say, where the rest is left for later."""

logger = logging.getLogger(__name__)


class WritingLine:
    """Writes at once, in the thread that has the news, until `in_background` makes one of its own."""

    def __init__(self, client: MlflowClient) -> None:
        self.client, self.uri = client, client.tracking_uri
        self.changed = threading.Condition(threading.RLock())
        """Held by whoever reads or changes what is unsaid; never while MLflow is asked."""
        self.trouble = ""
        """Why MLflow could not be written last; empty while all is well."""
        self._line: list[Unsaid] = []
        self._silent_until_s, self._pause_s = 0.0, FIRST_PAUSE_S
        self._taken_s = time.monotonic()  # when MLflow last took something
        self._thread: threading.Thread | None = None
        self._over = False

    @contextmanager
    def in_background(self) -> Iterator[None]:
        """While it is open, a thread writes, and nobody else waits for MLflow."""
        self._thread = threading.Thread(target=self._write_on, name="mlflow-writer", daemon=True)
        self._thread.start()
        try:
            yield
        finally:
            self._stop()
            self._thread.join(LONGEST_WORD_S)

    def say(self, unsaid: Unsaid, steps: Mapping[Step, Say]) -> None:
        """Say this, now or in the thread."""
        with self.changed:
            if not unsaid.given_up:
                unsaid.due |= steps
            if unsaid.due and unsaid not in self._line:
                self._line.append(unsaid)
            self.changed.notify_all()
        if self._thread is None:
            self._write_now()

    def last_of_all(self, unsaid: Unsaid) -> None:
        """It goes behind all others. From now on nobody waits longer than the first pause."""
        with self.changed:
            self._line = [*(other for other in self._line if other is not unsaid), *([unsaid] if unsaid.due else [])]
            self._silent_until_s, self._pause_s, self._taken_s = 0.0, FIRST_PAUSE_S, time.monotonic()

    def wait(self, lacks: Callable[[], str], patience_s: float, say: Callable[[str], None], then: str) -> None:
        """Until nothing is lacking, MLflow has not answered for so long, or Ctrl-C. Nothing is written afterwards.

        `then`: what goes on with it later, for whoever waits.
        """
        began_s, has_said = time.monotonic(), False
        try:
            while self._thread is not None and (lacking := lacks()) and not self._out_of_patience(began_s, patience_s):
                if not has_said and time.monotonic() - began_s > QUIET_S:
                    has_said = True
                    say(
                        f"MLflow at {self.uri} lacks {lacking}: waiting up to {patience_s:g} s for it to accept more "
                        f"(Ctrl-C: do not wait; {then})"
                    )
                with self.changed:
                    self.changed.wait(LOOK_EVERY_S)
        except KeyboardInterrupt:
            logger.warning("MLflow was not waited for any longer")
        self._stop()

    def _out_of_patience(self, began_s: float, patience_s: float) -> bool:
        """An answer is a sign of life, though what it belongs to may need several to be done."""
        now_s, alive_s = time.monotonic(), max(self._taken_s, heard_s())
        return now_s - alive_s >= patience_s or now_s - began_s >= MOST_PATIENCES * patience_s

    def _stop(self) -> None:
        with self.changed:
            self._over = True
            self.changed.notify_all()

    def _write_on(self) -> None:
        while True:
            with self.changed:
                while not self._over and (unsaid := self._whose_turn()) is None:
                    self.changed.wait(LOOK_EVERY_S)
                if self._over or unsaid is None:
                    return
            self._write(unsaid)

    def _write_now(self) -> None:
        for _ in range(len(self._line)):
            if (unsaid := self._whose_turn()) is None:
                return
            self._write(unsaid)

    def _whose_turn(self) -> Unsaid | None:
        now_s = time.monotonic()
        if now_s < self._silent_until_s:
            return None
        return next((unsaid for unsaid in self._line if unsaid.is_due(now_s, FLUSH_EVERY_S)), None)

    def _write(self, unsaid: Unsaid) -> None:
        """What is unsaid of one run, each step once: whoever has news all the time keeps no other waiting."""
        done: set[Step] = set()
        while not self._over and (next_one := self._next_step(unsaid)) is not None and next_one[0] not in done:
            step, say = next_one
            done.add(step)
            said_before = unsaid.num_remarks
            try:
                say()
            except GoneError as error:
                with self.changed:
                    unsaid.give_up(str(error))
            except RefusedError as error:
                logger.warning("MLflow at %s refuses %s of %s: %s", self.uri, step.words, unsaid.name, error)
                if step not in (Step.RENAMED, Step.LEFT_OUT):
                    unsaid.leave_out(step.words, str(error))
            except Exception as error:  # no answer; or a store's library, a file that is gone: the ledger has it all
                self._no_answer(unsaid, error)
                return
            self._took(unsaid, step, say, unsaid.num_remarks > said_before)
        self._leave(unsaid)

    def _next_step(self, unsaid: Unsaid) -> tuple[Step, Say] | None:
        with self.changed:
            return min(unsaid.due.items(), default=None, key=lambda item: item[0])

    def _took(self, unsaid: Unsaid, step: Step, say: Say, has_remarks: bool) -> None:
        with self.changed:
            if unsaid.due.get(step) is say:  # or there is news of the same kind
                del unsaid.due[step]
            if has_remarks and unsaid.names.renamed:
                unsaid.due[Step.RENAMED] = partial(say_renamed, unsaid, self.client)
            if has_remarks and unsaid.left_out and not unsaid.given_up:
                unsaid.due[Step.LEFT_OUT] = partial(say_left_out, unsaid, self.client)
            self.trouble, self._pause_s, self._taken_s = "", FIRST_PAUSE_S, time.monotonic()
            self.changed.notify_all()

    def _no_answer(self, unsaid: Unsaid, error: Exception) -> None:
        logger.warning("MLflow at %s, of %s: %s", self.uri, unsaid.name, error)
        with self.changed:
            self.trouble = one_line(error)
            self._silent_until_s = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._leave(unsaid)

    def _leave(self, unsaid: Unsaid) -> None:
        """To the end of the line, or out of it."""
        with self.changed:
            self._line.remove(unsaid)
            if unsaid.due:
                self._line.append(unsaid)
            self.changed.notify_all()
