"""Which windows a data set built from picks has: around the picks of an event at a station, and of noise."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from obspy import UTCDateTime

from trainables.data.archives import Archive, Span
from trainables.data.build_noise import noise_windows
from trainables.data.build_window import AMBIGUOUS, NS, WITHOUT_WAVEFORMS, BuildConfig, PickAt, Window
from trainables.data.config import PHASES
from trainables.edge.stretches import merged

if TYPE_CHECKING:
    from trainables.data.catalogues import Picks

PAIR_S = 60
"""A P and an S of no event within so many seconds at one station belong together."""

ASSOCIATION_S = 30
"""Picks of no event at different stations within so many seconds are taken as one event."""

LONGEST_S = 3600
"""Picks of one event at one station that span more are not one window."""


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
    by_station = _associated(_by_station(picks.table, set(spans), left_out), notes)
    planned = _around_picks(by_station, config, left_out)
    windows = _recorded(planned, spans, left_out) if spans else planned
    if not windows:
        raise ValueError(_nothing_in_common(picks.table, spans))
    known = {window.key for window in existing}
    new = [window for window in windows if window.key not in known]
    if len(new) < len(windows):
        notes.append(f"{len(windows) - len(new)} windows are in the data set already")
    wanted = round(config.noise_share / (1 - config.noise_share) * len(new))
    busy = merged((window.start_ns - NS, window.end_ns + NS) for window in [*planned, *existing])
    stations = sorted({window.station for window in windows if "*" not in window.station})
    noise = noise_windows(wanted, stations, busy, spans, config, notes)
    return sorted(new + noise, key=lambda window: (window.start_ns, window.key)), left_out, notes


class _Pick(NamedTuple):
    """A pick of a station. Lists of these, not tables: pandas would take minutes for 100,000 of them."""

    time_ns: int
    kind: str
    event: str
    location: str
    status: str
    is_loose: bool = False


def _by_station(table: pd.DataFrame, recorded: set[str], left_out: Counter[str]) -> dict[str, list[_Pick]]:
    """Picks of each NET.STA by time: a network that a pick lacks is the only one of the archive, or of other picks."""
    networks: dict[str, set[str]] = defaultdict(set)
    for station in recorded:
        networks[station.partition(".")[2]].add(station.partition(".")[0])
    if not recorded:
        for network, code in zip(table["network"], table["station"], strict=True):
            networks[code] |= {network} - {""}
    columns = (
        table[name].tolist() for name in ("network", "station", "time_ns", "kind", "event", "location", "status")
    )
    found: dict[str, list[_Pick]] = defaultdict(list)
    for network, code, *pick in zip(*columns, strict=True):
        if not network and len(networks[code]) > 1:
            left_out[AMBIGUOUS] += 1
        else:
            found[f"{network or next(iter(networks[code]), '*')}.{code}"].append(_Pick(*pick))
    return {station: sorted(found[station]) for station in sorted(found)}


def _associated(by_station: dict[str, list[_Pick]], notes: list[str]) -> dict[str, list[_Pick]]:
    """With events for all: picks of none are paired, P with S at a station, and stations by time."""
    groups = [
        (by_station[station][pair[0]].time_ns, station, pair)
        for station in by_station
        for pair in _pairs(by_station[station])
    ]
    if not groups:
        return by_station
    found = {station: list(of_station) for station, of_station in by_station.items()}
    events: list[tuple[int, set[str]]] = []
    for first_ns, station, pair in sorted(groups):
        recent = [event for event in events[-50:] if first_ns - event[0] <= ASSOCIATION_S * NS]
        event = next((e for e in recent if station not in e[1]), None)
        if event is None:
            event = (first_ns, set())
            events.append(event)
        event[1].add(station)
        for number in pair:
            name = f"picks-{UTCDateTime(ns=event[0])}"
            found[station][number] = found[station][number]._replace(event=name, is_loose=True)
    count = sum(len(pair) for *_, pair in groups)
    notes.append(
        f"{count} picks have no event in the catalogue: those within {ASSOCIATION_S} s of each other "
        f"at different stations are taken as one, {len(events)} in all"
    )
    return found


def _pairs(of_station: list[_Pick]) -> list[list[int]]:
    """Places of each P of no event with the S that comes next, within PAIR_S; what has no partner stands alone."""
    pairs: list[list[int]] = []
    p_ns: int | None = None  # of the last pair, as long as it is a P alone
    for number, pick in enumerate(of_station):
        if pick.event:
            continue
        if pick.kind == "S" and p_ns is not None and pick.time_ns - p_ns <= PAIR_S * NS:
            pairs[-1].append(number)
            p_ns = None
        else:
            pairs.append([number])
            p_ns = pick.time_ns if pick.kind == "P" else None
    return pairs


def _around_picks(by_station: dict[str, list[_Pick]], config: BuildConfig, left_out: Counter[str]) -> list[Window]:
    """A window around all picks of an event at a station, with every pick of the station inside it."""
    windows = []
    for station, of_station in by_station.items():
        times_ns = [pick.time_ns for pick in of_station]
        of_events: dict[str, list[_Pick]] = defaultdict(list)
        for pick in of_station:
            of_events[pick.event].append(pick)
        kinds = {event: {pick.kind for pick in its} for event, its in of_events.items()}
        for event, its in sorted(of_events.items()):
            if its[-1].time_ns - its[0].time_ns > LONGEST_S * NS:
                left_out["more than an hour between picks of one event at one station"] += len(its)
                continue
            start_ns = its[0].time_ns - round(config.window_before_s * NS)
            end_ns = its[-1].time_ns + round(config.window_after_s * NS)
            inside = of_station[bisect.bisect_left(times_ns, start_ns) : bisect.bisect_left(times_ns, end_ns)]
            locations = Counter(pick.location for pick in its if pick.location)
            windows.append(
                Window(
                    key=f"{station}-{UTCDateTime(ns=its[0].time_ns)}",
                    event=event,
                    station=station,
                    location=locations.most_common(1)[0][0] if locations else "*",
                    start_ns=start_ns,
                    end_ns=end_ns,
                    picks=tuple(PickAt(pick.kind, pick.time_ns, pick.status, pick.event == event) for pick in inside),
                    unlabelled="".join(p for p in PHASES if any(p not in kinds[pick.event] for pick in inside)),
                    loose=its[0].is_loose,
                )
            )
    return windows


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
