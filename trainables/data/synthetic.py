"""A synthetic local-earthquake data set in SeisBench's format, so that everything runs offline.

A network of stations records small earthquakes. Travel times, attenuation and frequencies follow from hypocentre
and magnitude; arrivals are band-limited random pulses with coda, polarised as P and S; noise is coloured, with
traffic, footsteps, spikes and steps that an energy detector takes for arrivals.
"""

# N trace, X component (E, N, Z), T time sample, F frequency

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy import fft

from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ
from trainables.data.splits import event_ids, split_by_event

NUM_EVENTS = 230
TRACE_SAMPLES = 6000
VISIBLE_SNR = 5.0
"""An analyst sees an arrival whose amplitude is this many times the noise; weaker ones have no pick."""

_DISTURBANCE_SHARES = [0.1, 0.3, 0.2, 0.25, 0.15]  # traffic, machines, footsteps, spikes, steps
_SCATTERED = {"p": np.array([0.4, 0.4, 0.8]), "s": np.array([0.8, 0.8, 0.4])}  # on E, N, Z: mostly the phase's own
_CHUNK = 64  # traces made at once; part of what a seed means
_FREQUENCY_F = fft.rfftfreq(TRACE_SAMPLES, 1 / SAMPLING_RATE_HZ)
_TIME_S = np.arange(TRACE_SAMPLES) / SAMPLING_RATE_HZ
_P_SPEED_KM_S = 6.0
_KM_PER_DEGREE = 111.19
_CENTRE_DEG = (38.0, 14.0)

Rng = np.random.Generator


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
    traces = _traces(rng, _network(rng), num_events)
    building = folder.with_name(f".{folder.name}.building-{os.getpid()}")
    try:
        building.mkdir(parents=True)
        _write_waveforms(building / "waveforms.hdf5", traces, rng, progress)
        _metadata(traces, seed).to_csv(building / "metadata.csv", index=False)
        if folder.exists():
            folder.rmdir()
        building.rename(folder)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


# Where and when: network, events, and what reaches a station.


def _network(rng: Rng, num_stations: int = 30) -> pd.DataFrame:
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
            "disturbances": rng.gamma(6.0, 1.0, num_stations),  # expected number a trace
            "site_s": rng.uniform(0.01, 0.045, num_stations),  # kappa, attenuation below the station
            "vertical_only": rng.permutation(num_stations) < num_stations // 6,
        }
    )


