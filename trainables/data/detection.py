"""The label of a detection curve: where an earthquake is, from its P arrival into the coda."""

# B window, T time sample

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainables.data.config import PHASES
from trainables.data.onsets import Onsets

CODA = 1.4
"""A detection ends this many times the S minus P time after the S arrival (Mousavi et al. 2020)."""


def detection_labels(onsets: Onsets, num_windows: int, num_samples: int, device: torch.device | str) -> Tensor:
    """1 from each P arrival to S + 1.4 (S - P) of the first S of its event after it, else 0; (B, T) float32.

    As SeisBench's DetectionLabeller, which knows one earthquake a trace. Arrivals outside of the window count: its
    coda may reach in. So do those in a gap: the earthquake goes on. A P without an S has no detection.
    """
    label_BT = np.zeros((num_windows, num_samples), dtype=np.float32)
    for event in np.unique(onsets.event_K):
        its = onsets.chosen(onsets.event_K == event)
        edge_B = np.searchsorted(its.window_K, np.arange(num_windows + 1))
        for b in range(num_windows):
            pick = slice(int(edge_B[b]), int(edge_B[b + 1]))
            onset_K, phase_K = its.onset_K[pick], its.phase_K[pick]
            s_K = np.sort(onset_K[phase_K == PHASES.index("S")])
            for p in onset_K[phase_K == PHASES.index("P")]:
                after = s_K[s_K >= p]
                if len(after):
                    # int() cuts towards zero, as SeisBench does.
                    label_BT[b, max(int(p), 0) : max(int(after[0] + CODA * (after[0] - p)), 0)] = 1
    return torch.from_numpy(label_BT).to(device)
