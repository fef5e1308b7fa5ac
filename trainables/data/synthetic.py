"""A synthetic local-earthquake data set in SeisBench's format, so that everything runs offline.

A network of stations records small earthquakes: travel times, amplitudes and frequencies follow from hypocentre,
magnitude and station. What a station then records is made in `synthetic_waveforms`.
"""

# N trace, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from trainables.atomic import whole_folder
from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ
from trainables.data.splits import event_ids, split_by_event
from trainables.data.synthetic_waveforms import TRACE_SAMPLES, Rng, record

NUM_EVENTS = 230
VISIBLE_SNR = 6.0
"""An analyst sees an arrival whose amplitude is this many times the noise; weaker ones have no pick."""

_CHUNK = 64  # traces made at once; part of what a seed means
_P_SPEED_KM_S = 6.0
_KM_PER_DEGREE = 111.19
_LOG_COUNTS = 4.9  # P amplitude in counts of magnitude 0 at 1 km, as a power of ten
_CENTRE_DEG = (38.0, 14.0)


def write_local_earthquakes(
    folder: Path,
    *,
    num_events: int = NUM_EVENTS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write about 3.5 traces of 60 s for each event, one in seven of them noise, to a new `folder`.

    Deterministic for a seed. `progress(done, total)` is called while traces are made. The folder appears
    complete or not at all; ValueError where it exists and is not empty.
    """
    folder = Path(folder).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: exists and is not empty; name a new folder")
    if num_events < 10:
        raise ValueError(f"{num_events} events: at least 10 are needed for three splits")
    rng = np.random.default_rng([seed, 0x5E15])
    traces = _traces(rng, network_of_stations(rng), num_events)
    try:
        with whole_folder(folder) as building:
            _write_waveforms(building / "waveforms.hdf5", traces, rng, progress)
            _metadata(traces, seed).to_csv(building / "metadata.csv", index=False)
            if folder.exists():
                folder.rmdir()  # which it can only be while it is empty
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written ({error.strerror or error})") from error


# Where and when: network, events, and what reaches a station.


def network_of_stations(rng: Rng, num_stations: int = 30) -> pd.DataFrame:
    """Stations within 50 km of the centre; one in six has a vertical component only."""
    return pd.DataFrame(
        {
            "code": [f"SY{number:02d}" for number in range(num_stations)],
            "x_km": rng.uniform(-50, 50, num_stations),
            "y_km": rng.uniform(-50, 50, num_stations),
            "noise": 10 ** rng.uniform(1.5, 3.0, num_stations),  # counts, standard deviation over 1 Hz
            "microseism": 10 ** rng.uniform(-0.5, 0.5, num_stations),  # times that noise
            "hum_hz": rng.uniform(4, 20, num_stations),
            "hum": rng.uniform(0.0, 0.8, num_stations),
            "disturbances": rng.gamma(12.0, 0.75, num_stations),  # expected number a trace
            "site_s": rng.uniform(0.005, 0.025, num_stations),  # kappa, attenuation below the station
            "vertical_only": rng.permutation(num_stations) < num_stations // 6,
        }
    )


def _traces(rng: Rng, network: pd.DataFrame, num_events: int) -> pd.DataFrame:
    """One row a trace: its source, path and station, arrival times and amplitudes; noise traces at the end."""
    rows = []
    for number in range(num_events):
        event = an_event(rng, number)
        num_stations = int(rng.integers(2, 6))
        reached = network.sample(2 * num_stations, random_state=int(rng.integers(1 << 31)))
        rows.append(heard_by(reached, num_stations, event, rng))
    traces = propagate(pd.concat(rows, ignore_index=True), rng)
    noise = network.sample(len(traces) // 6, replace=True, random_state=int(rng.integers(1 << 31)))
    return pd.concat([traces, noise], ignore_index=True)


def an_event(rng: Rng, number: int) -> dict[str, Any]:
    """Where it is, and the speed of its waves."""
    return {
        "source_id": f"synthetic{number:05d}",
        "source_x_km": rng.normal(0, 20),
        "source_y_km": rng.normal(0, 20),
        "source_depth_km": float(np.clip(rng.gamma(4.0, 2.5), 2, 25)),
        "vp_vs": rng.uniform(1.68, 1.80),
        "p_speed_km_s": _P_SPEED_KM_S * rng.uniform(0.96, 1.04),
    }


def heard_by(stations: pd.DataFrame, num_stations: int, event: dict[str, Any], rng: Rng) -> pd.DataFrame:
    """Rows of the event at the nearest of these stations, which sees it well; the others see it as well as their
    distance and noise allow."""
    distance = np.hypot(stations.x_km - event["source_x_km"], stations.y_km - event["source_y_km"])
    nearest = stations.assign(epicentral_km=distance).sort_values("epicentral_km")[:num_stations]
    return nearest.assign(**event, nearest_snr=10 ** rng.uniform(1.4, 2.5))


def propagate(traces: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Travel times, amplitudes and corner frequencies. Stations that would see nothing are dropped."""
    num = len(traces)
    hypocentral_km = np.hypot(traces.epicentral_km, traces.source_depth_km)
    p_travel_s = hypocentral_km / traces.p_speed_km_s
    loss = 1.3 * np.log10(hypocentral_km) + 0.004 * hypocentral_km  # spreading and absorption, decades
    as_wanted = pd.Series(np.log10(traces.nearest_snr * traces.noise) + loss - _LOG_COUNTS)
    magnitude = as_wanted.groupby(traces.source_id).transform("first")  # stations are sorted by distance
    p_amplitude = 10 ** (magnitude + _LOG_COUNTS - loss + rng.normal(0, 0.15, num))
    s_amplitude = p_amplitude * 10 ** rng.normal(0.45, 0.15, num)
    traces = traces.assign(
        hypocentral_km=hypocentral_km,
        magnitude=magnitude,
        corner_hz=np.clip(18 * 10 ** (-0.3 * (magnitude - 0.5)), 3, 25),
        p_travel_s=p_travel_s,
        s_travel_s=p_travel_s * traces.vp_vs,
        p_amplitude=p_amplitude,
        s_amplitude=s_amplitude,
        back_azimuth=np.arctan2(traces.source_x_km - traces.x_km, traces.source_y_km - traces.y_km),
        incidence=np.arctan2(traces.epicentral_km, traces.source_depth_km) * 0.35,  # bent upwards by slow top layers
        p_time_s=rng.uniform(8, 32, num),
    )
    traces["s_time_s"] = traces.p_time_s + traces.s_travel_s - traces.p_travel_s
    return traces[traces.s_amplitude > VISIBLE_SNR * traces.noise].reset_index(drop=True)


def _gap(traces: pd.DataFrame, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """First and last sample of a gap in one trace of twelve; both 0 elsewhere."""
    has_gap = rng.random(len(traces)) < 1 / 12
    first = rng.integers(0, TRACE_SAMPLES, len(traces))
    length = (10 ** rng.uniform(1.5, 2.8, len(traces))).astype(int)
    return np.where(has_gap, first, 0), np.where(has_gap, np.minimum(first + length, TRACE_SAMPLES), 0)


# The files.


def _write_waveforms(path: Path, traces: pd.DataFrame, rng: Rng, progress: Callable[[int, int], None] | None) -> None:
    traces["gap_first"], traces["gap_last"] = _gap(traces, rng)
    with h5py.File(path, "w") as file:
        block = file.create_dataset("data/bucket0", (len(traces), 3, TRACE_SAMPLES), dtype=np.float32)
        for start in range(0, len(traces), _CHUNK):
            chunk = traces.iloc[start : start + _CHUNK]
            records_NXT = record(chunk, rng)
            for record_XT, first, last in zip(records_NXT, chunk.gap_first, chunk.gap_last, strict=True):
                record_XT[:, first:last] = 0
            block[start : start + len(chunk)] = records_NXT
            if progress:
                progress(start + len(chunk), len(traces))
        file_format: dict[str, str | float] = {
            "dimension_order": "CW",
            "component_order": COMPONENT_ORDER,
            "sampling_rate": SAMPLING_RATE_HZ,
            "measurement": "velocity",
            "unit": "counts",
            "instrument_response": "not restituted",
        }
        for key, value in file_format.items():
            file[f"data_format/{key}"] = value


def _metadata(traces: pd.DataFrame, seed: int) -> pd.DataFrame:
    """SeisBench's metadata, under its usual column names."""
    quake = traces.source_id.notna()
    table = pd.DataFrame(
        {
            "trace_name": [f"bucket0${n},:3,:{TRACE_SAMPLES}" for n in range(len(traces))],
            "source_id": traces.source_id,
            "source_type": np.where(quake, "synthetic earthquake", "synthetic noise"),
            "source_latitude_deg": _CENTRE_DEG[0] + traces.source_y_km / _KM_PER_DEGREE,
            "source_longitude_deg": _CENTRE_DEG[1] + traces.source_x_km / _KM_PER_DEGREE,
            "source_depth_km": traces.source_depth_km,
            "source_magnitude": traces.magnitude,
            "path_ep_distance_km": traces.epicentral_km,
            "path_hyp_distance_km": traces.hypocentral_km,
            "path_back_azimuth_deg": np.degrees(traces.back_azimuth) % 360,
            "path_p_travel_s": traces.p_travel_s,
            "path_s_travel_s": traces.s_travel_s,
            "station_network_code": "SY",
            "station_code": traces.code,
            "station_latitude_deg": _CENTRE_DEG[0] + traces.y_km / _KM_PER_DEGREE,
            "station_longitude_deg": _CENTRE_DEG[1] + traces.x_km / _KM_PER_DEGREE,
            "trace_sampling_rate_hz": SAMPLING_RATE_HZ,
            "trace_npts": TRACE_SAMPLES,
            "trace_component_order": COMPONENT_ORDER,
            "trace_live_components": np.where(traces.vertical_only, "Z", COMPONENT_ORDER),
            "trace_category": np.where(quake, "earthquake_local", "noise"),
            "trace_gap_samples": traces.gap_last - traces.gap_first,
            "trace_synthetic": True,
        }
    ).round(5)
    for phase in "PS":
        sample = np.rint(traces[f"{phase.lower()}_time_s"] * SAMPLING_RATE_HZ)
        snr = traces[f"{phase.lower()}_amplitude"] / traces.noise
        seen = (snr > VISIBLE_SNR) & ~sample.between(traces.gap_first - 20, traces.gap_last)
        table[f"trace_{phase}_arrival_sample"] = sample.where(seen)
        table[f"trace_{phase}_status"] = np.where(seen, "synthetic", "")
        table[f"trace_{phase}_snr_db"] = (20 * np.log10(snr)).round(2)
    table["split"] = split_by_event(event_ids(table), seed)
    return table
