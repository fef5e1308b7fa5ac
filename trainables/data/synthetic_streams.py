"""Continuous waveforms of a synthetic network, as MiniSEED files that nobody has labelled.

The earthquakes and stations are those of `synthetic`, but another network's. What a station records is made in blocks
of a minute that fade into each other; an earthquake reaches all stations in the same block.
"""

# N block of a station, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import obspy
import pandas as pd

from trainables.atomic import whole_folder
from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ
from trainables.data.synthetic import an_event, heard_by, network_of_stations, propagate
from trainables.data.synthetic_waveforms import TRACE_SAMPLES, Rng, record

HOURS, STATIONS = 3, 5
NETWORK = "SX"
"""Of the codes; the labelled synthetic earthquakes are those of network SY."""

_BEGIN = obspy.UTCDateTime(2024, 3, 1)
_FADE_SAMPLES = 500
_HOP_SAMPLES = TRACE_SAMPLES - _FADE_SAMPLES
_HOUR_SAMPLES = int(3600 * SAMPLING_RATE_HZ)
_EVENT_SHARE = 0.6
"""Of the blocks that have an earthquake: as many as after a mainshock, so that few hours are enough."""
_CHUNK = 64  # blocks made at once; part of what a seed means


def write_streams(
    folder: Path,
    *,
    hours: int = HOURS,
    stations: int = STATIONS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a file for each station and hour, 100 Hz, counts, channels HHE, HHN, HHZ, to a new `folder`.

    Deterministic for a seed. `progress(done, total)` is called while blocks are made. The folder appears complete or
    not at all; ValueError where it exists and is not empty.
    """
    folder = Path(folder).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: exists and is not empty; name a new folder")
    rng = np.random.default_rng([seed, 0x57E4])
    network = network_of_stations(rng, stations).assign(vertical_only=False)
    num_blocks = -(-hours * _HOUR_SAMPLES // _HOP_SAMPLES)
    events = _events(rng, network, num_blocks)
    try:
        with whole_folder(folder) as building:
            for number, (code, station) in enumerate(network.groupby("code", sort=True)):

                def made(done: int, before: int = number * num_blocks) -> None:
                    if progress:
                        progress(before + done, stations * num_blocks)

                waveform_XT = _joined(_blocks(station, events[events.code == code], num_blocks), rng, made)
                _write_hours(building, str(code), waveform_XT[:, : hours * _HOUR_SAMPLES])
            if folder.exists():
                folder.rmdir()  # which it can only be while it is empty
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written ({error.strerror or error})") from error


def _events(rng: Rng, network: pd.DataFrame, num_blocks: int) -> pd.DataFrame:
    """A row for each earthquake at each station that sees it, with its block and its arrivals there."""
    rows = []
    for block in np.flatnonzero(rng.random(num_blocks) < _EVENT_SHARE).tolist():
        reached = heard_by(network, len(network), an_event(rng, block), rng)
        rows.append(reached.assign(block=block, origin_s=rng.uniform(6, 25)))
    seen = propagate(pd.concat(rows, ignore_index=True), rng)
    seen["p_time_s"] = seen.origin_s + seen.p_travel_s
    seen["s_time_s"] = seen.origin_s + seen.s_travel_s
    return seen


def _blocks(station: pd.DataFrame, events: pd.DataFrame, num_blocks: int) -> pd.DataFrame:
    """One row a block of a station; without an earthquake where it sees none."""
    quiet = station.loc[station.index.repeat(num_blocks)].assign(block=range(num_blocks))
    quiet = quiet[~quiet.block.isin(events.block)]
    return pd.concat([events, quiet]).sort_values("block").reset_index(drop=True)


def _joined(blocks: pd.DataFrame, rng: Rng, progress: Callable[[int], None]) -> np.ndarray:
    """Counts (X, T) of blocks one after the other; where two overlap, the one fades as the other grows, at the power
    of one."""
    waveform_XT = np.zeros((len(COMPONENT_ORDER), (len(blocks) - 1) * _HOP_SAMPLES + TRACE_SAMPLES), dtype=np.float32)
    weight_T = np.ones(TRACE_SAMPLES, dtype=np.float32)
    rise_T = np.sin(np.linspace(0, np.pi / 2, _FADE_SAMPLES))
    weight_T[:_FADE_SAMPLES], weight_T[-_FADE_SAMPLES:] = rise_T, rise_T[::-1]
    for start in range(0, len(blocks), _CHUNK):
        records_NXT = record(blocks.iloc[start : start + _CHUNK], rng)
        records_NXT -= records_NXT.mean(axis=-1, keepdims=True)
        for number, record_XT in enumerate(records_NXT, start=start):
            first = number * _HOP_SAMPLES
            waveform_XT[:, first : first + TRACE_SAMPLES] += record_XT * weight_T
        progress(start + len(records_NXT))
    return waveform_XT


def _write_hours(folder: Path, code: str, waveform_XT: np.ndarray) -> None:
    for start in range(0, waveform_XT.shape[1], _HOUR_SAMPLES):
        begin = _BEGIN + start / SAMPLING_RATE_HZ
        traces = [
            obspy.Trace(
                np.rint(counts_T[start : start + _HOUR_SAMPLES]).astype(np.int32),
                {
                    "network": NETWORK,
                    "station": code,
                    "channel": f"HH{component}",
                    "sampling_rate": SAMPLING_RATE_HZ,
                    "starttime": begin,
                },
            )
            for component, counts_T in zip(COMPONENT_ORDER, waveform_XT, strict=True)
        ]
        file = folder / f"{NETWORK}.{code}.{begin.strftime('%Y%m%dT%H')}.mseed"
        obspy.Stream(traces).write(str(file), format="MSEED", encoding="STEIM2")
