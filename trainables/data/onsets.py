"""Where arrivals lie in windows: what labels are made of."""

# B window of a batch, K pick

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trainables.data.draws import Windows
from trainables.data.windows import WindowStore


class Onsets(NamedTuple):
    """Picks of the traces that windows are cut from, inside the windows and outside."""

    window_K: np.ndarray
    event_K: np.ndarray
    """Which record of its window a pick is of: 0, or 1 where a second one was added."""
    phase_K: np.ndarray
    """0 P, 1 S."""
    onset_K: np.ndarray
    """Position in samples of the window; fractional where the trace was resampled."""
    is_heard_K: np.ndarray
    """Not where a gap lies."""

    def chosen(self, is_chosen_K: np.ndarray) -> Onsets:
        return Onsets(*(column[is_chosen_K] for column in self))

    def heard_near(self, num_samples: int, reach: int) -> Onsets:
        """Those that are heard inside their window or at most `reach` samples outside."""
        is_near_K = (self.onset_K >= -reach) & (self.onset_K <= num_samples - 1 + reach)
        return self.chosen(is_near_K & self.is_heard_K)

    def first_inside(self, num_windows: int, num_samples: int) -> np.ndarray:
        """The first arrival inside each window (B,), in samples; infinite where there is none."""
        inside = self.heard_near(num_samples, 0)
        first_B = np.full(num_windows, np.inf)
        np.minimum.at(first_B, inside.window_K, inside.onset_K)
        return first_B


def onsets_of(store: WindowStore, windows: Windows) -> Onsets:
    """All picks of the windows' traces."""
    first_B = store.first_pick_N[windows.trace_B]
    count_B = store.first_pick_N[windows.trace_B + 1] - first_B
    window_K = np.repeat(np.arange(len(first_B)), count_B)
    rank_K = np.arange(len(window_K)) - np.repeat(np.cumsum(count_B) - count_B, count_B)
    pick_K = first_B[window_K] + rank_K
    onset_K = store.pick_K[pick_K] - windows.start_B[window_K]
    is_heard_K = np.ones(len(pick_K), dtype=bool)
    return Onsets(window_K, np.zeros_like(window_K), store.pick_phase_K[pick_K], onset_K, is_heard_K)


def together(first: Onsets, second: Onsets) -> Onsets:
    """Of both, in the same windows."""
    second = second._replace(event_K=np.ones_like(second.event_K))
    return Onsets(*map(np.concatenate, zip(first, second, strict=True)))
