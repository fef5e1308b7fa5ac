"""A synthetic foreshock/aftershock sequence at one station, in the stored form of a real one.

When an event happened shows in its waveforms only as it might in nature: strong shaking softens the ground, whose
resonance drops and whose attenuation rises, both healing with the logarithm of time; the ratio of P to S speed sinks
before the mainshock and seismicity moves. Every event scatters around that by more than neighbouring classes differ.
Magnitudes and noise do not change with time, so that amplitudes tell next to nothing.
"""

# N trace, E event, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import iirpeak, lfilter

from trainables.data.config import SAMPLING_RATE_HZ
from trainables.data.sequence import PART_COLUMN, PARTS, Progress, write_sequence
from trainables.data.synthetic_waveforms import Rng, record

NUM_EVENTS = 1000
MIN_EVENTS = 200
"""Below this the 9 classes have too few events for three splits."""
TRACE_SAMPLES = 2500

MAINSHOCK = pd.Timestamp("2016-10-30T07:40:17Z")
_SHOCKS = {-67.2: 0.25, -3.6: 0.20, 0.0: 0.40}
"""Days from the mainshock of Amatrice, Visso and Norcia, and by how much each softens the ground."""
_PART_DAYS = {"pre": (-67.0, -3.7), "visso": (-3.5, -0.05), "post": (0.5, 79.0)}
_PART_SHARE = {"pre": 0.40, "visso": 0.11, "post": 0.49}
_SECOND_SENSOR = 0.35
"""Share of events that the accelerometer (HN) recorded beside the broadband sensor (HH)."""
_CHUNK = 64  # events made at once; part of what a seed means
_RESONANCE_HZ, _RESONANCE_GAIN, _RESONANCE_QUALITY = 7.0, 3.0, 3.0
_SCATTER = 0.05  # of the resonance, as a share of it; the others scatter more


def write_synthetic_sequence(
    folder: Path, *, num_events: int = NUM_EVENTS, seed: int = 0, progress: Progress | None = None
) -> None:
    """Write about 1.35 traces of 25 s an event to a new `folder`. Deterministic for a seed.

    Raises ValueError in one line where there are too few events or the folder cannot be written.
    """
    if num_events < MIN_EVENTS:
        raise ValueError(f"{num_events} events: at least {MIN_EVENTS} are needed for 9 classes and three splits")
    rng = np.random.default_rng([seed, 0x2016])
    events = _events(rng, num_events)
    chunks = _recordings(events, np.random.default_rng([seed, 0x1030]))
    write_sequence(folder, _metadata(events), chunks, TRACE_SAMPLES, progress)


def softening(days: np.ndarray) -> np.ndarray:
    """By how much the ground is softer at these days from the mainshock, healing with the logarithm of time."""
    soft = np.zeros(len(days))
    for shock, drop in _SHOCKS.items():
        soft += (days >= shock) * drop / (1 + 0.5 * np.log1p(np.maximum(days - shock, 0) / 0.5))
    return soft


def _events(rng: Rng, num_events: int) -> pd.DataFrame:
    """One row an event, in the columns that `synthetic_waveforms.record` takes; files are not in order of time."""
    rows: list[pd.DataFrame] = []
    for number, part in enumerate(PARTS):
        before = sum(len(row) for row in rows)
        count = round(num_events * _PART_SHARE[part]) if part != PARTS[-1] else num_events - before
        ids = 1_000_000 * (2 * number + 1) + np.arange(1, count + 1)
        rows.append(
            pd.DataFrame({"source_id": rng.permutation(ids), PART_COLUMN: part, "days": _days(rng, part, count)})
        )
    events = pd.concat(rows, ignore_index=True)
    days, num = events["days"].to_numpy(), len(events)
    soft = softening(days)
    dilatancy = np.where(days < 0, np.exp(days / 15), 0)  # grows towards the mainshock
    moved = np.clip(days / 80, -1, 1)
    epicentral_km = np.clip(rng.gamma(4.0, 2.2 + 0.5 * moved), 1, 30)
    depth_km = np.clip(rng.gamma(6.0, 1.1 - 0.1 * moved), 2, 15)
    p_travel_s = np.hypot(epicentral_km, depth_km) / (5.8 * rng.normal(1, 0.02, num))
    vp_vs = 1.82 - 0.05 * dilatancy + 0.1 * soft + rng.normal(0, 0.025, num)
    noise = 10 ** rng.normal(1.6, 0.15, num)
    magnitude = rng.exponential(0.6, num)
    p_amplitude = noise * 10 ** (1.4 + 0.7 * magnitude.clip(max=2.5) + rng.normal(0, 0.2, num))
    p_time_s = 10 + rng.uniform(2, 5, num)
    return events.assign(
        source_magnitude=1.0 + magnitude,
        source_depth_km=depth_km,
        epicentral_km=epicentral_km,
        back_azimuth=rng.normal(np.pi + 0.3 * moved, 0.9, num),
        incidence=np.arctan2(epicentral_km, depth_km) * 0.35,
        p_travel_s=p_travel_s,
        s_travel_s=p_travel_s * vp_vs,
        vp_vs=vp_vs,
        p_time_s=p_time_s,
        s_time_s=p_time_s + p_travel_s * (vp_vs - 1),
        corner_hz=np.clip(12 * (1 + soft) * 10 ** (-0.25 * (magnitude - 0.6) + rng.normal(0, 0.12, num)), 3, 25),
        site_s=0.016 * (1 + 1.2 * soft) * np.exp(rng.normal(0, 0.15, num)),
        resonance_hz=_RESONANCE_HZ * (1 - soft) * np.exp(rng.normal(0, _SCATTER, num)),
        p_amplitude=p_amplitude,
        s_amplitude=p_amplitude * 10 ** rng.normal(0.45, 0.15, num),
        noise=noise,
        microseism=10 ** rng.uniform(-0.5, 0.5, num),
        hum_hz=rng.uniform(9, 20, num),
        hum=rng.uniform(0.0, 0.4, num),
        disturbances=rng.gamma(2.0, 0.5, num),
        vertical_only=False,
        second_sensor=rng.random(num) < _SECOND_SENSOR,
    )


