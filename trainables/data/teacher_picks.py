"""What a teacher picks in continuous waveforms: its own windows overlap and are stacked, as `seisweep pick` does it."""

# B window, C class, X component (E, N, Z), T time sample

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ
from trainables.edge.mean import mean_of
from trainables.edge.network import Network
from trainables.edge.picking import Peak, Peaks, annotate, annotate_mean
from trainables.models.teacher import Teacher, members


class TeacherPick(NamedTuple):
    """One onset."""

    sample: int
    phase: int
    """0 P, 1 S."""
    probability: float


def as_network(teacher: nn.Module, threshold: float) -> Network:
    """A teacher, or the mean of several, as what picks records."""
    networks = [_network(member, threshold) for member in members(teacher)]
    return networks[0] if len(networks) == 1 else mean_of(networks)


def picks_in(network: Network, raw_XT: np.ndarray) -> list[TeacherPick]:
    """All picks in counts (3, T), in the order of time."""
    curves_of = annotate_mean if network.members else annotate
    phases = [phase for phase in PHASES if phase in network.phases]
    peaks = {phase: Peaks(network.threshold(phase)) for phase in phases}
    found: dict[str, list[Peak]] = defaultdict(list)
    for first, curves_CT in curves_of(lambda a, b: raw_XT[:, a:b], raw_XT.shape[1], network):
        for phase in phases:
            found[phase] += peaks[phase].feed(first, curves_CT[network.phases[phase]])
    picks = [
        TeacherPick(peak.sample, PHASES.index(phase), float(peak.probability))
        for phase in phases
        for peak in found[phase] + peaks[phase].close()
    ]
    return sorted(picks)


def _network(teacher: Teacher, threshold: float) -> Network:
    interface = teacher.interface

    def probabilities(raw_BXT: np.ndarray) -> np.ndarray:
        return interface.probabilities(teacher(torch.from_numpy(raw_BXT)).float()).numpy()

    return Network(
        "teacher",
        COMPONENT_ORDER,
        interface.classes,
        SAMPLING_RATE_HZ,
        interface.window_samples,
        probabilities,
        thresholds=dict.fromkeys(PHASES, threshold),
        overlap=interface.window_samples // 2,
        stacking=interface.stacking,
        blinding_samples=interface.blinding_samples,
    )
