"""The files of a data set that is built from picks: SeisBench's two, and what to append with."""

# X component, T time sample

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from obspy import UTCDateTime

from trainables.atomic import whole_file
from trainables.data.build_window import BuildConfig, PickAt, Window

METADATA, WAVEFORMS = "metadata.csv", "waveforms.hdf5"
SETTINGS = "build.json"
"""File of a data set that says how it was built."""

_FIRST_COLUMNS = (
    "trace_name",
    "trace_name_original",
    "split",
    "source_id",
    "source_origin_time",
    "source_latitude_deg",
    "source_longitude_deg",
    "source_depth_km",
    "source_magnitude",
    "source_magnitude_type",
    "station_network_code",
    "station_code",
    "station_location_code",
    "trace_channel",
    "trace_start_time",
    "trace_sampling_rate_hz",
    "trace_npts",
    "trace_component_order",
    "trace_live_components",
    "trace_gap_samples",
    "trace_category",
    "trace_p_status",
    "trace_s_status",
    "trace_P_arrival_sample",
    "trace_S_arrival_sample",
)
_ARRIVAL = re.compile(r"trace_([PS])(?:_(\d+))?_arrival_sample")
_LOOSE = "picks-"


@dataclass
class Settings:
    """How a data set was built."""

    config: BuildConfig
    borders_ns: list[int] = field(default_factory=list)
    """Times between the splits, where it is split by time."""


def read_settings(folder: Path) -> Settings:
    """Raises ValueError where the file is broken."""
    try:
        read = json.loads((folder / SETTINGS).read_text())
        return Settings(BuildConfig.model_validate(read["config"]), read["borders_ns"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{folder / SETTINGS}: not what `seisweep data build` has written") from None


def existing_windows(folder: Path) -> list[Window]:
    """The windows of a data set that is there, from its metadata."""
    metadata = _read_metadata(folder)
    arrivals = {str(column): match[1] for column in metadata if (match := _ARRIVAL.fullmatch(str(column)))}
    windows = []
    for row in metadata.to_dict("records"):
        start_ns, rate_hz = UTCDateTime(row["trace_start_time"]).ns, float(row["trace_sampling_rate_hz"])
        picks = [
            PickAt(kind, start_ns + round(float(row[column]) / rate_hz * 1e9), "", True)
            for column, kind in arrivals.items()
            if row[column]
        ]
        windows.append(
            Window(
                key=row["trace_name_original"],
                event=row["source_id"],
                station=f"{row['station_network_code']}.{row['station_code']}",
                location=row["station_location_code"],
                start_ns=start_ns,
                end_ns=start_ns + round(float(row["trace_npts"]) / rate_hz * 1e9),
                picks=tuple(picks),
                loose=row["source_id"].startswith(_LOOSE),
                split=row["split"],
            )
        )
    return windows


def write_dataset(
    folder: Path,
    rows: Sequence[list[dict[str, Any]]],
    values: Sequence[Path],
    settings: Settings,
    append: bool,
    seal: Path,
) -> pd.DataFrame:
    """Waveforms, then settings, then metadata, each whole: what was there before stays valid until the last one is.

    A part becomes a block of its own (N, X, T), padded with zeros to its longest window. `seal` is told what the
    metadata will be, so that a build that is killed when they are there is known to be done. Returns all metadata.
    """
    before = _read_metadata(folder) if append else pd.DataFrame({"trace_name": []})
    blocks = list(dict.fromkeys(name.partition("$")[0] for name in before["trace_name"]))
    with whole_file(folder / WAVEFORMS) as arriving, h5py.File(arriving, "w") as file:
        group = file.create_group("data")
        if append:
            # Blocks that no row names are of an append that was killed before its metadata were there.
            with h5py.File(folder / WAVEFORMS) as there:
                for block in blocks:
                    group.create_dataset(block, data=there[f"data/{block}"][()])  # a copy would note the time
        _write_blocks(file, len(blocks), rows, values, settings.config)
    with whole_file(folder / SETTINGS) as arriving:
        written = {"config": settings.config.model_dump(mode="json"), "borders_ns": settings.borders_ns}
        arriving.write_text(json.dumps(written, indent=1) + "\n")
    metadata = pd.DataFrame([row for of_part in rows for row in of_part]).convert_dtypes()
    metadata = metadata.astype(object).where(metadata.notna(), "").astype(str)
    metadata = pd.concat([before, metadata], ignore_index=True).fillna("") if append else metadata
    metadata = metadata[_in_order(list(metadata.columns))]
    with whole_file(folder / METADATA) as arriving:
        metadata.to_csv(arriving, index=False)
        seal.write_text(digest_of(arriving))
    return metadata


def digest_of(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def _write_blocks(
    file: h5py.File, number: int, rows: Sequence[list[dict[str, Any]]], values: Sequence[Path], config: BuildConfig
) -> None:
    """Blocks from this number on, and the format. Gives each row its `trace_name`."""
    for of_part, place in zip(rows, values, strict=True):
        if not of_part:
            continue
        lengths = [row["trace_npts"] for row in of_part]
        block_NXT = np.zeros((len(lengths), len(config.components), max(lengths)), dtype=np.float32)
        with place.open("rb") as read:
            for n, length in enumerate(lengths):
                count = len(config.components) * length
                block_NXT[n, :, :length] = np.fromfile(read, "<f4", count).reshape(-1, length)
                of_part[n]["trace_name"] = f"bucket{number}${n},:{len(config.components)},:{length}"
        file.create_dataset(f"data/bucket{number}", data=block_NXT)
        number += 1
    file_format: dict[str, str | float] = {
        "dimension_order": "CW",
        "component_order": config.components,
        "sampling_rate": config.rate_hz,
        "measurement": "unknown",
        "unit": "counts",
        "instrument_response": "not restituted",
    }
    for key, value in file_format.items():
        file[f"data_format/{key}"] = value


def _read_metadata(folder: Path) -> pd.DataFrame:
    """As it is written: every cell a text."""
    return pd.read_csv(folder / METADATA, dtype=str, na_filter=False)


def _in_order(columns: list[str]) -> list[str]:
    known = [column for column in _FIRST_COLUMNS if column in columns]
    return known + sorted((column for column in columns if column not in known), key=_place)


def _place(column: str) -> tuple[str, int, str]:
    match = _ARRIVAL.fullmatch(column)
    return (match[1], int(match[2] or 1), "") if match else ("", 0, column)
