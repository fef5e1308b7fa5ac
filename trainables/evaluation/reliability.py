"""Reliability: how often there is an arrival where a picker says that there is one with probability p."""

# P phase, H bin of probabilities, F field as in `FIELDS`, N peak

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trainables import metrics
from trainables.data.config import PHASES
from trainables.evaluation.picks import THRESHOLDS, PickConfig, WindowArrivals, match_picks

NUM_BINS = 10
"""Of equal width from 0 to 1; peaks below the lowest threshold are not counted."""

FIELDS = ("peaks", "arrivals", "probability_sum")


@dataclass(frozen=True)
class Reliability:
    """Peaks by their height; counts of several batches add up."""

    counts_PHF: np.ndarray
    """How many peaks, how many of them with an arrival within the tolerance, and the sum of their probabilities."""

    @classmethod
    def zeros(cls) -> Reliability:
        return cls(np.zeros((len(PHASES), NUM_BINS, len(FIELDS))))

    @classmethod
    def of(cls, probabilities_BCT: np.ndarray, arrivals: Sequence[WindowArrivals], config: PickConfig) -> Reliability:
        """Of a batch, in the windows in which a phase was looked for."""
        counted = cls.zeros()
        for row, phase in enumerate(PHASES):
            for window_CT, of_window in zip(probabilities_BCT, arrivals, strict=True):
                if (its := of_window[phase]) is not None:
                    picks = match_picks(window_CT[row], its, config, THRESHOLDS[0])
                    bin_N = np.minimum((picks.probabilities * NUM_BINS).astype(int), NUM_BINS - 1)
                    fields_NF = [np.ones(len(bin_N)), np.isfinite(picks.residuals_s), picks.probabilities]
                    np.add.at(counted.counts_PHF[row], bin_N, np.stack(fields_NF, axis=1))
        return counted

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(self.counts_PHF + other.counts_PHF)

    def error(self, phase: str) -> float | None:
        """As `calibration_error`; None without a peak."""
        peaks_H, arrivals_H, sum_H = self.counts_PHF[PHASES.index(phase)].T
        return calibration_error(peaks_H, arrivals_H, sum_H) if peaks_H.any() else None

    def metrics(self, split: str) -> dict[str, float]:
        """`fp32/p_calibration_error`, `fp32/s_calibration_error`, where there are peaks."""
        errors = {phase: self.error(phase) for phase in PHASES}
        return {
            metrics.picking(split, phase, metrics.CALIBRATION_ERROR): error
            for phase, error in errors.items()
            if error is not None
        }


def calibration_error(peaks_H: np.ndarray, arrivals_H: np.ndarray, probability_sum_H: np.ndarray) -> float:
    """The expected calibration error: what share of the peaks in a bin have an arrival, against their mean probability,
    mean over peaks of the absolute difference."""
    return float(np.abs(arrivals_H - probability_sum_H).sum() / peaks_H.sum())


def reliability_table(by_picker: Mapping[str, Reliability]) -> pd.DataFrame:
    """The same as a table: picker, phase, from and to (the ends of a bin), peaks, arrivals, probability_sum."""
    edges = np.linspace(0, 1, NUM_BINS + 1).round(6)
    parts = [
        pd.DataFrame({"picker": name, "phase": phase, "from": edges[:-1], "to": edges[1:]}).join(
            pd.DataFrame(counts_HF, columns=list(FIELDS)).astype({"peaks": int, "arrivals": int})
        )
        for name, of_picker in by_picker.items()
        for phase, counts_HF in zip(PHASES, of_picker.counts_PHF, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
