"""How training windows are changed before they are normalised: as other stations might have recorded them.

Each has its own random numbers, keyed as the windows are, so that one that is switched on leaves the others, and which
windows are drawn, as they were. A teacher hears what the student does. What is done to the records before, and what is
added to them, is written in `rate.py` and `stacking.py`.
"""

# B window of a batch, X component (E, N, Z), T time sample, U random stream

from __future__ import annotations

import numpy as np

from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ, DataConfig
from trainables.data.draws import Purpose, own_uniform
from trainables.data.onsets import Onsets

_EAST, _NORTH = COMPONENT_ORDER.index("E"), COMPONENT_ORDER.index("N")


def augment(raw_BXT: np.ndarray, config: DataConfig, seed: int, epoch: int, position_B: np.ndarray) -> None:
    """Change counts (B, X, T) in place, by what the configuration asks for and each window's position in the epoch."""
    if not (config.rotate_horizontals or config.flip_sign or config.dead_component_share):
        return
    uniform_BU = own_uniform(Purpose.AUGMENTATION, seed, epoch, position_B)
    if config.rotate_horizontals:
        _rotate(raw_BXT, 2 * np.pi * uniform_BU[:, 0])
    if config.flip_sign:
        raw_BXT[uniform_BU[:, 1] < 0.5] *= -1
    dead_B = np.flatnonzero(uniform_BU[:, 2] < config.dead_component_share)
    raw_BXT[dead_B, (len(COMPONENT_ORDER) * uniform_BU[dead_B, 3]).astype(np.int64)] = 0


def without_effect(config: DataConfig) -> str:
    """Which augmentation is on and changes nothing, in a line; "" where none is."""
    if config.max_amplitude_scale == 1 or config.noise_share or config.second_event_share:
        return ""
    return (
        "data.max_amplitude_scale changes nothing if neither data.noise_share nor data.second_event_share is above "
        "0: each component is divided by its peak"
    )


def with_gaps(
    raw_BXT: np.ndarray, onsets: Onsets, config: DataConfig, around: int, seed: int, epoch: int, position_B: np.ndarray
) -> Onsets:
    """Put gaps into counts (B, X, T) in place, and mark the arrivals in them, which nobody hears.

    A gap lies anywhere in its window, which has `around` samples more on either side. Half of the gaps are zeros, as
    data sets have them and archives are read; half hold the last value, as some instruments do.
    """
    if config.gap_share == 0:
        return onsets
    uniform_BU = own_uniform(Purpose.GAP, seed, epoch, position_B)
    num_samples = raw_BXT.shape[-1] - 2 * around
    shortest_s, longest_s = config.gap_length_s
    length_s_B = shortest_s + (longest_s - shortest_s) * uniform_BU[:, 1]
    length_B = np.clip(np.rint(length_s_B * SAMPLING_RATE_HZ), 1, num_samples - 1).astype(np.int64)
    first_B = 1 + (uniform_BU[:, 2] * (num_samples - length_B)).astype(np.int64)
    length_B[uniform_BU[:, 0] >= config.gap_share] = 0
    for b in np.flatnonzero(length_B):
        first = around + first_B[b]
        held_X1 = raw_BXT[b, :, first - 1 : first] * (uniform_BU[b, 3] < 0.5)
        raw_BXT[b, :, first : first + length_B[b]] = held_X1
    into_K = onsets.onset_K - first_B[onsets.window_K]
    return onsets._replace(is_heard_K=onsets.is_heard_K & ~((into_K >= 0) & (into_K < length_B[onsets.window_K])))


def _rotate(raw_BXT: np.ndarray, angle_B: np.ndarray) -> None:
    """The horizontals, as if the sensor stood in another direction; not where one of them is dead, which would come
    alive."""
    horizontal_B2T = raw_BXT[:, [_EAST, _NORTH]]
    both_B = (horizontal_B2T != horizontal_B2T[..., :1]).any(axis=2).all(axis=1)
    sine_B1, cosine_B1 = (wave(angle_B[both_B]).astype(np.float32)[:, None] for wave in (np.sin, np.cos))
    east_BT, north_BT = horizontal_B2T[both_B, 0], horizontal_B2T[both_B, 1]
    raw_BXT[both_B, _EAST] = cosine_B1 * east_BT - sine_B1 * north_BT
    raw_BXT[both_B, _NORTH] = sine_B1 * east_BT + cosine_B1 * north_BT
