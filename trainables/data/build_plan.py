"""Which windows a data set built from picks has: around the picks of an event at a station, and of noise."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from obspy import UTCDateTime

from trainables.data.archives import Archive, Span
from trainables.data.build_noise import merged_ns, noise_windows
from trainables.data.build_window import AMBIGUOUS, NS, WITHOUT_WAVEFORMS, BuildConfig, PickAt, Window
from trainables.data.config import PHASES

if TYPE_CHECKING:
    from trainables.data.catalogues import Picks

PAIR_S = 60
"""A P and an S of no event within so many seconds at one station belong together."""

ASSOCIATION_S = 30
"""Picks of no event at different stations within so many seconds are taken as one event."""

LONGEST_S = 3600
"""Picks of one event at one station that span more are no window."""


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
    busy = merged_ns((window.start_ns - NS, window.end_ns + NS) for window in [*planned, *existing])
    stations = sorted({window.station for window in windows if "*" not in window.station})
    noise = noise_windows(wanted, stations, busy, spans, config, notes)
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
        recent = [event for event in events[-50:] if first_ns - event[0] <= ASSOCIATION_S * NS]
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
        if kind == "S" and open_p is not None and time_ns - open_p[1] <= PAIR_S * NS:
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
            if last_ns - first_ns > LONGEST_S * NS:
                left_out["more than an hour between picks of one event at one station"] += len(of_event)
                continue
            start_ns = first_ns - round(config.window_before_s * NS)
            end_ns = last_ns + round(config.window_after_s * NS)
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
