"""What a station of the synthetic network records: arrivals with coda, noise, and what is mistaken for arrivals."""

# N trace, X component (E, N, Z), T time sample, F frequency, 1 one for all

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import fft

from trainables.data.config import SAMPLING_RATE_HZ

TRACE_SAMPLES = 6000
Rng = np.random.Generator

_SCATTERED = {"p": np.array([0.4, 0.4, 0.8]), "s": np.array([0.8, 0.8, 0.4])}
"""Amplitude of scattered waves on E, N, Z: they keep to the phase's own components."""
_ABSORBED = {"p": 1.0, "s": 6.0}
"""S waves lose more a second of travel, above all in the soft layers below a station."""
_RISE = {"p": 1.0, "s": 2.5}
_PULSE = {"p": 1.0, "s": 1.8}
_DISTURBANCES = {"traffic": 0.1, "machine": 0.3, "footsteps": 0.2, "spike": 0.25, "step": 0.15}
"""Shares of what an energy detector takes for arrivals."""

_FREQUENCY_F = fft.rfftfreq(TRACE_SAMPLES, 1 / SAMPLING_RATE_HZ)
_POSITIVE_F = np.maximum(_FREQUENCY_F, 0.02)
_TIME_T = np.arange(TRACE_SAMPLES) / SAMPLING_RATE_HZ


def record(traces: pd.DataFrame, rng: Rng) -> np.ndarray:
    """Counts (N, X, T) of some rows of the table that `synthetic` makes."""
    records_NXT = _background(traces, rng) + _disturbances(traces, rng)
    quakes = traces.source_id.notna().to_numpy()
    if quakes.any():
        records_NXT[quakes] += _arrivals(traces[quakes], rng)
    records_NXT += (rng.normal(0, 2, (len(traces), 3)) * traces.noise.to_numpy()[:, None])[:, :, None]
    records_NXT[traces.vertical_only.to_numpy(), :2] = 0
    return records_NXT


def _arrivals(traces: pd.DataFrame, rng: Rng) -> np.ndarray:
    """P and S with coda: P moves along the ray, S across it."""
    toward_x, toward_y = np.sin(traces.back_azimuth.to_numpy()), np.cos(traces.back_azimuth.to_numpy())
    sin, cos = np.sin(traces.incidence.to_numpy()), np.cos(traces.incidence.to_numpy())
    ray_NX = np.stack([-sin * toward_x, -sin * toward_y, cos], axis=1)
    sv_NX = np.stack([cos * toward_x, cos * toward_y, sin], axis=1)
    sh_NX = np.stack([toward_y, -toward_x, 0 * sin], axis=1)
    angle_N1 = rng.uniform(0, np.pi / 2, (len(traces), 1))
    s_NX = np.sin(angle_N1) * sv_NX + np.cos(angle_N1) * sh_NX

    separation_s = (traces.s_time_s - traces.p_time_s).to_numpy()
    corner_hz = traces.corner_hz.to_numpy()
    p_NXT = _phase(traces, rng, "p", ray_NX, corner_hz, coda_s=0.3 * separation_s + 0.4)
    s_NXT = _phase(traces, rng, "s", s_NX, corner_hz / traces.vp_vs.to_numpy(), coda_s=0.8 * separation_s + 1.5)
    return p_NXT + s_NXT


def _phase(
    traces: pd.DataFrame, rng: Rng, phase: str, motion_NX: np.ndarray, corner_hz: np.ndarray, coda_s: np.ndarray
) -> np.ndarray:
    """Noise of an attenuated Brune spectrum under a fast rise, a short pulse and an exponential coda."""
    num = len(traces)
    quality_N = rng.uniform(400, 1000, num)
    absorption_s = (traces[f"{phase}_travel_s"] / quality_N + traces.site_s).to_numpy() * _ABSORBED[phase]
    shape_NF = _FREQUENCY_F / (1 + (_FREQUENCY_F / corner_hz[:, None]) ** 2)
    shape_NF *= np.exp(-np.pi * absorption_s[:, None] * _FREQUENCY_F) * (_FREQUENCY_F > 0.8)
    direct_N1T = _coloured(rng, shape_NF, 1)
    scattered_NXT = _coloured(rng, shape_NF, 3)

    since_NT = (_TIME_T - traces[f"{phase}_time_s"].to_numpy()[:, None]).clip(0)
    rise_s = 10 ** rng.uniform(-1.7, -0.8, (num, 1)) * _RISE[phase]
    pulse_s = 10 ** rng.uniform(-0.6, 0.1, (num, 1)) * _PULSE[phase]
    coda_level = rng.uniform(0.25, 0.5, (num, 1))
    envelope_NT = np.exp(-since_NT / pulse_s) + coda_level * np.exp(-since_NT / coda_s[:, None])
    envelope_NT *= 1 - np.exp(-since_NT / rise_s)
    scattered_share_NT = (0.25 + since_NT / 2).clip(0, 0.8)  # polarisation fades into the coda
    motion_NXT = motion_NX[:, :, None] * (direct_N1T * (1 - scattered_share_NT)[:, None])
    motion_NXT += _SCATTERED[phase][:, None] * scattered_NXT * scattered_share_NT[:, None]
    return motion_NXT * (envelope_NT * traces[f"{phase}_amplitude"].to_numpy()[:, None])[:, None]


