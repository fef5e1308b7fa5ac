"""What the engine says of a sweep while it runs and at its end, and who listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from search_spaces.sweep import Confirms, Sweep

State = Literal["pending", "running", "done", "stopped", "failed", "interrupted"]
"""`interrupted` is a trial under way when a session has ended, as the record has it too."""
OVER = ("done", "stopped", "failed")


@dataclass
class TrialRow:
    """One trial as the engine last saw it."""

    number: int
    trial_id: str
    state: State
    epoch: int = 0
    epochs: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    seed: int = 0


@dataclass(frozen=True)
class LeftBehind:
    """What a session could not use or finish, for the machines of its cluster."""

    nodes: list[tuple[str, str]] = field(default_factory=list)
    """Nodes on which no trial ran, and why."""
    trials: dict[int, str] = field(default_factory=dict)
    """Trials, by number, that no machine they were tried on could finish, and why."""


NOTHING = LeftBehind()


@dataclass
class Outcome:
    """How a sweep ended, and where its record lies."""

    name: str
    state: Literal["finished", "interrupted", "failed"]
    rows: list[TrialRow]
    best: TrialRow | None
    experiment_id: str
    parent_run_id: str
    tracking_uri: str
    objectives: dict[str, str]
    obstacle: str = ""
    """Why an interrupted sweep could not go on, and what helps, in one line."""
    by_user: bool = False
    """Somebody asked it to end, by Ctrl-C or a signal."""
    baseline: dict[str, Any] = field(default_factory=dict)
    """With several seeds: settings of the condition that the others are compared with."""
    confirms: Confirms | None = None
    """Where it trained the best of another sweep again: whose."""
    is_grid: bool = False
    """All of its trials were asked for; of a search, some may fail."""
    lacks_in_mlflow: str = ""
    """What MLflow could not be told yet; empty where it has everything that it takes."""
    best_apart: bool = False
    """Whether MLflow tells best and last apart."""
    nodes_left_out: list[tuple[str, str]] = field(default_factory=list)
    """Of a cluster: nodes that held nothing that was asked for, and why no trial ran there."""

    @property
    def exit_code(self) -> int:
        """0 done; 1 failed, interrupted, or a trial of a grid is missing; 3 done, and MLflow lacks something."""
        if self.state != "finished" or (self.is_grid and any(row.state == "failed" for row in self.rows)):
            return 1
        return 3 if self.lacks_in_mlflow else 0


class Watch(Protocol):
    """Whoever wants to see a sweep run. The engine calls it from the driver's thread."""

    def started(self, sweep: Sweep, name: str, num_trials: int | None) -> None: ...
    def trial_update(self, row: TrialRow) -> None: ...
    def log(self, line: str) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...


class Silent:
    """A watch that shows nothing."""

    def started(self, sweep: Sweep, name: str, num_trials: int | None) -> None: ...
    def trial_update(self, row: Any) -> None: ...
    def log(self, line: str) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...
