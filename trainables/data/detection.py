"""The label of a detection curve: where an earthquake is, from its P arrival into the coda."""

# B window, T time sample

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainables.data.config import PHASES
from trainables.data.draws import Windows
from trainables.data.windows import WindowStore

CODA = 1.4
"""A detection ends this many times the S minus P time after the S arrival (Mousavi et al. 2020)."""


def detection_labels(store: WindowStore, windows: Windows, device: torch.device | str) -> Tensor:
    """1 from each P arrival to S + 1.4 (S - P) of the first S after it, else 0; (B, T) float32.

    As SeisBench's DetectionLabeller, which knows one earthquake a trace. Arrivals outside of the window count: its
    coda may reach in. A P without an S has no detection.
    """
    num_samples = store.windowing.samples
    label_BT = np.zeros((len(windows.trace_B), num_samples), dtype=np.float32)
    for b, (trace, start) in enumerate(zip(windows.trace_B.tolist(), windows.start_B.tolist(), strict=True)):
        pick = slice(int(store.first_pick_N[trace]), int(store.first_pick_N[trace + 1]))
        onset_K, phase_K = store.pick_K[pick] - start, store.pick_phase_K[pick]
        s_K = np.sort(onset_K[phase_K == PHASES.index("S")])
        for p in onset_K[phase_K == PHASES.index("P")]:
            after = s_K[s_K >= p]
            if len(after):
                # int() cuts towards zero, as SeisBench does.
                label_BT[b, max(int(p), 0) : max(int(after[0] + CODA * (after[0] - p)), 0)] = 1
    return torch.from_numpy(label_BT).to(device)