def _background(traces: pd.DataFrame, rng: Rng) -> np.ndarray:
    """Coloured noise of standard deviation `noise` above 1 Hz, with microseism and a hum that swells."""
    num = len(traces)
    slope_N1 = rng.uniform(0.0, 0.5, (num, 1))
    noise_NXT = _coloured(rng, _POSITIVE_F**-slope_N1 * (_FREQUENCY_F > 1), 3)
    microseism_hz = rng.uniform(0.15, 0.35, (num, 1))
    noise_NXT += _column(traces.microseism) * _coloured(rng, _octaves(microseism_hz, 0.4), 3)
    hum_NF = np.exp(-0.5 * (_FREQUENCY_F - traces.hum_hz.to_numpy()[:, None]) ** 2)
    hum_NXT = _coloured(rng, hum_NF, 3)
    swell_NT = 1 + 0.8 * np.sin(2 * np.pi * (_TIME_T / rng.uniform(4, 20, (num, 1)) + rng.random((num, 1))))
    noise_NXT += _column(traces.hum) * hum_NXT * swell_NT[:, None]
    return noise_NXT * _column(traces.noise)


def _disturbances(traces: pd.DataFrame, rng: Rng) -> np.ndarray:
    """What an energy detector takes for arrivals and an analyst does not.

    Traffic swells and fades; machines hum at one frequency; footsteps are short and regular; spikes and steps
    are on one component. None has the front, the coda and the S wave of an earthquake.
    """
    num = len(traces)
    burst_hz = 10 ** rng.uniform(0.6, 1.2, (num, 1))
    burst_NXT = _coloured(rng, _octaves(burst_hz, 0.3), 3) * 10 ** rng.uniform(-0.4, 0.0, (num, 3, 1))
    tone_NT = np.sin(2 * np.pi * (traces.hum_hz.to_numpy()[:, None] * _TIME_T + rng.random((num, 1))))
    tone_NXT = 1.4 * tone_NT[:, None] * 10 ** rng.uniform(-0.4, 0.0, (num, 3, 1))
    swell_NT, hum_NT = np.zeros((2, num, TRACE_SAMPLES))
    sharp_NXT = np.zeros((num, 3, TRACE_SAMPLES))
    kinds, shares = list(_DISTURBANCES), list(_DISTURBANCES.values())
    for n, expected in enumerate(traces.disturbances):
        for _ in range(rng.poisson(expected)):
            at_s, strength = rng.uniform(0, TRACE_SAMPLES / SAMPLING_RATE_HZ), 10 ** rng.uniform(0.8, 1.8)
            kind = kinds[rng.choice(len(kinds), p=shares)]
            if kind == "traffic":
                swell_NT[n] += strength * _bell(at_s, 10 ** rng.uniform(-0.2, 0.4))
            elif kind == "machine":
                outside_s = np.abs(_TIME_T - at_s) - 10 ** rng.uniform(-0.3, 0.6)
                hum_NT[n] += strength / (1 + np.exp((outside_s / 0.05).clip(-50, 50)))
            elif kind == "footsteps":
                for step_s in at_s + rng.uniform(0.45, 0.7) * np.arange(rng.integers(1, 9)):
                    swell_NT[n] += strength * _bell(step_s, 0.05)
            else:
                decay_s = 0.01 if kind == "spike" else 10 ** rng.uniform(-0.3, 0.5)
                first, component = int(at_s * SAMPLING_RATE_HZ), rng.integers(3)
                since_s = _TIME_T[: TRACE_SAMPLES - first]
                sharp_NXT[n, component, first:] += rng.choice([-2, 2]) * strength * np.exp(-since_s / decay_s)
    return (burst_NXT * swell_NT[:, None] + tone_NXT * hum_NT[:, None] + sharp_NXT) * _column(traces.noise)


def _coloured(rng: Rng, shape_NF: np.ndarray, num_components: int) -> np.ndarray:
    """Gaussian noise (N, X, T) of amplitude spectrum `shape_NF` and standard deviation 1."""
    size = (len(shape_NF), num_components, len(_FREQUENCY_F))
    spectrum = rng.standard_normal((*size, 2), dtype=np.float32).view(np.complex64)[..., 0]
    norm_N1 = TRACE_SAMPLES / 2 / np.sqrt(np.square(shape_NF).sum(axis=1, keepdims=True))
    return fft.irfft(spectrum * (shape_NF * norm_N1)[:, None].astype(np.float32), TRACE_SAMPLES)


def _octaves(centre_hz: np.ndarray, width: float) -> np.ndarray:
    """A bell over the logarithm of frequency, (N, F)."""
    return np.exp(-0.5 * (np.log(_POSITIVE_F / centre_hz) / width) ** 2)


def _bell(centre_s: float, width_s: float) -> np.ndarray:
    return np.exp(-0.5 * ((_TIME_T - centre_s) / width_s) ** 2)


def _column(values: pd.Series) -> np.ndarray:
    return values.to_numpy(dtype=np.float32)[:, None, None]
