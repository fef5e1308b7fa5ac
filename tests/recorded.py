"""Files of continuous waveforms that tests make, and a teacher who picks in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import obspy
import torch
from lifelike import picker
from obspy import UTCDateTime

from trainables.models.teacher import Teacher

START = UTCDateTime(2020, 1, 1)


def write_noise(
    folder: Path, station: str = "ST00", minutes: float = 25, start: UTCDateTime = START, seed: int = 0
) -> Path:
    """A file of a station: steps of random size, as counts."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = obspy.Stream()
    for number, component in enumerate("ENZ"):
        rng = np.random.default_rng([seed, number, *station.encode()])
        data = np.cumsum(rng.normal(size=round(minutes * 6000))) * 30
        header = {"network": "XX", "station": station, "channel": f"HH{component}", "sampling_rate": 100.0}
        stream += obspy.Trace(data.astype(np.int32), header | {"starttime": start})
    stream.write(str(folder / f"{station}.mseed"), format="MSEED")
    return folder


def write_network(folder: Path, stations: Sequence[str] = ("ST00", "ST01"), minutes: float = 25) -> Path:
    for station in stations:
        write_noise(folder, station, minutes)
    return folder


def lively_teacher() -> Teacher:
    """Its curves rise and fall, so that it has many picks."""
    model = picker(base_channels=4, pooling=4)
    with torch.no_grad():
        model.head.weight.mul_(12)
    return Teacher(model)
