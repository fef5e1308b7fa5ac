"""The ledger of a sweep: one append-only file from which everything else can be told again.

Every event is a line of JSON, on the disk before anything else learns of it: before Optuna is told a result and before
MLflow gets a metric, so that not even a power cut leaves the ledger behind them. After a crash the study and the runs
are brought up to the ledger, with the ledger's timestamps, so that nothing is lost and nothing is there twice. A
report's identity is its trial and epoch (the final report repeats the last epoch): a second one, from an epoch that
ran again after a crash, is ignored.
"""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from trainables import metrics as names
from trainables.atomic import sync_folder

KEPT_CHECKPOINTS = 2
"""Of a trial under way. The older one is there for a reader that has just begun to copy it."""

EndState = Literal["done", "stopped", "failed"]


class Report(NamedTuple):
    """One report of a trial."""

    trial: int
    epoch: int
    final: bool
    metrics: dict[str, float]
    time_ms: int

    @property
    def step(self) -> int:
        """Its step in MLflow: the epoch; the final report, which repeats the last epoch, comes one later."""
        return self.epoch + self.final


class Exploit(NamedTuple):
    """A trial of a population took over another one's weights and, changed a little, its settings."""

    trial: int
    donor: int
    epoch: int
    params: dict[str, Any]
    """Those that the trial goes on with."""
    place: str
    """The donor's checkpoint, from which it goes on."""


@dataclass
class TrialRecord:
    """A trial as the ledger knows it."""

    number: int
    proposed: dict[str, Any]
    """Its parameters as Optuna proposed them."""
    seed: int
    started_ms: int
    state: Literal["running", "done", "stopped", "failed"] = "running"
    reason: str = ""
    ended_ms: int | None = None
    epoch: int = 0
    """Epoch of the last report."""
    final: bool = False
    """The final report has come: the trial did all it wanted."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Those of the last report, over earlier ones that it does not repeat."""
    best: dict[str, float] = field(default_factory=dict)
    """Those of the epoch with the best weights so far, as the trainable says (`best_epoch`); else of the last one."""
    reported_ms: int = 0
    checkpoints: list[tuple[int, str]] = field(default_factory=list)
    """Epoch and place of the checkpoints, the newest last; `kept` says which may still exist."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Settings that differ from `params` and the sweep's base since the trial began, by dotted key."""
    params: dict[str, Any] = field(init=False)
    """Its parameters now: those of the last exploit, where it had one."""
    final_checkpoint: bool = False
    """The newest checkpoint is the final report's, with the artifacts."""

    def __post_init__(self) -> None:
        self.params = self.proposed

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def scores(self) -> dict[str, float]:
        """Of the weights that the trial ended with, or would have."""
        return self.metrics if self.final else self.metrics | self.best

    @property
    def complete(self) -> bool:
        """The final report is here, and so is its checkpoint, which comes a moment later."""
        return self.final and (self.final_checkpoint or not self.checkpoints)

    @property
    def kept(self) -> list[str]:
        """Places of the checkpoints that something may still need: the last two, of a done trial the last."""
        count = {"running": KEPT_CHECKPOINTS, "done": 1}.get(self.state, 0)
        return [place for _, place in self.checkpoints][-count:] if count else []

    @property
    def checkpoint(self) -> tuple[int, str] | None:
        return self.checkpoints[-1] if self.checkpoints else None


