"""What is said of a sweep before it starts: its trials, their models, their time. Starts no Ray."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces.sweep import Sweep
from seisweep.engine.cluster import Resources, workers_on
from seisweep.engine.search import Study
from seisweep.private.ray import resources_of_this_machine
from seisweep.requested import estimate
from seisweep.requested.trainable import Trainable
from seisweep.settings.profile import Profile

if TYPE_CHECKING:
    from trainables.training.rehearsal import Pace

FIRST = 5
"""Trials that are shown: those that no result has decided about yet."""


@dataclass(frozen=True)
class Forecast:
    """What is known of a sweep that has not begun."""

    num_trials: int | None
    """None where only time bounds it."""
    at_a_time: int
    first: list[tuple[dict[str, Any], int]]
    """Parameters and seeds of the first trials."""
    sizes: list[estimate.Size]
    """Of the smallest and the largest model."""
    pace: Pace | None
    """None where trials run elsewhere, or the trainable has no rehearsal."""
    why_no_pace: str = ""

    def lines(self, sweep: Sweep) -> Iterator[str]:
        """In short, for who starts it: a line of sizes, a line of time."""
        if large := estimate.how_large(self.sizes):
            yield large
        if self.pace:
            yield estimate.how_long(sweep, self.num_trials, self.at_a_time, self.pace)
        elif self.why_no_pace:
            yield self.why_no_pace
        if larger := estimate.larger_than_its_teacher(self.sizes, self.pace):
            yield larger


def forecast(
    sweep: Sweep,
    trainable: Trainable,
    profile: Profile,
    cache: Path,
    concurrency: int | None = None,
    is_dry: bool = False,
) -> Forecast:
    """Draw the first trials, build the smallest and the largest model, and train one step of the first trial where
    trials run on this machine. Writes nothing but temporary files. Raises ValueError where a model cannot be made.

    `is_dry`: nothing comes after it in this process, so that models are exported too, and a GPU may be used, which a
    driver leaves to its trials.
    """
    first, num_trials = first_trials(sweep, trainable)
    wanted = Resources(sweep, profile)
    pace, why = None, ""
    if profile.ray_address or profile.submit_to:
        why = "trials run on other machines: the first ones will show how long they take"
    elif wanted.gpus > 0 and not is_dry:
        why = "to measure how long a trial takes on the GPU, give the same command with --dry-run"
    elif first:
        try:
            pace = estimate.measured_pace(
                sweep, trainable, first[0][0], cache, wanted.cpus * wanted.workers, wanted.gpus
            )
        except (ValueError, RuntimeError, OSError) as error:  # memory, a disk: what they mean the trial itself will say
            why = f"how long a trial takes could not be measured: {' '.join(str(error).split())[:200]}"
    fitting = workers_on(resources_of_this_machine(), wanted) // wanted.workers
    most = concurrency or profile.max_concurrency or fitting
    return Forecast(
        num_trials=num_trials,
        at_a_time=max(1, min(fitting, most, num_trials or fitting)),
        first=first,
        sizes=estimate.extremes(sweep, trainable, cache, with_bytes=is_dry),
        pace=pace,
        why_no_pace=why,
    )


def first_trials(sweep: Sweep, trainable: Trainable) -> tuple[list[tuple[dict[str, Any], int]], int | None]:
    """Parameters and seeds of the first trials, exactly as the sweep will draw them; and how many it has."""
    with tempfile.TemporaryDirectory(prefix="seisweep-dry-run-") as folder:
        study = Study(sweep, Path(folder, "study.journal"), trainable.defaults(sweep))
        num_trials = study.num_known if sweep.sampler == "grid" else sweep.samples
        trials = [study.ask() for _ in range(min(FIRST, num_trials or FIRST))]
        return [(dict(trial.params), study.seed_of(trial)) for trial in trials], num_trials
