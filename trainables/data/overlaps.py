"""When and where the traces of data sets were recorded, so that streams do not teach what they hold."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from trainables.data.catalog import load_dataset
from trainables.data.config import DataConfig, each_of

_CODES = ("station_code", "trace_start_time", "trace_npts")

logger = logging.getLogger("trainables.data")

Recorded = tuple[str, int, int]
"""NET.STA, or STA where the network is not known, and from when to when, nanoseconds since 1970."""


def recorded_in(config: DataConfig) -> list[Recorded]:
    """Of all traces of the data sets, whatever their split. Of a data set that does not say it, it is said once."""
    found: list[Recorded] = []
    for name in each_of(config.dataset):
        its = recorded_by(load_dataset(name).metadata)
        if not its:
            logger.warning(
                "data.dataset=%s: its metadata have no times and stations (trace_start_time, station_code), so it "
                "cannot be checked whether the streams hold the same waveforms",
                name,
            )
        found += its
    return found


def recorded_by(metadata: pd.DataFrame) -> list[Recorded]:
    """The same of one data set; [] where its metadata do not say it."""
    if any(column not in metadata for column in _CODES):
        return []
    start = pd.to_datetime(metadata["trace_start_time"], errors="coerce", utc=True, format="ISO8601")
    seconds = pd.to_numeric(metadata["trace_npts"], errors="coerce") / metadata["trace_sampling_rate_hz"]
    is_known = (start.notna() & np.isfinite(seconds) & metadata["station_code"].notna()).to_numpy()
    start_ns = start[is_known].dt.as_unit("ns").astype("int64").to_numpy()
    end_ns = start_ns + (seconds[is_known].to_numpy(dtype=float) * 1e9).astype(np.int64)
    station = metadata["station_code"][is_known].astype(str)
    if "station_network_code" in metadata:
        network = metadata["station_network_code"][is_known]
        station = (network.astype(str) + "." + station).where(network.notna(), station)
    return list(zip(station.tolist(), start_ns.tolist(), end_ns.tolist(), strict=True))
