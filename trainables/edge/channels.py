"""What a channel means: its component, whether it was asked for, whether it holds a waveform for the model."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

STAND_INS = {"1": "N", "2": "E", "3": "Z"}
"""Components of unknown azimuth stand for north and east, as in SeisBench; the third is the vertical (ocean bottom)."""

_EITHER_WAY = STAND_INS | {component: letter for letter, component in STAND_INS.items()}

FAR_BELOW = 1 / 8
"""Of the model's rate: a channel below it carries no local P. At 100 Hz that leaves 20 Hz in, and 10 and 1 Hz out."""

FLAT_S = 10
"""Length of the pieces that are searched for samples that never change."""

NAMED_CHANNELS = 4
"""How many channels a line names; the others are counted."""

NO_WAVEFORM = "of text or without a rate"
UNASKED = "outside of --channels"


def translated(order: str) -> str:
    """A component order with `STAND_INS` taken for what they stand for, where that is not there itself: Z12 is ZNE."""
    meant = "".join(c if (stood_for := STAND_INS.get(c, c)) in order else stood_for for c in order)
    return meant if len(set(meant)) == len(meant) else order


def code_of(id: str) -> str:
    return id.rpartition(".")[2]


@dataclass(frozen=True)
class Wanted:
    """What the user says of channels: which are picked, and what their letters mean."""

    patterns: tuple[str, ...] = ()
    """Patterns of channel codes, with * and ?; none: every channel."""
    letters: Mapping[str, str] = field(default_factory=dict)
    """Component by last letter of the channel code, before any other rule."""

    def has(self, code: str) -> bool:
        return not self.patterns or any(fnmatchcase(code, pattern) for pattern in self.patterns)

    def component(self, code: str, components: str) -> str:
        """The component of a channel among those of a model, "" where it is none."""
        letter = code[-1:]
        if letter in self.letters:
            return self.letters[letter]
        return next((c for c in (letter, _EITHER_WAY.get(letter, "")) if c and c in components), "")

    def precedence(self, code: str, component: str) -> int:
        """Of channels of one component: the user's word before the component's own letter before what stands for it."""
        return 2 if code[-1:] in self.letters else int(code[-1:] == component)

    def without_channels(self, codes: Iterable[str]) -> list[str]:
        """Patterns that none of these channel codes has."""
        there = set(codes)
        return [pattern for pattern in self.patterns if not any(fnmatchcase(code, pattern) for code in there)]

    def check(self, components: str) -> None:
        """ValueError where a letter stands for a component that the model does not have."""
        for letter, component in self.letters.items():
            if component not in components:
                raise ValueError(f"--components {letter}={component}: the components of this model are {components}")


EVERY_CHANNEL = Wanted()


def wanted(channels: Sequence[str] | None = None, components: str | None = None) -> Wanted:
    """What a user typed: `HN?`, also several with commas, and `0=Z,1=N,2=E`. Raises ValueError in one line."""
    patterns = [pattern.strip() for given in channels or () for pattern in given.split(",")]
    if "" in patterns:
        raise ValueError("--channels: a pattern is empty; write channel codes such as HHZ or 'HN?'")
    letters: dict[str, str] = {}
    for pair in components.split(",") if components is not None else ():
        letter, _, component = pair.strip().partition("=")
        if len(letter) != 1 or len(component) != 1:
            raise ValueError(f"--components {pair.strip()!r}: write LETTER=COMPONENT, such as 0=Z,1=N,2=E")
        if letters.setdefault(letter, component) != component:
            raise ValueError(f"--components: {letter} cannot stand for both {letters[letter]} and {component}")
    return Wanted(tuple(dict.fromkeys(patterns)), letters)


def why_not(code: str, rate_hz: float, choice: Wanted, components: str, model_rate_hz: float) -> str:
    """What keeps a channel from being picked, in words that follow its count; "" where nothing does.

    `rate_hz` 0 is a channel that holds no waveform.
    """
    if not choice.has(code):
        return UNASKED
    if not (math.isfinite(rate_hz) and rate_hz > 0):
        return NO_WAVEFORM
    if not choice.component(code, components):
        return f"of no component {', '.join(components)}"
    return f"below {model_rate_hz * FAR_BELOW:g} Hz" if rate_hz < model_rate_hz * FAR_BELOW else ""


def left_out_lines(reasons: Mapping[str, Iterable[str]], used: Collection[str]) -> list[str]:
    """At most two lines for all channels that are left out: reason to their codes. Of those in use it is a part."""
    named = {
        reason: [f"part of {id}" if id in used else id for id in sorted(ids)] for reason, ids in sorted(reasons.items())
    }
    unasked = named.pop(UNASKED, [])
    lines = [f"channels that this model cannot use are left out: {'; '.join(map(_some, named, named.values()))}"]
    return lines * bool(named) + [f"left out: {_some(UNASKED, unasked)}"] * bool(unasked)


def _some(reason: str, ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED_CHANNELS} more" if len(ids) > NAMED_CHANNELS else ""
    return f"{len(ids)} {reason} ({', '.join(ids[:NAMED_CHANNELS])}{more})"


def is_waveform(data: np.ndarray) -> bool:
    """Whether samples are numbers; logs are text."""
    return data.dtype.kind in "iufb"


def flat_spans(data: np.ndarray, rate_hz: float) -> list[tuple[int, int]]:
    """First sample and end of each stretch of whole pieces of `FLAT_S` in which no sample differs from another.

    Samples that are not numbers do not count. A shorter record is one piece.
    """
    if data.dtype.kind == "f" or np.ma.isMaskedArray(data):
        data = np.ma.filled(np.ma.asarray(data).astype(np.float64), np.nan)
        data[~np.isfinite(data)] = np.nan
    step = max(1, round(FLAT_S * rate_hz))
    starts = np.arange(max(1, len(data) // step)) * step  # the last piece takes the rest
    low, high = np.fmin.reduceat(data, starts), np.fmax.reduceat(data, starts)
    flat = (low == high) | np.isnan(low)
    edges = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    ends = [*starts.tolist(), len(data)]
    return [(ends[a], ends[b]) for a, b in edges.tolist()]
