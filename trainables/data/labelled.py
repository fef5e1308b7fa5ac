"""Which phases of a trace somebody looked for. Where nobody did, nobody knows that there is none: it is not noise."""

# N trace, P phase (P, S)

from __future__ import annotations

import numpy as np
import pandas as pd

from trainables.data.arrivals import has_phase
from trainables.data.config import PHASES

UNLABELLED = "unlabelled"
"""Value of the columns `trace_p_status` and `trace_s_status` of such a trace."""

MISSING_SHARE = 0.1
"""Where the metadata say nothing: from this share of traces with picks that lack a phase, it was not looked for in
those. Below it, the few that lack it are taken as they are."""


def labelled_phases(metadata: pd.DataFrame) -> np.ndarray:
    """Of each trace and phase (N, P), whether picks of the phase are complete, as far as the metadata tell.

    By the status columns where one of them says `unlabelled`; else by how many traces with a pick lack the phase. A
    trace without any pick is noise, which is complete.
    """
    has_NP = np.stack([has_phase(metadata, phase).to_numpy() for phase in PHASES], axis=1)
    picked_N = has_NP.any(axis=1)
    columns = []
    for row, phase in enumerate(PHASES):
        status = metadata.get(f"trace_{phase.lower()}_status")
        stated_N = np.zeros(len(metadata), dtype=bool) if status is None else (status == UNLABELLED).to_numpy()
        lacking_N = picked_N & ~has_NP[:, row]
        if stated_N.any():
            columns.append(~stated_N)
        elif lacking_N.sum() >= MISSING_SHARE * max(picked_N.sum(), 1):
            columns.append(~lacking_N)
        else:
            columns.append(np.ones(len(metadata), dtype=bool))
    return np.stack(columns, axis=1)


def masking_notice(metadata: pd.DataFrame) -> str:
    """In a line, which phases are not labelled in how many traces; "" where all are."""
    labelled_NP = labelled_phases(metadata)
    parts = [
        f"{phase} is not labelled in {count} of {len(metadata)} traces"
        for phase, count in zip(PHASES, (~labelled_NP).sum(axis=0).tolist(), strict=True)
        if count
    ]
    return (
        f"{' and '.join(parts)}: taken as unknown there, not as noise (data.missing_phase=noise takes it as noise)"
        * bool(parts)
    )
