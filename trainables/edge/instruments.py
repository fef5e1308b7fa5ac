"""The instruments at one place: which are dead, which one is picked when, and what is said of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trainables.edge.joining import same
from trainables.edge.stretches import INSTRUMENTS, Instrument, Span, merged, one_at_a_time, without

if TYPE_CHECKING:
    from trainables.edge.waveforms import Recording

SLACK_NS = 50_000_000
"""Flat stretches of records that follow on each other are one, whatever their clocks round."""


def pick_one_at_a_time(here: Sequence[Recording], say: Callable[[str], None]) -> list[Recording]:
    """The recordings at one place that are picked, each with the time when it is; what is left out is said."""
    alive = {id(recording): alive_spans(recording) for recording in here}
    living = []
    for recording in sorted(here, key=_rank):
        if any(alive[id(recording)].values()):
            living.append(recording)
        else:
            say(f"{recording.name}: flat, no sample differs from another; not picked")
    if len(living) > 1:
        living = _chosen(living, alive, say)
    for recording in living:
        _say_what_differs(recording, alive[id(recording)], say)
    return living


def _chosen(living: Sequence[Recording], alive: dict, say: Callable[[str], None]) -> list[Recording]:
    network = living[0].network
    recorded = [[(t.ns, t.ns + round(n / network.rate_hz * 1e9)) for t, n in one.segments()] for one in living]
    asked = [
        Instrument(one.family, max(one.rates_hz), spans, alive[id(one)])
        for one, spans in zip(living, recorded, strict=True)
    ]
    window_ns = round(network.window_samples / network.rate_hz * 1e9)
    chosen = one_at_a_time(asked, window_ns, network.rate_hz)
    # Instruments end some samples apart: what is left of one after the other is not a stretch.
    own = [[span for span in spans if span[1] - span[0] > SLACK_NS] for spans in chosen]
    left = [without(spans, mine) for spans, mine in zip(recorded, own, strict=True)]
    shared = [row for row in range(len(living)) if own[row] and _overlaps(row, recorded)]
    if sum(map(_length_s, left)) and len(shared) > 1:
        times = ", ".join(f"{living[row].family} {_length_s(own[row]) / 60:.1f} min" for row in shared)
        say(
            f"{living[0].id}: {' and '.join(living[row].family for row in shared)} record at the same time; one is "
            f"picked at a time: {times}"
        )
    for row, one in enumerate(living):
        if own[row]:
            one.own = own[row] if _length_s(left[row]) else None
            continue
        rival = max(range(len(living)), key=lambda other: _shared_s(recorded[row], own[other]))
        names = f"{living[rival].family} and {one.family}"
        say(f"{one.id}: {names} record at the same time; {living[rival].family} is picked")
    return [one for row, one in enumerate(living) if own[row]]


def _say_what_differs(recording: Recording, alive: dict[str, list[Span]], say: Callable[[str], None]) -> None:
    network = recording.network
    missing = [component for component in network.components if component not in recording.components]
    if missing:
        words = ("component", "its place") if len(missing) == 1 else ("components", "their place")
        say(f"{recording.name}: no {words[0]} {', '.join(missing)}; zeros in {words[1]}")
    if flat := [component for component, spans in sorted(alive.items()) if not spans]:
        say(f"{recording.name}: component {', '.join(flat)} is flat, no sample differs from another")
    others = [f"{rate:g}" for rate in recording.rates_hz if not same(rate, network.rate_hz)]
    if others:
        say(f"{recording.name}: resampled from {', '.join(others)} to {network.rate_hz:g} Hz")
    no_counts: dict[str, int] = defaultdict(int)
    for piece in recording.pieces:
        no_counts[piece.id] += piece.no_counts
    for channel, number in sorted(no_counts.items()):
        if number:
            say(f"{channel}: {number} samples are not numbers; zeros in their place")


def alive_spans(recording: Recording) -> dict[str, list[Span]]:
    """By component: when it is recorded, and not flat for a window or for all of its time."""
    window_ns = round(recording.network.window_samples / recording.network.rate_hz * 1e9)
    spans: dict[str, list[Span]] = defaultdict(list)
    flat: dict[str, list[Span]] = defaultdict(list)
    for piece in recording.pieces:
        spans[piece.id].append(piece.span())
        flat[piece.id] += [(start.ns, end.ns) for start, end in piece.flat]
    found: dict[str, list[Span]] = defaultdict(list)
    for channel, its in spans.items():
        recorded, dead = merged(its, SLACK_NS), merged(flat[channel], SLACK_NS)
        long = [(start, end) for start, end in dead if end - start >= window_ns]
        found[recording.component(channel)] += without(recorded, long) if _length_s(without(recorded, dead)) else []
    return {component: merged(its) for component, its in found.items()}


def _rank(recording: Recording) -> tuple[int, int, float, str]:
    instrument = INSTRUMENTS.find(recording.family[1:2]) if len(recording.family) > 1 else -1
    order = instrument if instrument >= 0 else len(INSTRUMENTS)
    return -len(recording.components), order, -max(recording.rates_hz), recording.family


def _overlaps(row: int, recorded: Sequence[Sequence[Span]]) -> bool:
    return any(_shared_s(recorded[row], its) for other, its in enumerate(recorded) if other != row)


def _shared_s(spans: Sequence[Span], others: Sequence[Span]) -> float:
    return _length_s(spans) - _length_s(without(spans, others))


def _length_s(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans) / 1e9