def _days(rng: Rng, part: str, count: int) -> np.ndarray:
    """Days from the mainshock; aftershocks of the shock that opens a part grow rarer (Omori), others are uniform."""
    first, last = _PART_DAYS[part]
    omori = first + np.expm1(rng.random(count) * np.log1p(last - first))
    return np.where(rng.random(count) < 0.5, omori, rng.uniform(first, last, count))


def _recordings(events: pd.DataFrame, rng: Rng) -> Iterator[np.ndarray]:
    """Traces (n, X, T) in the order of the metadata: both sensors of an event one after the other."""
    for start in range(0, len(events), _CHUNK):
        chunk = events.iloc[start : start + _CHUNK]
        shaken_NXT = record(chunk, rng)[:, :, 1000 : 1000 + TRACE_SAMPLES + 500]
        traces = []
        columns = (chunk[name].to_numpy() for name in ("resonance_hz", "noise", "second_sensor"))
        for motion_XT, resonance_hz, noise, second_sensor in zip(shaken_NXT, *columns, strict=True):
            ringing_XT = lfilter(*iirpeak(resonance_hz, _RESONANCE_QUALITY, fs=SAMPLING_RATE_HZ), motion_XT)
            motion_XT = (motion_XT + _RESONANCE_GAIN * ringing_XT)[:, :TRACE_SAMPLES]
            traces.append(motion_XT)
            if second_sensor:
                gain = 10 ** rng.normal(-0.5, 0.1)
                traces.append(gain * (motion_XT + rng.normal(0, 2 * noise, motion_XT.shape)))
        yield np.stack(traces).astype(np.float32)


def _metadata(events: pd.DataFrame) -> pd.DataFrame:
    """One row a trace, in the columns of an imported sequence."""
    copies = 1 + events["second_sensor"].astype(int)
    traces = events.loc[events.index.repeat(copies)].reset_index(drop=True)
    channel = np.where(traces["source_id"].duplicated(), "HN", "HH")
    origin = MAINSHOCK + pd.to_timedelta(traces["days"], unit="D")
    # Windows begin at 10 s of what `record` makes.
    start = origin + pd.to_timedelta(traces["p_travel_s"] - (traces["p_time_s"] - 10), unit="s")
    return pd.DataFrame(
        {
            "trace_original_name": [f"SYNR.SY.{c}_{n}" for c, n in zip(channel, traces["source_id"], strict=True)],
            "trace_start_time": start.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "source_id": traces["source_id"],
            "source_origin_time": origin.dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "source_depth_km": traces["source_depth_km"].round(3),
            "source_magnitude": traces["source_magnitude"].round(2),
            "source_type": "synthetic earthquake",
            "station_network_code": "SY",
            "station_code": "SYNR",
            "trace_channel": channel,
            "path_ep_distance_km": traces["epicentral_km"].round(3),
            "path_p_travel_s": traces["p_travel_s"].round(4),
            PART_COLUMN: traces[PART_COLUMN],
            "trace_sampling_rate_hz": SAMPLING_RATE_HZ,
            "trace_synthetic": True,
        }
    )
