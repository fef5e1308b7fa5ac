"""Windows of noise for a data set that is built from picks."""

from __future__ import annotations

import numpy as np
from obspy import UTCDateTime

from trainables.data.archives import Span
from trainables.data.build_window import NS, BuildConfig, Window
from trainables.edge.stretches import without


def noise_windows(
    wanted: int,
    stations: list[str],
    busy: list[tuple[int, int]],
    spans: dict[str, list[Span]],
    config: BuildConfig,
    notes: list[str],
) -> list[Window]:
    """Windows of stations with picks, drawn from times that no window around picks of any station touches."""
    length_ns = round((config.window_before_s + config.window_after_s) * NS)
    stretches: list[tuple[str, int]] = []
    counts: list[int] = []
    for station in stations:
        # A server does not say what it has: what lies between the picks is tried.
        whole = [(a.ns, b.ns) for a, b in spans.get(station, [])] or [(busy[0][0], busy[-1][1])]
        for start_ns, end_ns in without(whole, busy):
            stretches.append((station, start_ns))
            counts.append((end_ns - start_ns) // length_ns)
    last = np.cumsum([0, *counts])[1:] if counts else np.zeros(1, dtype=np.int64)
    taken = min(wanted, int(last[-1]))
    if taken < wanted:
        notes.append(
            f"{taken} windows of noise instead of {wanted}: there are no more stretches of this length without a pick"
        )
    if not taken:
        return []
    slots = np.sort(np.random.default_rng([config.seed, 0x2015E]).choice(int(last[-1]), taken, replace=False))
    noise = []
    for slot in slots.tolist():
        stretch = int(np.searchsorted(last, slot, side="right"))
        station, since_ns = stretches[stretch]
        start_ns = since_ns + (slot - int(last[stretch]) + counts[stretch]) * length_ns
        key = f"{station}-noise-{UTCDateTime(ns=start_ns)}"
        noise.append(Window(key, "", station, "*", start_ns, start_ns + length_ns))
    return noise
