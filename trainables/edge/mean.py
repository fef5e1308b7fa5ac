"""Several models as one: the mean of their curves."""

# C class (P, S), T time sample

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from trainables.edge.network import Network


def mean_of(members: Sequence[Network]) -> Network:
    """A network whose curves are the mean of its members' and whose thresholds are the mean of theirs.

    Each member keeps its own windows, components and classes in its own order. Where one of them says nothing the mean
    says nothing. Raises ValueError where their rates, components or phases differ.
    """
    first = members[0]
    for other in members[1:]:
        if abs(other.rate_hz / first.rate_hz - 1) > 1e-6:
            raise ValueError(f"{_one_and(first, other)} need {first.rate_hz:g} and {other.rate_hz:g} Hz")
        if set(other.components) != set(first.components):
            raise ValueError(f"{_one_and(first, other)} need components {first.components} and {other.components}")
        if set(other.phases) != set(first.phases):
            raise ValueError(f"{_one_and(first, other)} pick {_phases(first)} and {_phases(other)}")
    return replace(
        first,
        name=f"mean of {', '.join(member.name for member in members)}",
        classes="".join(first.phases),
        window_samples=max(member.window_samples for member in members),
        thresholds={phase: float(np.mean([one.threshold(phase) for one in members])) for phase in first.phases},
        residual_std_s={},  # theirs are not those of their mean
        members=tuple(members),
    )


def mean_curves(members: Sequence[Iterator[np.ndarray]], num_samples: int) -> Iterator[tuple[int, np.ndarray]]:
    """The number of the first sample, and the mean, of curves (C, T) that each come in pieces of their own length."""
    held_CT = [next(curves) for curves in members]
    done = 0
    while True:
        ready = min(curves_CT.shape[1] for curves_CT in held_CT)
        yield done, np.mean([curves_CT[:, :ready] for curves_CT in held_CT], axis=0)
        done += ready
        if done == num_samples:
            return
        rest_CT = [curves_CT[:, ready:] for curves_CT in held_CT]
        held_CT = [rest if rest.shape[1] else next(curves) for rest, curves in zip(rest_CT, members, strict=True)]


def _one_and(one: Network, other: Network) -> str:
    return f"no mean of {one.name} and {other.name}: they"


def _phases(network: Network) -> str:
    return " and ".join(network.phases)