def _traces(rng: Rng, network: pd.DataFrame, num_events: int) -> pd.DataFrame:
    """One row a trace: its source, path and station, arrival times and amplitudes; noise traces at the end."""
    rows = []
    for number in range(num_events):
        event = {
            "source_id": f"synthetic{number:05d}",
            "source_x_km": rng.normal(0, 20),
            "source_y_km": rng.normal(0, 20),
            "source_depth_km": float(np.clip(rng.gamma(4.0, 2.5), 2, 25)),
            "vp_vs": rng.uniform(1.68, 1.80),
            "p_speed_km_s": _P_SPEED_KM_S * rng.uniform(0.96, 1.04),
        }
        num_stations = int(rng.integers(2, 6))
        reached = network.sample(2 * num_stations, random_state=int(rng.integers(1 << 31)))
        distance = np.hypot(reached.x_km - event["source_x_km"], reached.y_km - event["source_y_km"])
        reached = reached.assign(epicentral_km=distance).sort_values("epicentral_km")[:num_stations]
        # The nearest station sees the event well; the others as well as their distance and noise allow.
        reached = reached.assign(**event, nearest_snr=10 ** rng.uniform(1.3, 2.4))
        rows.append(reached)
    traces = _propagate(pd.concat(rows, ignore_index=True), rng)
    noise = network.sample(len(traces) // 6, replace=True, random_state=int(rng.integers(1 << 31)))
    return pd.concat([traces, noise], ignore_index=True)


def _propagate(traces: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Travel times, amplitudes and corner frequencies. Stations that would see nothing are dropped."""
    num = len(traces)
    hypocentral_km = np.hypot(traces.epicentral_km, traces.source_depth_km)
    p_travel_s = hypocentral_km / traces.p_speed_km_s
    loss = 1.3 * np.log10(hypocentral_km) + 0.004 * hypocentral_km  # spreading and absorption, decades
    nearest = traces.groupby("source_id").cumcount() == 0
    log_source = (np.log10(traces.nearest_snr * traces.noise) + loss)[nearest].set_axis(traces.source_id[nearest])
    magnitude = log_source.reindex(traces.source_id).to_numpy() - 4.2
    p_amplitude = 10 ** (magnitude + 4.2 - loss + rng.normal(0, 0.15, num))
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


# What is recorded: arrivals, noise, disturbances.


def _record(traces: pd.DataFrame, rng: Rng) -> np.ndarray:
    """Counts (N, X, T) of some traces."""
    records_NXT = _background(traces, rng) + _disturbances(traces, rng)
    quakes = traces.source_id.notna().to_numpy()
    if quakes.any():
        records_NXT[quakes] += _arrivals(traces[quakes], rng)
    records_NXT += (rng.normal(0, 2, (len(traces), 3)) * traces.noise.to_numpy()[:, None])[:, :, None]
    records_NXT[traces.vertical_only.to_numpy(), :2] = 0
    return records_NXT


def _arrivals(traces: pd.DataFrame, rng: Rng) -> np.ndarray:
    """P and S with coda. P moves along the ray, S across it; scattered waves move anywhere."""
    toward_x, toward_y = np.sin(traces.back_azimuth.to_numpy()), np.cos(traces.back_azimuth.to_numpy())
    sin, cos = np.sin(traces.incidence.to_numpy()), np.cos(traces.incidence.to_numpy())
    ray_NX = np.stack([-sin * toward_x, -sin * toward_y, cos], axis=1)
    sv_NX = np.stack([cos * toward_x, cos * toward_y, sin], axis=1)
    sh_NX = np.stack([toward_y, -toward_x, 0 * sin], axis=1)
    sv_share = rng.uniform(0, np.pi / 2, (len(traces), 1))
    s_NX = np.sin(sv_share) * sv_NX + np.cos(sv_share) * sh_NX
    separation_s = (traces.s_time_s - traces.p_time_s).to_numpy()
    return _phase(traces, rng, "p", ray_NX, 0.3 * separation_s + 0.4, 1.0) + _phase(
        traces, rng, "s", s_NX, 0.8 * separation_s + 1.5, traces.vp_vs.to_numpy()
    )


def _phase(
    traces: pd.DataFrame, rng: Rng, phase: str, motion_NX: np.ndarray, coda_s: np.ndarray, slowness: np.ndarray | float
) -> np.ndarray:
    """One phase: a Brune spectrum, attenuated, under a fast rise, a short pulse and an exponential coda."""
    num = len(traces)
    attenuation_s = (traces[f"{phase}_travel_s"] / rng.uniform(300, 800, num) * slowness + traces.site_s).to_numpy()
    corner_hz = traces.corner_hz.to_numpy() / slowness
    frequency_NF = _FREQUENCY_F / corner_hz[:, None]
    shape_NF = _FREQUENCY_F / (1 + frequency_NF**2) * np.exp(-np.pi * attenuation_s[:, None] * _FREQUENCY_F)
    shape_NF *= _FREQUENCY_F > 0.8
    direct_N1T = _coloured(rng, shape_NF, 1)
    scattered_NXT = _coloured(rng, shape_NF, 3)

    since_NT = (_TIME_S - traces[f"{phase}_time_s"].to_numpy()[:, None]).clip(0)
    rise_s = 10 ** rng.uniform(-1.7, -0.8, (num, 1)) * (1.0 if phase == "p" else 1.5)
    pulse_s = 10 ** rng.uniform(-0.6, 0.1, (num, 1)) * (1.0 if phase == "p" else 1.8)
    coda_level = rng.uniform(0.25, 0.5, (num, 1))
    envelope_NT = np.exp(-since_NT / pulse_s) + coda_level * np.exp(-since_NT / coda_s[:, None])
    envelope_NT *= 1 - np.exp(-since_NT / rise_s)
    scattered_share_NT = (0.25 + since_NT / 2).clip(0, 0.8)  # polarisation fades into the coda
    motion_NXT = motion_NX[:, :, None] * (direct_N1T * (1 - scattered_share_NT)[:, None])
    motion_NXT += _SCATTERED[phase][:, None] * scattered_NXT * scattered_share_NT[:, None]
    return motion_NXT * (envelope_NT * traces[f"{phase}_amplitude"].to_numpy()[:, None])[:, None]


def _background(traces: pd.DataFrame, rng: Rng) -> np.ndarray:
    """Coloured noise of standard deviation `noise` above 1 Hz, with microseism and a hum that swells."""
    slope = rng.uniform(0.2, 0.9, (len(traces), 1))
    frequency_F = np.maximum(_FREQUENCY_F, 0.02)
    noise_NXT = _coloured(rng, frequency_F**-slope * (_FREQUENCY_F > 1), 3)
    microseism_NF = np.exp(-0.5 * (np.log(frequency_F / rng.uniform(0.15, 0.35, (len(traces), 1))) / 0.4) ** 2)
    noise_NXT += _column(traces.microseism) * _coloured(rng, microseism_NF, 3)
    hum_NXT = _coloured(rng, np.exp(-0.5 * ((_FREQUENCY_F - traces.hum_hz.to_numpy()[:, None]) / 1.0) ** 2), 3)
    swell_NT = 1 + 0.8 * np.sin(
        2 * np.pi * (_TIME_S / rng.uniform(4, 20, (len(traces), 1)) + rng.random((len(traces), 1)))
    )
    noise_NXT += _column(traces.hum) * hum_NXT * swell_NT[:, None]
    return noise_NXT * _column(traces.noise)


def _disturbances(traces: pd.DataFrame, rng: Rng) -> np.ndarray:
    """What an energy detector takes for arrivals and a human does not.

    Traffic swells and fades; machines hum at one frequency; footsteps are regular; spikes and steps are on one
    component. None has the sharp front, the coda and the S wave of an earthquake.
    """
    num = len(traces)
    burst_NF = np.exp(
        -0.5 * (np.log(np.maximum(_FREQUENCY_F, 0.02) / 10 ** rng.uniform(0.6, 1.2, (num, 1))) / 0.3) ** 2
    )
    burst_NXT = _coloured(rng, burst_NF, 3) * 10 ** rng.uniform(-0.4, 0.0, (num, 3, 1))
    tone_NT = np.sin(2 * np.pi * (traces.hum_hz.to_numpy()[:, None] * _TIME_S + rng.random((num, 1))))
    tone_NXT = 1.4 * tone_NT[:, None] * 10 ** rng.uniform(-0.4, 0.0, (num, 3, 1))
    swell_NT, hum_NT = np.zeros((2, num, TRACE_SAMPLES))
    sharp_NXT = np.zeros((num, 3, TRACE_SAMPLES))
    for n, expected in enumerate(traces.disturbances):
        for _ in range(rng.poisson(expected)):
            at_s, strength = rng.uniform(0, 60), 10 ** rng.uniform(0.8, 1.8)
            kind = rng.choice(5, p=_DISTURBANCE_SHARES)
            if kind == 0:  # traffic
                swell_NT[n] += strength * np.exp(-0.5 * ((_TIME_S - at_s) / 10 ** rng.uniform(-0.2, 0.4)) ** 2)
            elif kind == 1:  # machine
                away_s = np.abs(_TIME_S - at_s) - 10 ** rng.uniform(-0.3, 0.6)
                hum_NT[n] += strength / (1 + np.exp((away_s / 0.05).clip(-50, 50)))
            elif kind == 2:  # footsteps
                for step_s in at_s + rng.uniform(0.45, 0.7) * np.arange(rng.integers(1, 9)):
                    swell_NT[n] += strength * np.exp(-0.5 * ((_TIME_S - step_s) / 0.05) ** 2)
            else:  # spike, step that decays
                first, decay_s = int(at_s * SAMPLING_RATE_HZ), 0.01 if kind == 3 else 10 ** rng.uniform(-0.3, 0.5)
                since_s = _TIME_S[: TRACE_SAMPLES - first]
                sharp_NXT[n, rng.integers(3), first:] += rng.choice([-2, 2]) * strength * np.exp(-since_s / decay_s)
    return (burst_NXT * swell_NT[:, None] + tone_NXT * hum_NT[:, None] + sharp_NXT) * _column(traces.noise)


def _gap(traces: pd.DataFrame, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """First and last sample of a gap in one trace of twelve; both 0 elsewhere."""
    has_gap = rng.random(len(traces)) < 1 / 12
    first = rng.integers(0, TRACE_SAMPLES, len(traces))
    length = (10 ** rng.uniform(1.5, 2.8, len(traces))).astype(int)
    return np.where(has_gap, first, 0), np.where(has_gap, np.minimum(first + length, TRACE_SAMPLES), 0)


def _coloured(rng: Rng, shape_NF: np.ndarray, num_components: int, num: int | None = None) -> np.ndarray:
    """Gaussian noise (N, X, T) of amplitude spectrum `shape_NF` and standard deviation 1."""
    size = (num or len(shape_NF), num_components, len(_FREQUENCY_F))
    spectrum = rng.standard_normal((*size, 2), dtype=np.float32).view(np.complex64)[..., 0]
    norm_N1 = TRACE_SAMPLES / 2 / np.sqrt(np.square(shape_NF).sum(axis=1, keepdims=True))
    return fft.irfft(spectrum * (shape_NF * norm_N1)[:, None].astype(np.float32), TRACE_SAMPLES)


def _column(values: pd.Series) -> np.ndarray:
    return values.to_numpy(dtype=np.float32)[:, None, None]


# The files.


def _write_waveforms(path: Path, traces: pd.DataFrame, rng: Rng, progress: Callable[[int, int], None] | None) -> None:
    traces["gap_first"], traces["gap_last"] = _gap(traces, rng)
    with h5py.File(path, "w") as file:
        block = file.create_dataset("data/bucket0", (len(traces), 3, TRACE_SAMPLES), dtype=np.float32)
        for start in range(0, len(traces), _CHUNK):
            chunk = traces.iloc[start : start + _CHUNK]
            records_NXT = _record(chunk, rng)
            for record_XT, first, last in zip(records_NXT, chunk.gap_first, chunk.gap_last, strict=True):
                record_XT[:, first:last] = 0
            block[start : start + len(chunk)] = records_NXT
            if progress:
                progress(start + len(chunk), len(traces))
        file_format = {"dimension_order": "CW", "component_order": COMPONENT_ORDER, "measurement": "velocity"}
        file_format |= {"unit": "counts", "instrument_response": "not restituted", "sampling_rate": SAMPLING_RATE_HZ}
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
        table[f"trace_{phase}_arrival_sample"] = sample.where(seen & (sample < TRACE_SAMPLES))
        table[f"trace_{phase}_status"] = np.where(seen, "synthetic", "")
        table[f"trace_{phase}_snr_db"] = (20 * np.log10(snr)).round(2)
    table["split"] = split_by_event(event_ids(table), seed)
    return table
