"""Who reads runs back out of a store: its database where the tracking URI is one, else its server.

A database is read with a few queries of our own, which takes a tenth of the time of MLflow's client and none of its
imports; a server is asked through MLflow. Nothing is read before it is asked for, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from seisweep.settings.places import Places


class RunInfo(NamedTuple):
    """What MLflow's own `RunInfo` says, under its names. Times are in ms since 1970."""

    run_id: str
    experiment_id: str
    status: str
    start_time: int
    end_time: int | None
    artifact_uri: str


class RunData(NamedTuple):
    """What MLflow's own `RunData` says: metrics are the last values."""

    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


class Run(NamedTuple):
    """A run under the names of MLflow's own `Run`, which a server's runs are."""

    info: RunInfo
    data: RunData


def seconds_of(info: RunInfo) -> float | None:
    """How long a run took, at least 0 (a clock may have been put back meanwhile); None while it runs."""
    return max(0, info.end_time - info.start_time) / 1000 if info.end_time else None


def with_places(run: Run, places: Places) -> Run:
    """What a run says of files and folders, where these are now; of its own files a reader has said so already."""
    if not places.moves:
        return run
    data = run.data
    said = RunData(places.everywhere(dict(data.tags)), places.everywhere(dict(data.params)), data.metrics)
    return Run(run.info, said)


class Point(NamedTuple):
    """One value of a learning curve."""

    run_id: str
    metric: str
    step: int
    value: float


class Value(NamedTuple):
    """One value of a metric, as it was logged."""

    run_id: str
    metric: str
    step: int
    value: float
    time_ms: int


class Reader(Protocol):
    """What results want of a store. All raise ValueError in one line where it does not answer."""

    uri: str

    def sweeps(self, name: str | None = None) -> list[Run]:
        """Parent runs of all sweeps or of those of one name, the latest first."""

    def trials(self, parent: Run) -> list[Run]:
        """The runs of a sweep's trials."""

    def tagged(self, wanted: Mapping[str, str]) -> list[Run]:
        """All runs that have these tags."""

    def values(self, runs: Sequence[Run]) -> Iterator[Value]:
        """All values of all metrics of these runs."""

    def points(self, parent: Run, runs: Mapping[str, Run], metrics: Collection[str]) -> Sequence[Point]:
        """All values of these metrics of these trials (by run id), later ones last."""
