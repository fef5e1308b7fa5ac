"""Which part of the waveforms is picked: from when to when, and which stations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from obspy import UTCDateTime

EXAMPLE = "2019-07-07T08:00:00"
ON_A_SAMPLE = 1e-3
"""Share of a sample within which a time counts as that of the sample: clocks round."""


@dataclass(frozen=True)
class Chosen:
    """Samples at `start` or later and before `end`, of the stations that one of the patterns names."""

    start: UTCDateTime | None = None
    end: UTCDateTime | None = None
    stations: tuple[str, ...] = ()
    """Patterns of STA or NET.STA, with * and ?; none: every station."""

    def has_station(self, network: str, station: str) -> bool:
        return not self.stations or any(_names(pattern, network, station) for pattern in self.stations)

    def has(self, id: str, start: UTCDateTime, end: UTCDateTime) -> bool:
        """Whether anything of a channel that is recorded from `start` to `end` may be wanted."""
        network, station = id.split(".")[:2]
        early = self.end is not None and start >= self.end
        late = self.start is not None and end < self.start
        return not early and not late and self.has_station(network, station)

    def cut(self, stretches: Iterable[tuple[UTCDateTime, int]], rate_hz: float) -> list[tuple[UTCDateTime, int]]:
        """What lies between of each start and number of samples; stretches of which nothing does are left out."""
        found = []
        for begin, num_samples in stretches:
            first = 0 if self.start is None else max(_samples_before(self.start, begin, rate_hz), 0)
            last = num_samples if self.end is None else min(_samples_before(self.end, begin, rate_hz), num_samples)
            if last > first:
                found.append((begin + first / rate_hz if first else begin, last - first))
        return found

    def without_waveforms(self, stations: Iterable[tuple[str, str]]) -> list[str]:
        """Patterns that none of these networks and stations has."""
        there = set(stations)
        return [pattern for pattern in self.stations if not any(_names(pattern, *one) for one in there)]

    def __str__(self) -> str:
        since = [f"from {self.start}"] if self.start else []
        until = [f"before {self.end}"] if self.end else []
        return " ".join([*since, *until])


EVERYTHING = Chosen()


def chosen(start: str | None, end: str | None, stations: Sequence[str] | str | None) -> Chosen:
    """What a user typed. Raises ValueError in one line."""
    typed = [stations] if isinstance(stations, str) else stations or []
    patterns = [pattern.strip() for given in typed for pattern in given.split(",")]
    for pattern in patterns:
        if not pattern or pattern.count(".") > 1:
            raise ValueError(f"--stations: {pattern!r} is not a station; write STA or NET.STA, separated by commas")
    result = Chosen(_time("--start", start), _time("--end", end), tuple(dict.fromkeys(patterns)))
    if result.start is not None and result.end is not None and result.start >= result.end:
        raise ValueError(f"--start {result.start} is not before --end {result.end}")
    return result


def _time(option: str, text: str | None) -> UTCDateTime | None:
    if text is None:
        return None
    try:
        return UTCDateTime(text.strip().replace(" ", "T"), iso8601=True)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{option} {text}: not a time; write it as {EXAMPLE}, in UTC") from None


def _names(pattern: str, network: str, station: str) -> bool:
    return fnmatchcase(f"{network}.{station}" if "." in pattern else station, pattern)


def _samples_before(time: UTCDateTime, begin: UTCDateTime, rate_hz: float) -> int:
    return math.ceil((time - begin) * rate_hz - ON_A_SAMPLE)
