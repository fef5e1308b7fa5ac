"""Which part of continuous waveforms trains, which is dev and which is held out: by time and by station.

Nothing is drawn. Of four stations or more some are held out whole, by a digest of their names. Of the others the last
part of what is recorded is held out, the part before it is dev, and the rest trains. Time is cut at whole blocks of
UTC, the same for all of them, and a minute after each cut belongs to nobody, so that no event is heard in two splits
by them. A held-out station may hear what the others have trained on; its own waveforms nobody has seen.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trainables.data.config import WINDOW_SAMPLES
from trainables.data.continuous import Stretch
from trainables.data.splits import share_of
from trainables.edge.stretches import Span

BLOCK_NS = 600 * 10**9
GUARD_NS = 60 * 10**9
"""After each cut: an event that a split ends with goes on for so long at other stations."""

LEAST_STATIONS = 4
"""From so many on some are held out."""

LEAST_S = 1800.0
"""Of waveforms that live, in all."""

SPLITS = ("train", "dev", "test")
_FOREVER_NS = 2**63 - 1


class StreamSplits(NamedTuple):
    """How time and stations are shared."""

    dev_ns: int
    """When dev begins, and training ends."""
    test_ns: int
    """When what is held out begins."""
    held_out: tuple[str, ...]
    """Stations, NET.STA, that are held out whole."""

    def spans(self, station: str) -> dict[str, Span]:
        """From when to when a station is in each split, nanoseconds."""
        if station in self.held_out:
            return {"test": (0, _FOREVER_NS)}
        return {
            "train": (0, self.dev_ns),
            "dev": (self.dev_ns + GUARD_NS, self.test_ns),
            "test": (self.test_ns + GUARD_NS, _FOREVER_NS),
        }

    def of(self, stretches: Sequence[Stretch], split: str) -> list[Stretch]:
        """What of these belongs to a split, as far as a window fits in."""
        found = []
        for stretch in stretches:
            if (span := self.spans(stretch.station).get(split)) and (part := stretch.cut(*span)):
                found.append(part)
        return [part for part in found if part.num_samples >= WINDOW_SAMPLES]

    def hours(self, stretches: Sequence[Stretch]) -> dict[str, float]:
        """How much of these each split has."""
        return {split: sum(part.seconds for part in self.of(stretches, split)) / 3600 for split in SPLITS}


def split_streams(stretches: Sequence[Stretch], held_out_stations: float, held_out_share: float) -> StreamSplits:
    """`held_out_stations`: share of the stations; `held_out_share`: of the hours, for dev and for test each.

    Raises ValueError in one line where it is too little for three splits.
    """
    seconds = sum(stretch.seconds for stretch in stretches)
    if seconds < LEAST_S:
        raise ValueError(
            f"{seconds / 60:.0f} min of waveforms that are not dead are too short for a held-out part: "
            f"at least {LEAST_S / 60:.0f} min over all stations are needed"
        )
    held_out = _held_out({stretch.station for stretch in stretches}, held_out_stations)
    recorded_ns = _recorded_by_block([stretch for stretch in stretches if stretch.station not in held_out])
    if len(recorded_ns) < len(SPLITS):
        raise ValueError(
            f"what is recorded lies in {len(recorded_ns)} blocks of {BLOCK_NS / 6e10:.0f} min and is cut between "
            "them into training, dev and held-out hours: three are the least"
        )
    blocks = sorted(recorded_ns)
    amount = np.array([recorded_ns[block] for block in blocks], dtype=float)
    before = np.concatenate([[0], np.cumsum(amount)[:-1]]) / amount.sum()
    test = int(np.abs(before - (1 - held_out_share)).argmin().clip(2, len(blocks) - 1))
    dev = int(np.abs(before - (1 - 2 * held_out_share)).argmin().clip(1, test - 1))
    splits = StreamSplits(blocks[dev] * BLOCK_NS, blocks[test] * BLOCK_NS, held_out)
    for split in SPLITS:
        if not splits.of(stretches, split):
            raise ValueError(f"no window of {WINDOW_SAMPLES} samples lies in the part for {split}: longer records")
    return splits


def _held_out(stations: set[str], share: float) -> tuple[str, ...]:
    """The same ones whatever else is recorded; a station that joins changes few of them."""
    if len(stations) < LEAST_STATIONS or share == 0:
        return ()
    ordered = sorted(stations, key=lambda station: hashlib.blake2b(station.encode(), digest_size=8).digest())
    return tuple(sorted(ordered[: share_of(len(stations), share, int, least=1)]))


def _recorded_by_block(stretches: Sequence[Stretch]) -> dict[int, int]:
    """Nanoseconds that stations live in each block of time."""
    recorded_ns: dict[int, int] = defaultdict(int)
    for stretch in stretches:
        for block in range(stretch.start_ns // BLOCK_NS, (stretch.end_ns - 1) // BLOCK_NS + 1):
            low, high = block * BLOCK_NS, (block + 1) * BLOCK_NS
            recorded_ns[block] += min(high, stretch.end_ns) - max(low, stretch.start_ns)
    return recorded_ns
