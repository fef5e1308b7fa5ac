"""Which windows a data set built from picks has: around the picks of an event at a station, and of noise."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from obspy import UTCDateTime
from pydantic import BaseModel, Field, field_validator

from trainables.data.archives import Archive, Span
from trainables.data.config import PHASES

if TYPE_CHECKING:
    from trainables.data.catalogues import Picks

PAIR_S = 60
"""A P and an S of no event within so many seconds at one station belong together."""

ASSOCIATION_S = 30
"""Picks of no event at different stations within so many seconds are taken as one event."""

LONGEST_S = 3600
"""Picks of one event at one station that span more are no window."""

AMBIGUOUS = "several networks have such a station and the pick names none"
WITHOUT_WAVEFORMS = "no waveforms"
"""Why picks were left out whose station has nothing in the archive at their time."""

_NS = 1_000_000_000


class BuildConfig(BaseModel, frozen=True, extra="forbid"):
    """How windows are cut and split."""

    window_before_s: float = Field(30.0, ge=0, le=3600)
    """Seconds before the first pick."""

    window_after_s: float = Field(60.0, gt=0, le=3600)
    """Seconds after the last pick."""

    rate_hz: float = Field(100.0, gt=0, le=10_000)
    """Sampling rate; waveforms of another one are resampled."""

    components: str = "ENZ"
    """Components and their order; 1 and 2 stand for N and E."""

    noise_share: float = Field(0.1, ge=0, lt=1)
    """Share of windows from stretches without any pick in the network."""

    split_by: Literal["event", "time", "station"] = "event"
    """What no two splits share."""

    shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of train, dev and test."""

    phases: tuple[Literal["P", "S"], ...] = ("P", "S")
    """Phases that are taken from the picks; another one counts as not labelled."""

    seed: int = Field(0, ge=0)
    """Draws noise windows and splits."""

    @field_validator("components")
    @classmethod
    def _letters(cls, components: str) -> str:
        if not components or len(set(components)) < len(components) or set(components) - set("ENZ"):
            raise ValueError("an order of E, N and Z such as ENZ or Z")
        return components

    @field_validator("shares")
    @classmethod
    def _sum(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError("three shares of train, dev and test that sum to 1")
        return shares


@dataclass(frozen=True)
class PickAt:
    """A pick within a window."""

    kind: str
    time_ns: int
    status: str
    is_own: bool
    """Of the event that the window is about."""


@dataclass(frozen=True)
class Window:
    """A stretch of one station that becomes a trace."""

    key: str
    """Names it, whatever else is planned."""
    event: str
    """"" for noise."""
    station: str
    """NET.STA"""
    location: str
    """"*" where the picks do not say."""
    start_ns: int
    end_ns: int
    picks: tuple[PickAt, ...] = ()
    unlabelled: str = ""
    """Phases whose picks are not complete: P, S, PS."""
    loose: bool = False
    """Its event is not of a catalogue."""
    split: str = ""

    @property
    def is_noise(self) -> bool:
        return not self.event

    @property
    def num_own(self) -> int:
        """Picks of its own event."""
        return sum(pick.is_own for pick in self.picks)

    @property
    def station_id(self) -> str:
        return f"{self.station}.{self.location}"


def plan_windows(
    picks: Picks, archive: Archive, config: BuildConfig, existing: Sequence[Window] = ()
) -> tuple[list[Window], Counter[str], list[str]]:
    """Windows in the order of time, without splits; picks left out; what was taken for granted.

    `existing` are those that a data set has already, which do not come again. Raises ValueError where no pick has
    waveforms.
    """
    left_out: Counter[str] = Counter()
    notes: list[str] = []
    spans = archive.spans()
    table = _with_stations(picks.table, set(spans), left_out)
    table = _with_events(table, notes)
    planned = _around_picks(table, config, left_out)
    windows = _recorded(planned, spans, left_out) if spans else planned
    if not windows:
        raise ValueError(_nothing_in_common(picks.table, spans))
    known = {window.key for window in existing}
    new = [window for window in windows if window.key not in known]
    if len(new) < len(windows):
        notes.append(f"{len(windows) - len(new)} windows are in the data set already")
    wanted = round(config.noise_share / (1 - config.noise_share) * len(new))
    busy = _merged_ns((window.start_ns - _NS, window.end_ns + _NS) for window in [*planned, *existing])
    stations = sorted({window.station for window in windows if "*" not in window.station})
    noise = _noise(wanted, stations, busy, spans, config, notes)
    return sorted(new + noise, key=lambda window: (window.start_ns, window.key)), left_out, notes


def _with_stations(table: pd.DataFrame, recorded: set[str], left_out: Counter[str]) -> pd.DataFrame:
    """With a column NET.STA: a network that a pick lacks is the only one of the archive, or of other picks."""
    networks: dict[str, set[str]] = defaultdict(set)
    for station in recorded:
        networks[station.partition(".")[2]].add(station.partition(".")[0])
    if not recorded:
        for network, code in zip(table["network"], table["station"], strict=True):
            networks[code] |= {network} - {""}
    ambiguous = {code for code, found in networks.items() if len(found) > 1}
    only = {code: next(iter(found)) for code, found in networks.items() if len(found) == 1}
    wrong = (table["network"] == "") & table["station"].isin(ambiguous)
    if wrong.any():
        left_out[AMBIGUOUS] += int(wrong.sum())
    table = table[~wrong].copy()
    full = [n or only.get(s, "*") for n, s in zip(table["network"], table["station"], strict=True)]
    return table.assign(id=pd.Series(full, index=table.index, dtype=object) + "." + table["station"])


def _with_events(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """With a column `loose`: picks of no event are paired, P with S at a station, and stations by time."""
    loose = table["event"] == ""
    table = table.assign(loose=loose)
    if not loose.any():
        return table
    groups: list[tuple[int, str, list[int]]] = []
    for station, of_station in table[loose].groupby("id", sort=True):
        groups += [(int(of_station["time_ns"].loc[rows[0]]), str(station), rows) for rows in _pairs(of_station)]
    events: list[tuple[int, set[str]]] = []
    for first_ns, station, rows in sorted(groups):
        recent = [event for event in events[-50:] if first_ns - event[0] <= ASSOCIATION_S * _NS]
        event = next((e for e in recent if station not in e[1]), None)
        if event is None:
            event = (first_ns, set())
            events.append(event)
        event[1].add(station)
        table.loc[rows, "event"] = f"picks-{UTCDateTime(ns=event[0])}"
    notes.append(
        f"{int(loose.sum())} picks belong to no event: those within {ASSOCIATION_S} s of each other at different "
        f"stations are taken as one, {len(events)} in all"
    )
    return table


def _pairs(of_station: pd.DataFrame) -> list[list[int]]:
    """Rows of each P with the S that comes next, within PAIR_S; what has no partner stands alone."""
    pairs: list[list[int]] = []
    open_p: tuple[int, int] | None = None
    for row, kind, time_ns in zip(of_station.index, of_station["kind"], of_station["time_ns"], strict=True):
        if kind == "S" and open_p is not None and time_ns - open_p[1] <= PAIR_S * _NS:
            pairs[open_p[0]].append(row)
            open_p = None
            continue
        pairs.append([row])
        open_p = (len(pairs) - 1, time_ns) if kind == "P" else None
    return pairs


def _around_picks(table: pd.DataFrame, config: BuildConfig, left_out: Counter[str]) -> list[Window]:
    """A window around all picks of an event at a station, with every pick of the station inside it."""
    windows = []
    for station, of_station in table.groupby("id", sort=True):
        times_ns = of_station["time_ns"].to_numpy()
        kinds_of = of_station.groupby("event")["kind"].agg(set).to_dict()
        for event, of_event in of_station.groupby("event", sort=True):
            first_ns, last_ns = int(of_event["time_ns"].min()), int(of_event["time_ns"].max())
            if last_ns - first_ns > LONGEST_S * _NS:
                left_out["more than an hour between picks of one event at one station"] += len(of_event)
                continue
            start_ns = first_ns - round(config.window_before_s * _NS)
            end_ns = last_ns + round(config.window_after_s * _NS)
            inside = of_station.iloc[np.searchsorted(times_ns, start_ns) : np.searchsorted(times_ns, end_ns)]
            locations = [location for location in of_event["location"] if location]
            windows.append(
                Window(
                    key=f"{station}-{UTCDateTime(ns=first_ns)}",
                    event=str(event),
                    station=str(station),
                    location=Counter(locations).most_common(1)[0][0] if locations else "*",
                    start_ns=start_ns,
                    end_ns=end_ns,
                    picks=_picks_at(inside, str(event)),
                    unlabelled="".join(p for p in PHASES if any(p not in kinds_of[e] for e in set(inside["event"]))),
                    loose=bool(of_event["loose"].iloc[0]),
                )
            )
    return windows


def _picks_at(inside: pd.DataFrame, event: str) -> tuple[PickAt, ...]:
    columns = inside["kind"], inside["time_ns"], inside["status"], inside["event"]
    return tuple(PickAt(kind, int(ns), status, of == event) for kind, ns, status, of in zip(*columns, strict=True))


def _recorded(windows: list[Window], spans: dict[str, list[Span]], left_out: Counter[str]) -> list[Window]:
    """Without those whose own station has nothing at that time, by what the archive says."""
    starts = {station: [start.ns for start, _ in found] for station, found in spans.items()}
    ends = {station: [end.ns for _, end in found] for station, found in spans.items()}

    def has(station: str, time_ns: int) -> bool:
        before = bisect.bisect_right(starts.get(station, []), time_ns) - 1
        return before >= 0 and time_ns < ends[station][before]

    kept = []
    for window in windows:
        if any(has(window.station, pick.time_ns) for pick in window.picks if pick.is_own):
            kept.append(window)
        else:
            left_out[WITHOUT_WAVEFORMS] += window.num_own
    return kept


def _nothing_in_common(table: pd.DataFrame, spans: dict[str, list[Span]]) -> str:
    first, last = UTCDateTime(ns=int(table["time_ns"].min())), UTCDateTime(ns=int(table["time_ns"].max()))
    stations = sorted({".".join(filter(None, codes)) for codes in zip(table["network"], table["station"], strict=True)})
    said = f"no pick has waveforms: picks are of {_some(stations)} from {first} to {last}"
    if spans:
        low, high = min(s[0][0] for s in spans.values()), max(s[-1][1] for s in spans.values())
        said += f", the archive has {_some(sorted(spans))} from {low} to {high}"
    return said


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# Noise


def _noise(
    wanted: int,
    stations: list[str],
    busy: list[tuple[int, int]],
    spans: dict[str, list[Span]],
    config: BuildConfig,
    notes: list[str],
) -> list[Window]:
    """Windows of stations with picks, drawn from times that no window around picks of any station touches."""
    length_ns = round((config.window_before_s + config.window_after_s) * _NS)
    stretches: list[tuple[str, int]] = []
    counts: list[int] = []
    for station in stations:
        # A server does not say what it has: what lies between the picks is tried.
        whole = [(a.ns, b.ns) for a, b in spans.get(station, [])] or [(busy[0][0], busy[-1][1])]
        for start_ns, end_ns in _without(whole, busy):
            stretches.append((station, start_ns))
            counts.append((end_ns - start_ns) // length_ns)
    last = np.cumsum([0, *counts])[1:] if counts else np.zeros(1, dtype=np.int64)
    taken = min(wanted, int(last[-1]))
    if taken < wanted:
        notes.append(f"{taken} windows of noise instead of {wanted}: no more of their length are without any pick")
    if not taken:
        return []
    slots = np.sort(np.random.default_rng([config.seed, 0x2015E]).choice(int(last[-1]), taken, replace=False))
    noise = []
    for slot in slots.tolist():
        stretch = int(np.searchsorted(last, slot, side="right"))
        station, since_ns = stretches[stretch]
        start_ns = since_ns + (slot - int(last[stretch]) + counts[stretch]) * length_ns
        key = f"{station}-noise-{UTCDateTime(ns=start_ns)}"
        noise.append(Window(key, "", station, "*", start_ns, start_ns + length_ns))
    return noise


def _merged_ns(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _without(spans: list[tuple[int, int]], busy: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What remains of spans where busy ones are taken out; both in order and apart."""
    ends = np.array([end for _, end in busy])
    free = []
    for start, end in spans:
        for low, high in busy[int(np.searchsorted(ends, start, side="right")) :]:
            if low >= end:
                break
            if low > start:
                free.append((start, low))
            start = max(start, high)
        if start < end:
            free.append((start, end))
    return free
