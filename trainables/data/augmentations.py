"""How training windows are changed before they are normalised: as other stations might have recorded them.

Each has its own random numbers, keyed as the windows are, so that one that is switched on leaves the others, and which
windows are drawn, as they were. A teacher hears what the student does.
"""

# B window of a batch, X component (E, N, Z), T time sample, U random stream

from __future__ import annotations

import numpy as np

from trainables.data.config import COMPONENT_ORDER, DataConfig
from trainables.data.draws import uniform

_EAST, _NORTH = COMPONENT_ORDER.index("E"), COMPONENT_ORDER.index("N")
_OWN_NUMBERS = 2**32
"""Added to a seed, which is smaller: other numbers than those that windows are drawn by."""


def augment(raw_BXT: np.ndarray, config: DataConfig, seed: int, epoch: int, position_B: np.ndarray) -> None:
    """Change counts (B, X, T) in place, by what the configuration asks for and each window's position in the epoch."""
    if not (config.rotate_horizontals or config.flip_sign or config.dead_component_share):
        return
    uniform_BU = uniform(seed + _OWN_NUMBERS, epoch, position_B)
    if config.rotate_horizontals:
        _rotate(raw_BXT, 2 * np.pi * uniform_BU[:, 0])
    if config.flip_sign:
        raw_BXT[uniform_BU[:, 1] < 0.5] *= -1
    dead_B = np.flatnonzero(uniform_BU[:, 2] < config.dead_component_share)
    raw_BXT[dead_B, (len(COMPONENT_ORDER) * uniform_BU[dead_B, 3]).astype(np.int64)] = 0


def _rotate(raw_BXT: np.ndarray, angle_B: np.ndarray) -> None:
    """The horizontals, as if the sensor stood in another direction; not where one of them is dead, which would come
    alive."""
    horizontal_B2T = raw_BXT[:, [_EAST, _NORTH]]
    both_B = (horizontal_B2T != horizontal_B2T[..., :1]).any(axis=2).all(axis=1)
    sine_B1, cosine_B1 = (wave(angle_B[both_B]).astype(np.float32)[:, None] for wave in (np.sin, np.cos))
    east_BT, north_BT = horizontal_B2T[both_B, 0], horizontal_B2T[both_B, 1]
    raw_BXT[both_B, _EAST] = cosine_B1 * east_BT - sine_B1 * north_BT
    raw_BXT[both_B, _NORTH] = sine_B1 * east_BT + cosine_B1 * north_BT
