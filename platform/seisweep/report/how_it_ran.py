"""How it was run: when, with which code and data, on what; and where MLflow shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from seisweep.record import tags
from seisweep.record.mlflow_pages import pages
from seisweep.record.mlflow_server import base_url
from seisweep.report.cells import Facts
from seisweep.results.runs import seconds_of
from seisweep.results.sweep_results import SweepResults
from seisweep.statistics.objective import DONE
from seisweep.text import show_seconds

_SHOWN_ELSEWHERE = {
    tags.ROLE,
    tags.SWEEP,
    tags.SWEEP_ID,
    tags.KIND,
    tags.STATE,
    tags.OBJECTIVES,
    tags.BASELINE,
    tags.NUM_TRIALS,
    tags.BEST_TRIAL,
    tags.BEST_APART,
    tags.TRAINABLE,
    tags.GIT_COMMIT,
    tags.GIT_DIRTY,
    tags.HARDWARE,
    tags.VERSIONS,
    tags.PROFILE,
    tags.OWN_NOTE,
    tags.MERGED,
}
_PAGES = {
    "trials": "every trial with what was varied and how it did",
    "charts": "learning curves of all trials, by metric",
    "compare": "the best trials side by side",
    "sweep": "the sweep's own run with its files",
}


def ran(sweep: SweepResults) -> Facts:
    """Pairs of what and its value, in words."""
    return [(name, value) for name, value in _facts(sweep) if value]


def _facts(sweep: SweepResults) -> Iterator[tuple[str, str]]:
    facts, info = sweep.parent.data.tags, sweep.parent.info
    yield "note", facts.get(tags.OWN_NOTE, facts.get(tags.NOTE, ""))
    yield "launched", f"{_when(info.start_time)} by {facts.get(tags.USER, 'unknown')}"
    if info.end_time and (took := seconds_of(info)) is not None:
        yield "ended", f"{_when(info.end_time)}, after {show_seconds(took)}"
    else:
        yield "ended", "not yet; `seisweep sweeps` says whether its driver still runs"
    if seconds := float(sweep.trials["seconds"].fillna(0).sum()):
        yield "trials took", f"{show_seconds(seconds)} together"
    yield "profile", facts.get(tags.PROFILE, "")
    commit = facts.get(tags.GIT_COMMIT, "")
    yield "code", f"{commit}, with changes that were not committed" if _is_dirty(facts) else commit
    yield "versions", facts.get(tags.VERSIONS, "")
    yield "hardware", _hardware(sweep)
    for key in sorted(facts.keys() - _SHOWN_ELSEWHERE):
        if not key.startswith("mlflow."):
            yield key.replace("_", " "), facts[key]


def _is_dirty(facts: dict[str, str]) -> bool:
    return facts.get(tags.GIT_DIRTY) == "true"


def _hardware(sweep: SweepResults) -> str:
    """Where trials trained, with their number where that was in several places."""
    machines = Counter(run.data.tags.get(tags.HARDWARE, "") for run in sweep.runs.values())
    machines.pop("", None)
    if not machines:
        return sweep.parent.data.tags.get(tags.HARDWARE, "")
    if len(machines) == 1:
        return next(iter(machines))
    return "; ".join(f"{machine} ({count} trials)" for machine, count in machines.most_common())


def pages_in_mlflow(sweep: SweepResults) -> list[tuple[str, str, str]]:
    """Name, address and what is to be seen there."""
    best_ids = [sweep.run(number).info.run_id for number in sweep.ranked() if sweep.state(number) == DONE]
    info, base = sweep.parent.info, base_url(sweep.tracking_uri)
    found = pages(sweep.name, info.experiment_id, info.run_id, best_ids)
    return [(name, base + found[name], words) for name, words in _PAGES.items() if name in found]


def _when(time_ms: int) -> str:
    return pd.Timestamp(time_ms, unit="ms", tz="UTC").strftime("%Y-%m-%d %H:%M UTC")
