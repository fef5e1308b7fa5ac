"""Which settings decide about dev windows and how picks in them are scored, and which are for training alone."""

from __future__ import annotations

DATASET, SHARES, CACHE = "data.dataset", "data.shares", "data.cache_dir"
STREAMS = "data.streams"
"""The streams, and how the settings about them begin."""

OF_TRAINING = (
    "data.few_shot_fraction",
    "data.few_shot_seed",
    "data.sigma_samples",
    "data.max_time_shift_s",
    "data.max_amplitude_scale",
    "data.rotate_horizontals",
    "data.flip_sign",
    "data.dead_component_share",
    "data.noise_share",
    "data.noise_snr_db",
    "data.second_event_share",
    "data.second_event_ratio",
    "data.gap_share",
    "data.gap_length_s",
    "data.rate_change",
    SHARES,
    CACHE,
)
"""Settings on which no dev window, arrival or pick depends: models that are scored together may differ in them."""
