"""Calibration: a map of a picker's logits after which a peak of probability p is an arrival in a share p of cases.

Training fixes the shape of the curves, not their height: with a large share of a softened teacher the S peaks of a good
student stay below 0.3. What a user of a pick wants to know is how often a peak like this one has an arrival within the
tolerance, so that is what is fitted: Platt's scaling (1999) of P and of S, by the likelihood of what the peaks on dev
turned out to be. Against noise, whose logit stays, the logits of P and S become

    z_P - z_N -> a_P (z_P - z_N) + b_P,    z_S - z_N -> a_S (z_S - z_N) + b_S,    a > 0,

which is linear in the logits: it can be written into the last convolution, and the softmax stays one. A curve keeps the
order of its peaks but where P and S compete for the same sample: so peaks are looked for again after a fit, and it is
repeated. Where peaks are calibrated, the F1 is best at half of
its own best value (Lipton et al. 2014, arXiv:1402.1892), at 0.3 to 0.5 for an F1 of 0.6 to 1.
"""

# B window of a batch, C class (P, S, noise), N peak, P phase, T time sample

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from trainables.data.config import PHASES
from trainables.evaluation.picks import PickConfig, WindowArrivals, match_picks

HEIGHTS = (0.01, 0.003, 0.001, 0.0003)
"""A map is fitted to the peaks above the first of these that leaves enough of either kind. Far below what is picked:
where all peaks above a height are arrivals, it is the lower ones that say where the false ones begin."""

LEAST_PEAKS = 20
"""So many arrivals with a peak, and so many peaks without an arrival, are enough for the map of a phase."""


@dataclass(frozen=True)
class Calibration:
    """The map, by phase; 1 and 0 leave a phase as it is."""

    scale: Mapping[str, float]
    shift: Mapping[str, float]

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Logits (..., C), P, S, noise, as they are after it."""
        matrix_CC, shift_C = self.as_matrix()
        return logits @ matrix_CC.T + shift_C

    def as_matrix(self) -> tuple[np.ndarray, np.ndarray]:
        """The map as (C, C), what a class takes of each, and (C,), what is added to it."""
        matrix_CC, shift_C = np.eye(len(PHASES) + 1), np.zeros(len(PHASES) + 1)
        for row, phase in enumerate(PHASES):
            matrix_CC[row, row], matrix_CC[row, -1] = self.scale[phase], 1 - self.scale[phase]
            shift_C[row] = self.shift[phase]
        return matrix_CC, shift_C


AS_IS = Calibration(dict.fromkeys(PHASES, 1.0), dict.fromkeys(PHASES, 0.0))


@dataclass(frozen=True)
class Peaks:
    """Peaks of one phase's probability, and what they turned out to be."""

    logits_NC: np.ndarray
    """Of P, S and noise at each peak."""
    is_true_N: np.ndarray
    """Whether an arrival is there, within the tolerance, that no higher peak has taken."""

    def __add__(self, other: Peaks) -> Peaks:
        return Peaks(*(np.concatenate(pair) for pair in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def num_true(self) -> int:
        return int(self.is_true_N.sum())

    @property
    def num_false(self) -> int:
        return len(self.is_true_N) - self.num_true

    @property
    def is_enough(self) -> bool:
        return min(self.num_true, self.num_false) >= LEAST_PEAKS

    def enough(self, phase: str, calibration: Calibration = AS_IS) -> Peaks:
        """Those that are, with a map, above the first of `HEIGHTS` that leaves enough; all where none does."""
        probability_N = np.exp(_log_softmax(calibration(self.logits_NC))[:, PHASES.index(phase)])
        parts = (
            Peaks(self.logits_NC[high_N], self.is_true_N[high_N]) for high_N in (probability_N >= h for h in HEIGHTS)
        )
        return next((part for part in parts if part.is_enough), self)


def fit(peaks: Mapping[str, Peaks]) -> Calibration:
    """The most likely map of both phases at once. A phase with too few peaks of either kind keeps its logits.

    Platt's own targets, a little inside 0 and 1, keep it finite where a height parts true peaks from false ones.
    """
    fitted = [phase for phase in PHASES if peaks[phase].is_enough]

    def of(parameters: np.ndarray) -> Calibration:
        scales, shifts = np.split(parameters, 2)
        return Calibration(
            dict.fromkeys(PHASES, 1.0) | dict(zip(fitted, np.exp(scales).tolist(), strict=True)),
            dict.fromkeys(PHASES, 0.0) | dict(zip(fitted, shifts.tolist(), strict=True)),
        )

    def surprise(parameters: np.ndarray) -> float:
        calibration = of(parameters)
        return sum(_surprise(calibration(peaks[phase].logits_NC), peaks[phase], phase) for phase in fitted)

    start = np.zeros(2 * len(fitted))
    return of(minimize(surprise, start, method="BFGS").x) if fitted else of(start)


def _surprise(logits_NC: np.ndarray, peaks: Peaks, phase: str) -> float:
    """Minus the logarithm of the likelihood of what peaks turned out to be, with these logits."""
    row = PHASES.index(phase)
    log_NC = _log_softmax(logits_NC)
    log_other_N = np.logaddexp.reduce(np.delete(log_NC, row, axis=1), axis=1)
    target_N = np.where(peaks.is_true_N, (peaks.num_true + 1) / (peaks.num_true + 2), 1 / (peaks.num_false + 2))
    return float(-(target_N * log_NC[:, row] + (1 - target_N) * log_other_N).sum())


def _log_softmax(logits_NC: np.ndarray) -> np.ndarray:
    return logits_NC - np.logaddexp.reduce(logits_NC, axis=1, keepdims=True)


def find_peaks_of(
    logits_BCT: np.ndarray, probabilities_BCT: np.ndarray, arrivals: Sequence[WindowArrivals], config: PickConfig
) -> dict[str, Peaks]:
    """By phase the peaks of a batch's probabilities, from the lowest of `HEIGHTS` up, in the windows in which it was
    looked for. `logits_BCT`: as they are without a map."""
    found: dict[str, Peaks] = {}
    for row, phase in enumerate(PHASES):
        logits, is_true = [np.empty((0, len(PHASES) + 1))], [np.empty(0, dtype=bool)]
        for of_window_CT, its_CT, of_window in zip(logits_BCT, probabilities_BCT, arrivals, strict=True):
            if (here := of_window[phase]) is None:
                continue
            picks = match_picks(its_CT[row], here, config, HEIGHTS[-1])
            logits.append(of_window_CT[:, picks.samples.astype(int)].T)
            is_true.append(np.isfinite(picks.residuals_s))
        found[phase] = Peaks(np.concatenate(logits), np.concatenate(is_true))
    return found
