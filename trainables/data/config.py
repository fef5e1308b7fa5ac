"""Settings of the picking data: which data set, which share of it, and how windows and labels are made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from trainables.config import Config

SAMPLING_RATE_HZ = 100.0
COMPONENT_ORDER = "ENZ"
WINDOW_SAMPLES = 3001
PHASES = ("P", "S")


class DataConfig(Config):
    """A SeisBench data set and the prescribed windows of it: 3001 samples, 100 Hz, components E, N, Z."""

    dataset: str
    """SeisBench name (ETHZ, STEAD, ...) or a folder in SeisBench's format (metadata.csv, waveforms.hdf5), here or as
    s3://, https:// or http://: each machine fetches that once."""

    few_shot_fraction: float = Field(1.0, gt=0, le=1)
    """Share of the training events, seeded and nested (5 % lies inside 10 %); dev and test never change."""

    few_shot_seed: int = Field(0, ge=0)
    """Which events a fraction takes."""

    sigma_samples: float = Field(30.0, gt=0)
    """Standard deviation of the Gaussian labels around a pick, in samples at 100 Hz."""

    max_time_shift_s: float = Field(0.0, ge=0, le=10)
    """Random time shift of a training window, uniform within plus and minus this many seconds. 0: off."""

    max_amplitude_scale: float = Field(1.0, ge=1)
    """Random scaling of each component, log-uniform in [1/max, max], as if gains differed. 1: off."""

    missing_phase: Literal["mask", "noise"] = "mask"
    """A phase that is not labelled in a trace: unknown there, in the loss, scores and thresholds, or noise. Told by
    `trace_p_status`, `trace_s_status` (`unlabelled`), or by a phase that a tenth of the traces or more lack."""

    dev_windows_per_trace: int | None = Field(None, ge=1)
    """Fixed, seeded windows of each dev trace; default 20 up to 100 dev traces, then fewer, at least 1."""

    store_dtype: Literal["float32", "float16"] = "float32"
    """Number format of the window store on disk; float16 halves it (scaled per trace)."""

    cache_dir: Path | None = None
    """Folder of the window stores; default: a folder in SeisBench's cache."""
