"""Splits of a data set that is built from picks: what is split by lies in one of them, and so does every sample."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trainables.data.build_plan import ASSOCIATION_S
from trainables.data.build_window import NS, BuildConfig, Window
from trainables.data.catalog import SPLITS

BETWEEN = "between two splits"
"""Why windows were left out that would be shared by two splits."""

_NEVER_NS = 2**62  # in the year 2116


def with_splits(
    windows: Sequence[Window], config: BuildConfig, existing: Sequence[Window] = (), borders_ns: Sequence[int] = ()
) -> tuple[list[Window], Counter[str], list[int]]:
    """The windows with their splits, without those that two splits would share, which are counted by picks.

    `existing` windows keep theirs, and so does what they touch. Splits by time are told apart by `borders_ns`, times
    between train, dev and test, which come back. Raises ValueError where a split that is asked for would be empty.
    """
    if config.split_by == "time":
        splits, borders = _by_time(windows, config, existing, borders_ns)
    else:
        groups = _groups([*existing, *windows], config)
        splits, borders = _by_group(windows, existing, groups, config), []
    left_out: Counter[str] = Counter()
    kept = []
    for window, split in zip(windows, splits, strict=True):
        if split:
            kept.append(dataclasses.replace(window, split=split))
        elif not window.is_noise:
            left_out[BETWEEN] += window.num_own
    _check([*existing, *kept], config)
    return kept, left_out, borders


def _check(windows: Sequence[Window], config: BuildConfig) -> None:
    has = {window.split for window in windows if not window.is_noise}
    for split, share in zip(SPLITS, config.shares, strict=True):
        if share > 0 and split not in has:
            other = {"event": "--split-by time cuts through them, or ", "time": "", "station": "--split-by event, or "}
            raise ValueError(
                f"split {split} would be empty: the picks are too few, or their windows overlap, to be split by "
                f"{config.split_by}; {other[config.split_by]}--shares 1,0,0 makes one split of them"
            )


# By event or station


def _groups(windows: Sequence[Window], config: BuildConfig) -> np.ndarray:
    """A number for each window; those with the same one go into one split."""
    if config.split_by == "station":
        return np.unique([window.station for window in windows], return_inverse=True)[1]
    links = [*_same_event(windows), *_same_samples(windows), *_same_time(windows)]
    rows, columns = (np.array([link[n] for link in links], dtype=np.int64) for n in (0, 1))
    graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(windows), len(windows)))
    return np.asarray(connected_components(graph, directed=False)[1])


def _same_event(windows: Sequence[Window]) -> Iterable[tuple[int, int]]:
    first: dict[str, int] = {}
    for number, window in enumerate(windows):
        if window.event:
            yield first.setdefault(window.event, number), number


def _same_samples(windows: Sequence[Window]) -> Iterable[tuple[int, int]]:
    """Windows of a station that overlap."""
    of_station: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for number, window in enumerate(windows):
        of_station[window.station].append((window.start_ns, window.end_ns, number))
    for spans in of_station.values():
        yield from _overlapping(spans)


def _same_time(windows: Sequence[Window]) -> Iterable[tuple[int, int]]:
    """Windows of no catalogue's event whose picks are near in time: it may be one earthquake after all."""
    margin_ns = ASSOCIATION_S * NS // 2
    spans = []
    for number, window in enumerate(windows):
        if window.loose:
            times_ns = [pick.time_ns for pick in window.picks if pick.is_own]
            spans.append((min(times_ns) - margin_ns, max(times_ns) + margin_ns, number))
    return _overlapping(spans)


def _overlapping(spans: list[tuple[int, int, int]]) -> Iterable[tuple[int, int]]:
    """Pairs that connect all spans (start, end, number) that overlap."""
    reach, holder = -(2**63), -1
    for start, end, number in sorted(spans):
        if start < reach:
            yield holder, number
        if end > reach:
            reach, holder = end, number


def _by_group(
    windows: Sequence[Window], existing: Sequence[Window], groups: np.ndarray, config: BuildConfig
) -> list[str]:
    """The split of each window; "" where its group has windows in two splits already."""
    split_of: dict[int, str] = {}
    for window, group in zip(existing, groups[: len(existing)].tolist(), strict=True):
        split_of[group] = window.split if split_of.get(group, window.split) == window.split else ""
    new = groups[len(existing) :].tolist()
    quakes = Counter(g for window, g in zip(windows, new, strict=True) if not window.is_noise)
    noise = Counter(g for window, g in zip(windows, new, strict=True) if g not in quakes)
    for counts, has_noise in ((quakes, False), (noise, True)):
        have = Counter(window.split for window in existing if window.is_noise == has_noise)
        for group in split_of.keys() & counts.keys():
            have[split_of[group]] += counts.pop(group)
        split_of |= _allot(counts, have, config)
    return [split_of[group] for group in new]


def _allot(sizes: Counter[int], have: Counter[str], config: BuildConfig) -> dict[int, str]:
    """A split for each group, the largest first, where most is missing; while groups last, none remains empty."""
    groups = sorted(sizes)
    order = np.random.default_rng([config.seed, 0x5117]).permutation(len(groups))
    shuffled = sorted((groups[n] for n in order), key=lambda group: -sizes[group])
    total = sum(sizes.values()) + sum(have.values())
    wanted = {split: share * total for split, share in zip(SPLITS, config.shares, strict=True) if share > 0}
    filled = Counter(have)
    split_of = {}
    for number, group in enumerate(shuffled):
        empty = [split for split in wanted if not filled[split]]
        choice = empty if len(shuffled) - number <= len(empty) else list(wanted)
        split_of[group] = max(choice, key=lambda split: wanted[split] - filled[split])
        filled[split_of[group]] += sizes[group]
    return split_of


# By time


def _by_time(
    windows: Sequence[Window], config: BuildConfig, existing: Sequence[Window], borders_ns: Sequence[int]
) -> tuple[list[str], list[int]]:
    """Train, then dev, then test; "" for windows across a border, and for events that have one on either side."""
    borders = list(borders_ns) or _borders([window for window in windows if not window.is_noise], config)
    splits = [_split_at(window, borders) for window in windows]
    of_event: dict[str, set[str]] = defaultdict(set)
    for window, split in [*zip(windows, splits, strict=True), *((window, window.split) for window in existing)]:
        if window.event:
            of_event[window.event].add(split)
    return [
        "" if window.event and len(of_event[window.event]) > 1 else split
        for window, split in zip(windows, splits, strict=True)
    ], borders


def _borders(windows: Sequence[Window], config: BuildConfig) -> list[int]:
    """Two times, which leave about the right share of windows before them."""
    starts_ns = sorted(window.start_ns for window in windows)
    borders = []
    for share in np.cumsum(config.shares)[:2]:
        number = round(float(share) * len(starts_ns))
        never, always = _NEVER_NS, -_NEVER_NS
        borders.append(always if number == 0 else starts_ns[number] if number < len(starts_ns) else never)
    return borders


def _split_at(window: Window, borders_ns: Sequence[int]) -> str:
    first = sum(window.start_ns >= border for border in borders_ns)
    last = sum(window.end_ns > border for border in borders_ns)
    return SPLITS[first] if first == last else ""
