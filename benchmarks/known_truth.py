"""Do printed intervals cover the truth, and does `confirm` name false winners? Simulated sweeps whose truth is known.

    python benchmarks/known_truth.py [--sweeps 1000] [--events 13]

Trials share their dev events, which differ in how hard they are and in how many stations recorded them; each trial has
a skill of its own, some event by event. Its true F1 is that of all events there could be, by quadrature. What is
counted goes through the code that a finished trial, the end of a sweep and `confirm` go through, and what they would
print is held against the truth.
"""

# G event, W window, P phase, F field (true, false, missed)

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

import numpy as np
from seisweep.engine.outcome import TrialRow
from seisweep.screen.ending import trial_rows
from seisweep.statistics.certainty import tell_apart
from seisweep.statistics.conditions import Condition
from seisweep.statistics.confirmation import verdict
from seisweep.statistics.objective import Objective

from search_spaces.sweep import Confirms
from trainables.evaluation.counts import EventCounts
from trainables.evaluation.event_scores import picking_intervals

METRIC = "dev/f1"
PHASES = ["P", "S"]
TRIALS = 8
WINDOWS_PER_TRACE = 20
PRINTED = re.compile(r"(\S+) \.\. (\S+)")


@dataclass(frozen=True)
class World:
    """How hard events are, and what sets trials apart. Spreads are standard deviations of a logit."""

    hardness: float = 1.0
    """Of events, for every trial alike."""
    taste: float = 0.4
    """Of a trial in an event, for each phase: what one architecture finds and another does not."""
    share_with_pick: float = 0.75
    false_per_window: float = 0.03

    def events(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Windows and hardness of each event."""
        return WINDOWS_PER_TRACE * (1 + rng.poisson(2, count)), rng.normal(0, self.hardness, count)

    def found(self, rng: np.random.Generator, events: tuple[np.ndarray, np.ndarray], skill_P: np.ndarray,
              taste_GP: np.ndarray | None = None) -> EventCounts:  # fmt: skip
        """What a trial of this skill gets right and wrong; its taste is drawn where it is not given."""
        windows_G, hardness_G = events
        if taste_GP is None:
            taste_GP = rng.normal(0, self.taste, (len(windows_G), len(PHASES)))
        share_GP = _expit(skill_P + hardness_G[:, None] + taste_GP)
        arrivals_GP = rng.binomial(windows_G[:, None], self.share_with_pick, share_GP.shape)
        true_GP = rng.binomial(arrivals_GP, share_GP)
        loud_GP = rng.gamma(0.5, 2, share_GP.shape)  # a few events have most false picks
        false_GP = rng.poisson(windows_G[:, None] * self.false_per_window * loud_GP)
        counts_GPF = np.stack([true_GP, false_GP, arrivals_GP - true_GP], axis=2)
        return EventCounts.of_events([f"event {g:04d}" for g in range(len(windows_G))], counts_GPF, PHASES)

    def true_f1(self, skill_P: np.ndarray) -> float:
        """F1 of expectations, the mean over phases."""
        node_Q, weight_Q = np.polynomial.hermite_e.hermegauss(80)
        spread = np.hypot(self.hardness, self.taste)
        share_P = (_expit(skill_P[:, None] + spread * node_Q) * weight_Q).sum(axis=1) / weight_Q.sum()
        true_P = self.share_with_pick * share_P
        return float((2 * true_P / (true_P + self.share_with_pick + self.false_per_window)).mean())


def covered(world: World, sweeps: int, events: int) -> dict[str, float]:
    """Shares of printed intervals that hold the truth: of all trials, of the best of each sweep; and how often the best
    two of equally good ones are said to be told apart."""
    rng = np.random.default_rng(0)
    of_all, of_best, apart = [], [], []
    for _ in range(sweeps):
        shared = world.events(rng, events)
        skills = np.array([2.0, 1.2]) + rng.normal(0, 0.5, (TRIALS, 1))
        counts = [world.found(rng, shared, skill_P) for skill_P in skills]
        rows = [
            TrialRow(n, str(n), "done", metrics={METRIC: one.f1()} | picking_intervals(one, "dev"))
            for n, one in enumerate(counts)
        ]
        holds = []
        for row, skill_P in zip(trial_rows(rows, [METRIC]), skills, strict=True):
            low, high = map(float, PRINTED.fullmatch(row[f"{METRIC} 95 %"]).groups())
            holds.append(low <= round(world.true_f1(skill_P), 3) <= high)
        of_all += holds
        of_best.append(holds[int(np.argmax([row.metrics[METRIC] for row in rows]))])
        pair = [world.found(rng, shared, skills[0]) for _ in range(2)]
        told = tell_apart(METRIC, (0, {"dev": pair[0]}), (1, {"dev": pair[1]}))
        apart.append(told is not None and told.apart)
    return {
        "all trials": float(np.mean(of_all)),
        "the best of 8": float(np.mean(of_best)),
        "equal pairs told apart": float(np.mean(apart)),
    }


def false_winners(world: World, sweeps: int, events: int, seeds: int = 5, top: int = 3) -> float:
    """Share of confirmations of equally good configurations that name one of them the better one."""
    rng = np.random.default_rng(1)
    named = 0
    for _ in range(sweeps):
        shared = world.events(rng, events)
        found, counted = [], []
        for number in range(top):
            taste_GP = rng.normal(0, world.taste, (events, len(PHASES)))
            skills = np.array([2.0, 1.2]) + rng.normal(0, 0.2, (seeds, 1))
            of_seeds = [world.found(rng, shared, skill_P, taste_GP) for skill_P in skills]
            values = {seed: one.f1() for seed, one in enumerate(of_seeds)}
            found.append(Condition({"x": number}, values, list(range(seeds))))
            counted.append(EventCounts.total(of_seeds))
        confirms = Confirms(sweep="first", trials=list(range(top)), values=[0.9] * top)
        said = verdict(found, confirms, Objective(METRIC, "max"), counted)[0]
        named += said.startswith(("the winner stays the winner", "the winner does not stay the winner"))
    return named / sweeps


def _expit(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--events", type=int, default=13)
    given = parser.parse_args()
    for name, share in covered(World(), given.sweeps, given.events).items():
        print(f"{given.events} events, {given.sweeps} sweeps: {name}: {100 * share:.1f} %")
    for taste in (0.0, 0.4):
        share = false_winners(World(taste=taste), given.sweeps, given.events)
        print(f"confirm, {given.sweeps} times, taste {taste}: names a false winner in {100 * share:.1f} %")


if __name__ == "__main__":
    main()
