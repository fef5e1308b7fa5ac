"""The real records of phasenet_nc_a as a seismologist would have them: a catalogue, and an archive of MiniSEED."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import obspy
import seisbench.data as sbd
from obspy import UTCDateTime
from obspy.core.event import Catalog, Event, Magnitude, Origin, Pick, ResourceIdentifier, WaveformStreamID

from trainables.data.catalog import quiet_seisbench

Record = tuple[np.ndarray, dict[str, Any]]
"""Counts (X, T) in the order E, N, Z, and metadata."""


def real_records(shared_data: Path, number: int | None = None) -> list[Record]:
    with quiet_seisbench():
        dataset = sbd.WaveformDataset(shared_data / "real_data/phasenet_nc_a", component_order="ENZ")
        return [dataset.get_sample(n) for n in range(number or len(dataset))]


def start_of(metadata: dict[str, Any]) -> UTCDateTime:
    return UTCDateTime(metadata["trace_file_time"])


def stream_of(record: Record) -> obspy.Stream:
    waveform_XT, metadata = record
    header = {
        "network": metadata["station_network_code"],
        "station": metadata["station_code"],
        "sampling_rate": 100.0,
        "starttime": start_of(metadata),
    }
    channels = [f"{metadata['trace_channel']}{component}" for component in "ENZ"]
    return obspy.Stream(
        obspy.Trace(data_T.astype(np.float32), {**header, "channel": channel})
        for data_T, channel in zip(waveform_XT, channels, strict=True)
    )


def catalogue_of(records: list[Record]) -> Catalog:
    catalogue = Catalog(resource_id=ResourceIdentifier("smi:local/catalogue"))
    for _, metadata in records:
        source = metadata["source_id"]
        origin = Origin(resource_id=ResourceIdentifier(f"smi:local/origin/{source}"), time=start_of(metadata) + 20)
        origin.latitude, origin.longitude, origin.depth = 37.5, -122.25, 5500.0
        event = Event(resource_id=ResourceIdentifier(f"smi:local/event/{source}"), origins=[origin])
        event.preferred_origin_id = origin.resource_id
        event.magnitudes = [
            Magnitude(ResourceIdentifier(f"smi:local/magnitude/{source}"), mag=1.5, magnitude_type="ML")
        ]
        for phase in "PS":
            event.picks.append(
                Pick(
                    resource_id=ResourceIdentifier(f"smi:local/pick/{source}/{phase}"),
                    time=start_of(metadata) + metadata[f"trace_{phase.lower()}_arrival_sample"] / 100,
                    waveform_id=WaveformStreamID(metadata["station_network_code"], metadata["station_code"]),
                    phase_hint=phase,
                    evaluation_mode="manual",
                )
            )
        catalogue.append(event)
    return catalogue


def write_files(records: list[Record], folder: Path) -> Path:
    """One MiniSEED file a record."""
    folder.mkdir(parents=True)
    for number, record in enumerate(records):
        stream_of(record).write(str(folder / f"{number:03d}.mseed"), format="MSEED")
    return folder


def write_sds(records: list[Record], root: Path) -> Path:
    """A SeisComP data structure: one file a channel and day."""
    days: dict[Path, obspy.Stream] = {}
    for record in records:
        for trace in stream_of(record):
            stats = trace.stats
            folder = root / str(stats.starttime.year) / stats.network / stats.station / f"{stats.channel}.D"
            file = folder / f"{trace.id}.D.{stats.starttime.year}.{stats.starttime.julday:03d}"
            days.setdefault(file, obspy.Stream()).append(trace)
    for file, stream in days.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        stream.write(str(file), format="MSEED")
    return root


def write_csv(records: list[Record], file: Path) -> Path:
    """The columns of `seisweep pick`, times without a zone."""
    lines = ["network,station,location,phase,time"]
    for event in catalogue_of(records):
        for pick in event.picks:
            codes = pick.waveform_id
            lines.append(f"{codes.network_code},{codes.station_code},,{pick.phase_hint},{str(pick.time)[:-1]}")
    file.write_text("\n".join(lines) + "\n")
    return file
