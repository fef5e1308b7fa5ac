"""A picker whose batch normalisation has seen data, windows for it, and streams to pick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import torch
from torch import nn

from trainables.edge.files import index
from trainables.edge.network import Network
from trainables.edge.picking import Pick, picks_of
from trainables.edge.waveforms import recordings
from trainables.models.xiaonet import StudentConfig, XiaoNet, build_student

START = obspy.UTCDateTime(2024, 2, 29, 23, 50)


def windows(number: int, seed: int = 0) -> np.ndarray:
    """Normalised windows (N, 3, 3001) of coloured noise with a burst."""
    rng = np.random.default_rng(seed)
    noise_NXT = np.cumsum(rng.normal(size=(number, 3, 3001)), axis=-1)
    noise_NXT -= noise_NXT.mean(axis=-1, keepdims=True)
    noise_NXT[..., 1000:1400] += rng.normal(0, 40, (number, 3, 400))
    return (noise_NXT / np.abs(noise_NXT).max(axis=-1, keepdims=True)).astype(np.float32)


def picker(base_channels: int = 4, pooling: int = 4, norm: str = "batch", context: str = "near") -> XiaoNet:
    """Weights whose batch normalisation has seen data, so that folding it changes something."""
    torch.manual_seed(0)
    size = {"base_channels": base_channels, "pooling": pooling, "norm": norm, "context": context}
    model = build_student(StudentConfig.model_validate({**size, "dropout": 0.1}))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    with torch.no_grad():
        model.train()
        for _ in range(20):
            model(torch.from_numpy(windows(4)))
    return model.eval()


def stream(
    seconds: float = 200, channels: str = "HHE HHN HHZ", station: str = "ABC", rate_hz: float = 100, seed: int = 0
):
    """Noise with a burst every 20 s, the same ground motion at every rate."""
    rng = np.random.default_rng(seed)
    traces = obspy.Stream()
    for channel in channels.split():
        slow = np.cumsum(rng.normal(size=int(seconds * 20) + 21))
        time_T = np.arange(int(seconds * rate_hz)) / rate_hz
        data = np.interp(time_T, np.arange(len(slow)) / 20, slow) * 30
        data += 2000 * np.exp(-(time_T % 20)) * np.sin(2 * np.pi * 4 * time_T)
        header = {"network": "XX", "station": station, "channel": channel, "sampling_rate": rate_hz, "starttime": START}
        traces += obspy.Trace(data.astype(np.int32), header)
    return traces


def write(traces: obspy.Stream, path: Path) -> Path:
    traces.write(str(path), format="MSEED")
    return path


def picks_in(network: Network, *files: Path, said: list[str] | None = None) -> list[Pick]:
    """All picks of these files; what was said goes into the list `said`."""
    said = [] if said is None else said
    pieces = [piece for file in files for piece in index(file)]
    found = recordings(pieces, network, said.append, lambda file, reason: said.append(f"{file}: {reason}"))
    return [p for recording in found for p in picks_of(recording, network)]
