"""Picks against arrivals: peaks of the probabilities, matched, counted at every threshold at once.

Of two close peaks `find_peaks` keeps the higher, and the higher pick chooses its arrival first. A lower
threshold therefore only adds picks at the end of that order, and changes nothing before. So peaks are found
and matched once, at the lowest threshold; what a higher one would give is the part of them that reaches it.

Of two peaks closer than `distance_samples` one is kept, so nobody could find both of two arrivals of a phase that are
as close as that. They count as one arrival, which a pick near either of them finds.

A false pick that lies on an arrival of the other phase has taken P for S, or S for P, which is counted beside the rest.
"""

# B batch, C class (P, S, noise), T time sample, H height threshold, N picks of a window

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from scipy.signal import find_peaks
from torch import Tensor

from trainables import metrics
from trainables.config import Config
from trainables.data.config import PHASES, SAMPLING_RATE_HZ

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Heights that are tried on dev: 0.05, 0.10 ... 0.95."""

WindowArrivals = Mapping[str, np.ndarray | None]
"""True arrivals of one window by phase, as sample positions inside it; None where the phase was not looked for, and
nothing that is picked of it is right or wrong."""

FIELDS = (
    "tp",
    "fp",
    "fn",
    "residual_s",
    "abs_residual_s",
    "squared_residual_s2",
    "duration_s",
    "mistaken",
    "others",
)
"""Of a phase: `mistaken` are arrivals of the other phase that were picked as this one, `others` all that there were to
be mistaken, where both were looked for."""


class PickConfig(Config):
    """How picks are found and matched."""

    distance_samples: int = Field(100, ge=1)
    """Smallest distance between two picks of the same phase, in samples at 100 Hz."""

    tolerance_s: float = Field(0.5, gt=0, le=10)
    """Largest distance between a pick and an arrival that it matches; a matched pick counts as true."""


@dataclass(frozen=True)
class WindowPicks:
    """Picks of one phase in one window above the lowest threshold, the most probable first."""

    samples: np.ndarray
    probabilities: np.ndarray
    residuals_s: np.ndarray
    """Pick minus arrival in seconds; NaN where no arrival is left within the tolerance."""


@dataclass(frozen=True)
class PickCounts:
    """Sums over windows that all scores follow from; counts of several workers add up."""

    tensor: Tensor
    """float64, (phase P S, threshold, field), fields as in `FIELDS`; the duration of a phase is that of the windows in
    which it was looked for."""
    thresholds: Sequence[float] = THRESHOLDS
    """At which it was counted, ascending."""

    @classmethod
    def zeros(cls, thresholds: Sequence[float] = THRESHOLDS) -> PickCounts:
        return cls(torch.zeros(len(PHASES), len(thresholds), len(FIELDS), dtype=torch.float64), thresholds)

    def __add__(self, other: PickCounts) -> PickCounts:
        assert tuple(self.thresholds) == tuple(other.thresholds), "counted at other thresholds"
        return PickCounts(self.tensor + other.tensor, self.thresholds)

    def field(self, phase: str, name: str) -> np.ndarray:
        """One field of a phase at every threshold."""
        return self.tensor[PHASES.index(phase), :, FIELDS.index(name)].numpy()

    def f1(self, phase: str) -> np.ndarray:
        """F1 of a phase at every threshold; 0 where there is neither pick nor arrival."""
        tp_H, fp_H, fn_H = (self.field(phase, name) for name in ("tp", "fp", "fn"))
        return 2 * tp_H / np.maximum(2 * tp_H + fp_H + fn_H, 1)

    def at(self, thresholds: Mapping[str, float]) -> np.ndarray:
        """Fields of each phase at its threshold, (phase, field). Raises ValueError where that was not counted."""
        columns = [self._column(thresholds[phase]) for phase in PHASES]
        return np.stack([self.tensor[row, column].numpy() for row, column in enumerate(columns)])

    def _column(self, threshold: float) -> int:
        for column, counted in enumerate(self.thresholds):
            if abs(counted - threshold) < 1e-6:
                return column
        counted_at = ", ".join(f"{counted:g}" for counted in self.thresholds)
        if self.thresholds == THRESHOLDS:
            counted_at = "0.05 to 0.95 in steps of 0.05"
        raise ValueError(f"threshold {threshold:g}: counted are {counted_at}")


def match_picks(
    probability_T: np.ndarray, arrivals: np.ndarray, config: PickConfig, lowest: float = THRESHOLDS[0]
) -> WindowPicks:
    """Peaks of one phase's probability, from `lowest` up, each with the nearest arrival that no higher one took.

    Arrivals that are one to the peak rule are taken together: see `distinct_arrivals`.
    """
    if probability_T.max(initial=0.0) < lowest:
        return WindowPicks(*(np.empty(0),) * 3)
    peaks_N, found = find_peaks(probability_T, height=lowest, distance=config.distance_samples)
    order_N = np.argsort(-found["peak_heights"], kind="stable")
    samples_N, heights_N = peaks_N[order_N], found["peak_heights"][order_N]

    return WindowPicks(samples_N, heights_N, _residuals_s(samples_N, arrivals, config))


def _residuals_s(samples_N: np.ndarray, arrivals: np.ndarray, config: PickConfig) -> np.ndarray:
    """Of each pick, in this order, to the nearest arrival that none before it took; NaN where there is none near."""
    residuals_s_N = np.full(len(samples_N), np.nan)
    unmatched = distinct_arrivals(arrivals, config)
    for pick, sample in enumerate(samples_N):
        if not unmatched:
            break
        distances = [min((sample - arrival for arrival in one), key=abs) for one in unmatched]
        nearest = min(range(len(unmatched)), key=lambda number: abs(distances[number]))
        residual_s = distances[nearest] / SAMPLING_RATE_HZ
        if abs(residual_s) <= config.tolerance_s:
            residuals_s_N[pick] = residual_s
            del unmatched[nearest]
    return residuals_s_N


def mistaken_picks(picks: WindowPicks, others: np.ndarray | None, config: PickConfig) -> np.ndarray:
    """Which picks (N,) are false and lie on an arrival of the other phase that no higher one has taken. None of them
    where that phase was not looked for."""
    is_mistaken_N = np.isnan(picks.residuals_s)
    if others is None:
        return np.zeros_like(is_mistaken_N)
    is_mistaken_N[is_mistaken_N] = np.isfinite(_residuals_s(picks.samples[is_mistaken_N], others, config))
    return is_mistaken_N


def other_phase(phase: str) -> str:
    """S of P, P of S."""
    return PHASES[1 - PHASES.index(phase)]


def distinct_arrivals(arrivals: np.ndarray, config: PickConfig) -> list[list[float]]:
    """Arrivals of one phase in one window that picks can tell apart; those closer than `distance_samples` to the first
    of a group are one with it, as peaks are (whole samples count)."""
    groups: list[list[float]] = []
    for arrival in sorted(map(float, arrivals)):
        if groups and round(arrival) - round(groups[-1][0]) < config.distance_samples:
            groups[-1].append(arrival)
        else:
            groups.append([arrival])
    return groups


def count_picks(
    probabilities_BCT: Tensor | np.ndarray,
    arrivals: Sequence[WindowArrivals],
    config: PickConfig,
    thresholds: Sequence[float] = THRESHOLDS,
) -> PickCounts:
    """Counts of a batch at every threshold, which ascend. `arrivals` has one entry for each window."""
    probabilities_BCT = _as_numpy(probabilities_BCT)
    assert len(probabilities_BCT) == len(arrivals), "one entry of arrivals for each window"
    counts = np.zeros((len(PHASES), len(thresholds), len(FIELDS)))
    for row, phase in enumerate(PHASES):
        known = [
            (window_CT[row], its, window_arrivals[other_phase(phase)])
            for window_CT, window_arrivals in zip(probabilities_BCT, arrivals, strict=True)
            if (its := window_arrivals[phase]) is not None
        ]
        picks = [match_picks(curve_T, its, config, min(thresholds[0], THRESHOLDS[0])) for curve_T, its, _ in known]
        mistaken = [
            mistaken_picks(of_window, others, config) for of_window, (*_, others) in zip(picks, known, strict=True)
        ]
        num_arrivals = sum(len(distinct_arrivals(its, config)) for _, its, _ in known)
        counts[row] = _sums_by_threshold(picks, mistaken, num_arrivals, thresholds)
        counts[row, :, FIELDS.index("others")] = sum(
            len(distinct_arrivals(others, config)) for *_, others in known if others is not None
        )
        counts[row, :, FIELDS.index("duration_s")] = len(known) * probabilities_BCT.shape[-1] / SAMPLING_RATE_HZ
    return PickCounts(torch.from_numpy(counts), thresholds)


def count_each(
    probabilities_BCT: Tensor | np.ndarray,
    arrivals: Sequence[WindowArrivals],
    config: PickConfig,
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[PickCounts]:
    """As `count_picks`, of each window of the batch."""
    windows = zip(_as_numpy(probabilities_BCT), arrivals, strict=True)
    return [count_picks(window_CT[None], [of_window], config, thresholds) for window_CT, of_window in windows]


def fields_of_windows(
    probabilities_BCT: Tensor | np.ndarray,
    arrivals: Sequence[WindowArrivals],
    thresholds: Mapping[str, float],
    config: PickConfig,
) -> np.ndarray:
    """Of each window (B, phase, field) what is counted of each phase at its threshold, fields as in `FIELDS`."""
    counted = count_each(probabilities_BCT, arrivals, config, tuple(sorted(set(thresholds.values()))))
    return np.stack([of_window.at(thresholds) for of_window in counted])


def residuals_s(
    probabilities_BCT: Tensor | np.ndarray,
    arrivals: Sequence[WindowArrivals],
    thresholds: Mapping[str, float],
    config: PickConfig,
) -> dict[str, np.ndarray]:
    """Residuals (pick minus arrival, seconds) of the true picks of each phase, for histograms."""
    residuals: dict[str, np.ndarray] = {}
    probabilities_BCT = _as_numpy(probabilities_BCT)
    for row, phase in enumerate(PHASES):
        of_phase = [np.empty(0)]
        for window_CT, window_arrivals in zip(probabilities_BCT, arrivals, strict=True):
            its = window_arrivals[phase]
            if its is None:
                continue
            picks = match_picks(window_CT[row], its, config)
            true_N = (picks.probabilities >= thresholds[phase]) & np.isfinite(picks.residuals_s)
            of_phase.append(picks.residuals_s[true_N])
        residuals[phase] = np.concatenate(of_phase)
    return residuals


def best_thresholds(counts: PickCounts) -> dict[str, float]:
    """The threshold with the best F1 of each phase; of several equally good ones the middle one."""
    best = {}
    for phase in PHASES:
        f1_H = counts.f1(phase)
        equally_good = np.flatnonzero(f1_H >= f1_H.max() - 1e-12)
        best[phase] = counts.thresholds[equally_good[len(equally_good) // 2]]
    return best


def scores(counts: PickCounts, thresholds: Mapping[str, float] | None = None, split: str = "dev") -> dict[str, float]:
    """Metrics by name: `dev/f1`, `dev/p_precision`, `dev/s_residual_mae_s` ..., `dev/false_picks_per_hour`.

    Without `thresholds` each phase gets its best one. `dev/s_f1_at_0.3` is at that threshold whatever the best one is.
    Residuals are left out where nothing was picked right:
    they do not exist; so are all scores of a phase that was looked for nowhere, and `dev/f1` is the other one's. Raises
    ValueError for a threshold that was not counted.
    """
    thresholds = thresholds or best_thresholds(counts)
    found = scores_of(counts.at(thresholds), thresholds, split)
    if metrics.FIXED_THRESHOLD in counts.thresholds:
        column = counts.thresholds.index(metrics.FIXED_THRESHOLD)
        for phase in PHASES:
            if metrics.picking(split, phase, "f1") in found:
                found[metrics.picking(split, phase, metrics.F1_AT_FIXED)] = float(counts.f1(phase)[column])
    return found


def scores_of(sums_PF: np.ndarray, thresholds: Mapping[str, float], split: str) -> dict[str, float]:
    """The same of the fields (phase, field) that `PickCounts.at` gives, or sums of such."""
    result: dict[str, float] = {}
    f1, false_picks = [], []
    longest_s = float(sums_PF[:, FIELDS.index("duration_s")].max())
    for row, phase in enumerate(PHASES):
        sums = dict(zip(FIELDS, sums_PF[row].tolist(), strict=True))
        of_phase = {"threshold": float(thresholds[phase])}
        if sums["duration_s"] or not longest_s:
            of_phase = _phase_scores(sums) | of_phase
            if sums["others"]:
                of_phase[metrics.picks_on(other_phase(phase))] = sums["mistaken"] / sums["others"]
            f1.append(of_phase["f1"])
            false_picks.append(sums["fp"] * (longest_s / sums["duration_s"] if longest_s else 0))
        result |= {metrics.picking(split, phase, name): value for name, value in of_phase.items()}
    result[metrics.picking(split, None, "f1")] = sum(f1) / len(f1)
    result[metrics.picking(split, None, "false_picks_per_hour")] = (
        sum(false_picks) / (longest_s / 3600) if longest_s else 0.0
    )
    return result


def _sums_by_threshold(
    picks: Sequence[WindowPicks], mistaken: Sequence[np.ndarray], num_arrivals: int, thresholds: Sequence[float]
) -> np.ndarray:
    """Fields (threshold, field) of one phase; the duration and the other phase's arrivals are left 0."""
    heights_N = np.concatenate([window.probabilities for window in picks] or [np.empty(0)])
    residuals_N = np.concatenate([window.residuals_s for window in picks] or [np.empty(0)])
    true_N = np.isfinite(residuals_N)
    residuals_N = np.where(true_N, residuals_N, 0.0)
    reaches_HN = heights_N >= np.array(thresholds)[:, None]

    sums = np.zeros((len(thresholds), len(FIELDS)))
    sums[:, 0] = reaches_HN @ true_N.astype(float)
    sums[:, 1] = reaches_HN @ (~true_N).astype(float)
    sums[:, 2] = num_arrivals - sums[:, 0]
    sums[:, 3] = reaches_HN @ residuals_N
    sums[:, 4] = reaches_HN @ np.abs(residuals_N)
    sums[:, 5] = reaches_HN @ residuals_N**2
    sums[:, FIELDS.index("mistaken")] = reaches_HN @ np.concatenate([*mistaken, np.empty(0)])
    return sums


def _phase_scores(sums: Mapping[str, float]) -> dict[str, float]:
    tp, fp, fn = sums["tp"], sums["fp"], sums["fn"]
    result = {
        "f1": 2 * tp / max(2 * tp + fp + fn, 1),
        "precision": tp / max(tp + fp, 1),
        "recall": tp / max(tp + fn, 1),
    }
    if tp:
        mean_s = sums["residual_s"] / tp
        result["residual_mean_s"] = mean_s
        result["residual_mae_s"] = sums["abs_residual_s"] / tp
        result["residual_std_s"] = max(sums["squared_residual_s2"] / tp - mean_s**2, 0.0) ** 0.5
    return result


def _as_numpy(probabilities_BCT: Tensor | np.ndarray) -> np.ndarray:
    if isinstance(probabilities_BCT, Tensor):
        return probabilities_BCT.detach().float().cpu().numpy()
    return probabilities_BCT
