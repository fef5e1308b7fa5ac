"""Import of the published foreshock/aftershock data of station NRCA (Norcia 2016; zenodo 12806081).

Three files `dataframe_{pre,visso,post}_NRCA.csv`, pandas pickles despite the name (Laurenti et al. 2024).
"""

# N trace, X component (E, N, Z), T time sample

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from trainables.data.config import COMPONENT_ORDER
from trainables.data.safe_pickle import read_table
from trainables.data.sequence import PART_COLUMN, PARTS, Progress, write_sequence

DEFAULT_SAMPLING_RATE_HZ = 100.0
"""Of NRCA's channels HH; the published files do not say it."""

_RENAMED = {
    "trace_name": "trace_original_name",
    "trace_start_time": "trace_start_time",
    "source_id": "source_id",
    "source_origin_time": "source_origin_time",
    "source_latitude": "source_latitude_deg",
    "source_longitude": "source_longitude_deg",
    "source_depth_km": "source_depth_km",
    "source_magnitude": "source_magnitude",
    "source_magnitude_type": "source_magnitude_type",
    "network_code": "station_network_code",
    "receiver_name": "station_code",
    "receiver_type": "trace_channel",
    "receiver_latitude": "station_latitude_deg",
    "receiver_longitude": "station_longitude_deg",
    "receiver_elevation_m": "station_elevation_m",
    "p_travel_sec": "path_p_travel_s",
}
"""The published columns and SeisBench's names for them."""
_REQUIRED = ("trace_name", "trace_start_time", "source_id")
_CHANNELS = [f"{component}_channel" for component in COMPONENT_ORDER]
_CHUNK = 256


def file_name(part: str) -> str:
    return f"dataframe_{part}_NRCA.csv"


def import_nrca(
    source: Path,
    folder: Path,
    *,
    sampling_rate_hz: float = DEFAULT_SAMPLING_RATE_HZ,
    without_visso: bool = False,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Write the published files in `source` as one data set to a new `folder`; returns its metadata.

    Rows keep the order of the files, pre, Visso, post: the published splits depend on it. Raises ValueError in one
    line where a file is missing or refused, traces differ in length, or a sample is not finite.
    """
    parts = [part for part in PARTS if not (without_visso and part == "visso")]
    missing = [file_name(part) for part in parts if not (source / file_name(part)).is_file()]
    if missing:
        hint = "; --without-visso imports the other two" if missing == [file_name("visso")] else ""
        raise ValueError(f"{source}: no {' and no '.join(missing)} in it{hint}")
    tables, blocks = [], []
    for part in parts:
        path = source / file_name(part)
        table = read_table(path)
        blocks.append(_waveforms(table, path))
        tables.append(_metadata(table, path).assign(**{PART_COLUMN: part}))
    lengths = [block_NXT.shape[2] for block_NXT in blocks]
    if len(set(lengths)) > 1:
        told = ", ".join(f"{length} in {file_name(part)}" for part, length in zip(parts, lengths, strict=True))
        raise ValueError(f"{source}: waveforms differ in length: {told} samples")
    metadata = pd.concat(tables, ignore_index=True).assign(
        trace_sampling_rate_hz=sampling_rate_hz, trace_synthetic=False
    )
    chunks = (block_NXT[n : n + _CHUNK] for block_NXT in blocks for n in range(0, len(block_NXT), _CHUNK))
    write_sequence(folder, metadata, chunks, lengths[0], progress)
    return metadata


def _waveforms(table: pd.DataFrame, path: Path) -> np.ndarray:
    """Counts (N, X, T) float32 of a published table."""
    absent = [column for column in (*_CHANNELS, *_REQUIRED) if column not in table]
    if absent:
        raise ValueError(f"{path}: no column {', '.join(absent)}: not a table of the NRCA data")
    if table.empty:
        raise ValueError(f"{path}: holds no trace")
    names = table["trace_name"].tolist()
    channels = {column: table[column].tolist() for column in _CHANNELS}
    num_samples = np.size(channels[_CHANNELS[0]][0])
    block_NXT = np.empty((len(table), 3, num_samples), dtype=np.float32)
    for x, (column, traces) in enumerate(channels.items()):
        for n, trace_T in enumerate(traces):
            try:
                values_T = np.asarray(trace_T, dtype=np.float64)
            except (TypeError, ValueError):
                raise ValueError(f"{path}: {column} of trace {names[n]} holds no numbers") from None
            if values_T.shape != (num_samples,):
                raise ValueError(
                    f"{path}: {column} of trace {names[n]} has {values_T.size} samples and the first trace has "
                    f"{num_samples}; all must be equal"
                )
            with np.errstate(over="ignore"):
                block_NXT[n, x] = values_T
            if not np.isfinite(block_NXT[n, x]).all():
                raise ValueError(f"{path}: {column} of trace {names[n]} has samples that are not finite numbers")
    if num_samples == 0:
        raise ValueError(f"{path}: its traces have no samples")
    return block_NXT


def _metadata(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    columns = {new: table[old].to_numpy() for old, new in _RENAMED.items() if old in table}
    metadata = pd.DataFrame(columns)
    ids = pd.to_numeric(metadata["source_id"], errors="coerce")
    if ids.isna().any() or (ids % 1 != 0).any():
        raise ValueError(f"{path}: source_id must be an integer in every row")
    if pd.to_datetime(metadata["trace_start_time"], errors="coerce", format="ISO8601").isna().any():
        raise ValueError(f"{path}: trace_start_time must be a time such as 2016-10-30T07:40:17.000000Z in every row")
    return metadata.assign(source_id=ids.astype(np.int64))