class Ledger:
    """Reads what there is, then appends. One process writes at a time (the driver's lock sees to it)."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Raises ValueError where a line cannot be read, OSError where the file cannot be written. A ledger that is
        only looked at stays as it is, torn line and all; one that is not there is empty."""
        self.path = path
        self.trials: dict[int, TrialRecord] = {}
        self._sessions: list[list[int]] = []  # start and last event of each, ms
        self._last_ms, self._last_monotonic_ms = 0, _monotonic_ms()  # of the last event, by either clock
        self.outcome = ""
        """finished or failed, once the sweep is over."""
        self.samples: int | None = None
        """Number of trials, once it was extended; before that the sweep itself says it."""
        self.extended_by: set[str] = set()  # what jobs of clusters were submitted for, and have done
        self.exploits: list[Exploit] = []
        self.barrier = 0
        """Epoch at which a population was last compared, and those who take over were written down."""
        if not read_only:
            cut_torn_line(path)
        self._read()
        is_new = not path.exists()
        self._file = None if read_only else path.open("ab", buffering=0)
        if self._file is not None and is_new:
            sync_folder(path.parent)
        self._grouped = False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """Events that come while it is open reach the disk together, at its end."""
        self._grouped = True
        try:
            yield
        finally:
            self._grouped = False
            self._sync()

    @property
    def num_sessions(self) -> int:
        return len(self._sessions)

    @property
    def seconds_used(self) -> float:
        """Seconds of all sessions; of one that was killed, until its last event."""
        return sum(last - start for start, last in self._sessions) / 1000

    def begin_session(self) -> None:
        self._append({"event": "session"})

    def begin_trial(self, number: int, params: dict[str, Any], seed: int) -> TrialRecord:
        """A trial begins, or begins again in this session."""
        self._append({"event": "trial", "trial": number, "params": params, "seed": seed})
        return self.trials[number]

    def report(self, number: int, metrics: dict[str, float]) -> Report | None:
        """Write down a report; None where this epoch was reported before."""
        epoch, final = int(metrics[names.EPOCH]), bool(metrics.get(names.FINAL))
        record = self.trials[number]
        if not record.running or (epoch, final) <= (record.epoch, record.final):
            return None
        event = self._append({"event": "report", "trial": number, "metrics": metrics})
        return _report(event)

    def checkpoint(self, number: int, epoch: int, place: str, final: bool = False) -> None:
        """The checkpoint of this epoch, or of the final report, is complete at `place`."""
        self._append({"event": "checkpoint", "trial": number, "epoch": epoch, "final": final, "place": place})

    def change(self, number: int, changes: dict[str, Any], reason: str) -> None:
        """The trial goes on with other settings."""
        self._append({"event": "change", "trial": number, "changes": changes, "reason": reason})

    def exploit(self, number: int, donor: int, epoch: int, params: dict[str, Any], place: str) -> None:
        """A trial goes on from another one's checkpoint of the same epoch, with these parameters."""
        self._append(
            {"event": "exploit", "trial": number, "donor": donor, "epoch": epoch, "params": params, "place": place}
        )

    def pass_barrier(self, epoch: int) -> None:
        """All exploits at this epoch are written down."""
        self._append({"event": "barrier", "epoch": epoch})

    def shared(self, place: str, holder: TrialRecord) -> bool:
        """Whether another trial than its holder may still need this checkpoint: it took it over, or has lent it."""
        if not any(exploit.place == place for exploit in self.exploits):
            return False
        return any(place in record.kept for record in self.trials.values() if record is not holder)

    def end_trial(self, number: int, state: EndState, reason: str = "") -> None:
        self._append({"event": "end", "trial": number, "state": state, "reason": reason})

    def end_sweep(self, state: str) -> None:
        self._append({"event": "sweep_end", "state": state})

    def extend(self, samples: int, job: str = "") -> None:
        """The sweep gets so many trials in all, and is no longer over. `job`: of a cluster, which asks for it."""
        self._append({"event": "extend", "samples": samples} | ({"job": job} if job else {}))

    def reports(self, numbers: set[int] | None = None) -> Iterator[Report]:
        """All reports in the order in which they came, read from the file; of these trials only."""
        for _, event in self._events():
            if event["event"] == "report" and (numbers is None or event["trial"] in numbers):
                yield _report(event)

    def _append(self, event: dict[str, Any]) -> dict[str, Any]:
        event["time_ms"] = self._now_ms()
        self._write((json.dumps(event) + "\n").encode())
        self._apply(event)
        return event

    def _now_ms(self) -> int:
        """The time of the next event, never before the last one: where the clock was put back, the time since then is
        told by one that nobody sets."""
        return max(time.time_ns() // 1_000_000, self._last_ms + _monotonic_ms() - self._last_monotonic_ms)

    def _write(self, line: bytes) -> None:
        """The whole line or nothing of it. What the system has survives this process; a line is one write."""
        assert self._file is not None, "a ledger that is only looked at is not written"
        before_bytes = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            if not self._grouped:
                self._sync()
        except OSError:
            self._file.truncate(before_bytes)
            raise

    def _sync(self) -> None:
        assert self._file is not None
        os.fdatasync(self._file.fileno()) if hasattr(os, "fdatasync") else os.fsync(self._file.fileno())

    def _read(self) -> None:
        for number, event in self._events():
            try:
                self._apply(event)
            except (KeyError, TypeError, ValueError, AttributeError):
                raise _unreadable(self.path, number, "it says something that no ledger says") from None

    def _events(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line numbers and events. Raises ValueError that names the line; a torn last one is none."""
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    raise _unreadable(self.path, number, str(error)) from None

    def _apply(self, event: dict[str, Any]) -> None:
        kind, time_ms = event["event"], event["time_ms"]
        self._last_ms, self._last_monotonic_ms = max(self._last_ms, time_ms), _monotonic_ms()
        if kind == "session" or not self._sessions:
            self._sessions.append([time_ms, time_ms])
        self._sessions[-1][1] = max(self._sessions[-1][1], time_ms)
        if kind in ("session", "sweep_end"):
            self.outcome = event.get("state", "")
            return
        if kind == "extend":
            self.samples, self.outcome = event["samples"], ""
            self.extended_by.add(event.get("job", ""))
            return
        if kind == "barrier":
            self.barrier = event["epoch"]
            return
        if kind == "trial":
            fresh = TrialRecord(event["trial"], event["params"], event["seed"], time_ms)
            self.trials.setdefault(event["trial"], fresh)
            return
        record = self.trials[event["trial"]]
        if kind == "report":
            report = _report(event)
            record.epoch, record.final = report.epoch, report.final
            record.metrics |= report.metrics
            record.reported_ms = report.time_ms
            if int(report.metrics.get(names.BEST_EPOCH) or report.epoch) == report.epoch:
                record.best = report.metrics
        elif kind == "checkpoint":
            record.checkpoints.append((event["epoch"], event["place"]))
            record.final_checkpoint = event.get("final", False)
        elif kind == "change":
            record.changes |= event["changes"]
        elif kind == "exploit":
            exploit = Exploit(*(event[name] for name in Exploit._fields))
            self.exploits.append(exploit)
            record.params = exploit.params
            record.best = self.trials[exploit.donor].best
            record.checkpoints.append((exploit.epoch, exploit.place))
        elif kind == "end":
            record.state, record.reason, record.ended_ms = event["state"], event["reason"], time_ms


def _unreadable(path: Path, number: int, reason: str) -> ValueError:
    return ValueError(
        f"{path}, line {number} cannot be read ({reason}): restore the file from a backup; what the sweep had recorded "
        "before is in MLflow"
    )


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics that are numbers; a residual without a single pick is none."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def cut_torn_line(path: Path) -> None:
    """Drop what follows the last newline: a writer that was killed in the middle of a line leaves that."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _report(event: dict[str, Any]) -> Report:
    metrics = event["metrics"]
    return Report(
        trial=event["trial"],
        epoch=int(metrics[names.EPOCH]),
        final=bool(metrics.get(names.FINAL)),
        metrics=metrics,
        time_ms=event["time_ms"],
    )
