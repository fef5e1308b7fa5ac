"""How far a student agrees with its teacher on waveforms that nobody labelled.

The reference is what the teacher picks: agreement is not truth, and a student that repeats its teacher's errors agrees
with it. Where a second teacher is there, what both pick at the same time is the reference, which is closer to truth;
what one of them picks alone is neither right nor wrong, and picks of the student there are not counted.
"""

# B window of a batch, C class (P, S, noise), F field as in `picks.FIELDS`, N window or pick, P phase, T time sample

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainables import metrics
from trainables.data.batches import DevWindows
from trainables.data.config import PHASES, SAMPLING_RATE_HZ
from trainables.evaluation.counts import EventCounts
from trainables.evaluation.event_scores import Probabilities, picking_intervals
from trainables.evaluation.picks import FIELDS, PickConfig, distinct_arrivals, match_picks, scores_of

SAME_PICK_S = 0.3
"""Picks of two teachers that lie as close as this are one and the same."""

COUNTED = [FIELDS.index(field) for field in ("tp", "fp", "fn")]


@dataclass(frozen=True)
class Reference:
    """What a student is held against in one window, for one phase, in samples of the window."""

    picks: np.ndarray
    """Of the teacher; of two teachers those of the first that the second makes too."""
    doubtful: np.ndarray
    """Of one teacher alone."""


@dataclass(frozen=True)
class Agreement:
    """A student and its teacher on the same windows."""

    counts: EventCounts
    """By block of time and station."""
    sums_PF: np.ndarray
    """Fields of each phase, as in `picks.FIELDS`."""
    thresholds: Mapping[str, float]
    """Of the student."""
    doubtful: int | None = None
    """How many picks one of two teachers makes alone; None where there is no second one."""

    @property
    def reference_picks(self) -> dict[str, int]:
        """How many picks of each phase the student is held against."""
        return {
            phase: int(self.counts.true[phase].sum() + self.counts.missed[phase].sum()) for phase in self.counts.true
        }

    @property
    def metrics(self) -> dict[str, float]:
        """`agreement/f1`, `agreement/p_recall`, `agreement/s_residual_mae_s` ..., the intervals of the F1s by the
        bootstrap over blocks of time and station, and how many picks are the reference (`agreement/p_picks`)."""
        found = scores_of(self.sums_PF, self.thresholds, metrics.AGREEMENT)
        kept = {name: value for name, value in found.items() if not name.endswith("threshold")}
        for phase, number in self.reference_picks.items():
            kept[metrics.picking(metrics.AGREEMENT, phase, "picks")] = float(number)
        if self.doubtful is not None:
            kept[metrics.picking(metrics.AGREEMENT, None, "picks_of_one_teacher")] = float(self.doubtful)
        return kept | picking_intervals(self.counts, metrics.AGREEMENT)


def agree(
    student: Probabilities,
    windows: DevWindows,
    thresholds: Mapping[str, float],
    config: PickConfig,
    batch_size: int,
    second: Probabilities | None = None,
    second_threshold: float = 0.3,
) -> Agreement:
    """Hold the student's picks, at its thresholds, against the teacher's, which are the arrivals of `windows`.

    `second`: another teacher, whose picks are peaks of at least `second_threshold`. `windows.events` are the blocks.
    """
    fields_NPF = []
    doubtful = 0
    for batch, arrivals in windows.batches(batch_size):
        answer_BCT = student(batch)
        other_BCT = None if second is None else second(batch)
        for b, of_window in enumerate(arrivals):
            heard_CT = None if other_BCT is None else other_BCT[b]
            references = references_of(of_window, heard_CT, second_threshold, config)
            doubtful += sum(len(its.doubtful) for its in references.values() if its is not None)
            fields_NPF.append(count_against(answer_BCT[b], references, thresholds, config))
    by_window_NPF = np.stack(fields_NPF)
    rows = [PHASES.index(phase) for phase in windows.phases]
    counted_NPF = by_window_NPF[:, rows][..., COUNTED].astype(np.int64)
    counts = EventCounts.of_events(windows.events, counted_NPF, windows.phases)
    return Agreement(counts, by_window_NPF.sum(axis=0), thresholds, None if second is None else doubtful)


def references_of(
    arrivals: Mapping[str, np.ndarray | None], second_CT: np.ndarray | None, threshold: float, config: PickConfig
) -> dict[str, Reference | None]:
    """By phase, from the first teacher's picks in a window and what a second one answers for it; None for a phase that
    was not looked for."""
    found: dict[str, Reference | None] = {}
    for row, phase in enumerate(PHASES):
        first = arrivals[phase]
        if first is None:
            found[phase] = None
        elif second_CT is None:
            found[phase] = Reference(first, np.empty(0))
        else:
            peaks = match_picks(second_CT[row], np.empty(0), config)
            found[phase] = consensus(first, peaks.samples[peaks.probabilities >= threshold])
    return found


def consensus(first: np.ndarray, second: np.ndarray, within_s: float = SAME_PICK_S) -> Reference:
    """What two teachers pick alike, the closest pairs first, each pick in one pair at most; and what only one does."""
    distance = np.abs(np.subtract.outer(first, second))
    pairs = np.argwhere(distance <= within_s * SAMPLING_RATE_HZ + 1e-9)
    mine, yours = set[int](), set[int]()
    for one, other in pairs[np.argsort(distance[tuple(pairs.T)], kind="stable")].tolist():
        if one not in mine and other not in yours:
            mine.add(one)
            yours.add(other)
    is_shared = np.isin(np.arange(len(first)), list(mine))
    is_taken = np.isin(np.arange(len(second)), list(yours))
    return Reference(first[is_shared], np.sort(np.concatenate([first[~is_shared], second[~is_taken]])))


def count_against(
    answer_CT: np.ndarray,
    references: Mapping[str, Reference | None],
    thresholds: Mapping[str, float],
    config: PickConfig,
) -> np.ndarray:
    """Fields (P, F) of one window. A pick is right, or else not counted near a doubtful one, or else false."""
    fields_PF = np.zeros((len(PHASES), len(FIELDS)))
    for row, phase in enumerate(PHASES):
        if (reference := references[phase]) is None:
            continue
        picks = match_picks(answer_CT[row], reference.picks, config)
        reaches_N = picks.probabilities >= thresholds[phase]
        residuals_s_N = picks.residuals_s[reaches_N]
        is_true_N = np.isfinite(residuals_s_N)
        lone_N = picks.samples[reaches_N][~is_true_N]
        near_N = np.abs(np.subtract.outer(lone_N, reference.doubtful)) <= config.tolerance_s * SAMPLING_RATE_HZ
        true_s = residuals_s_N[is_true_N]
        fields_PF[row] = (
            len(true_s),
            len(lone_N) - int(near_N.any(axis=1).sum()),
            len(distinct_arrivals(reference.picks, config)) - len(true_s),
            true_s.sum(),
            np.abs(true_s).sum(),
            (true_s**2).sum(),
            answer_CT.shape[-1] / SAMPLING_RATE_HZ,
            0,  # of P taken for S nothing is said here
            0,
        )
    return fields_PF
