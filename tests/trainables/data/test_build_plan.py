"""Windows around picks, with every pick of the station inside; noise where no station has a pick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obspy import UTCDateTime

from trainables.data.archives import FileArchive, Span
from trainables.data.build_plan import plan_windows
from trainables.data.build_window import BuildConfig, Window
from trainables.data.catalogues import Picks

START = UTCDateTime(2014, 5, 1)


class Recorded(FileArchive):
    """An archive that has been recorded at some times."""

    def __init__(self, spans: dict[str, list[Span]]) -> None:
        super().__init__({})
        self.recorded = spans

    def spans(self) -> dict[str, list[Span]]:
        return self.recorded


DAY = Recorded({f"CX.PB0{n}": [(START, START + 86400)] for n in (1, 2)})


def picks_of(rows: Sequence[tuple[str, str, str, float]]) -> Picks:
    """Event, station (NET.STA or STA), kind, seconds after START."""
    table = pd.DataFrame(
        [
            (event, *station.rpartition(".")[::2], "", kind, START.ns + round(seconds * 1e9), "manual")
            for event, station, kind, seconds in rows
        ],
        columns=["event", "network", "station", "location", "kind", "time_ns", "status"],
    )
    return Picks(table.sort_values("time_ns", kind="stable").reset_index(drop=True))


def seconds_of(window: Window) -> tuple[float, float]:
    return (window.start_ns - START.ns) / 1e9, (window.end_ns - START.ns) / 1e9


def test_a_window_holds_the_picks_of_an_event_at_a_station_and_all_others_inside_it():
    picks = picks_of(
        [
            ("a", "CX.PB01", "P", 100.0),
            ("a", "CX.PB01", "S", 110.0),
            ("b", "CX.PB01", "P", 150.0),
            ("a", "CX.PB02", "P", 101.0),
            ("c", "CX.PB02", "P", 500.0),
            ("c", "CX.PB02", "S", 505.0),
        ]
    )
    windows, left_out, notes = plan_windows(picks, DAY, BuildConfig(noise_share=0))
    found = {(w.event, w.station): w for w in windows}
    assert len(windows) == 4
    both = found["a", "CX.PB01"]
    assert seconds_of(both) == (70.0, 170.0)
    assert [(p.kind, p.is_own) for p in both.picks] == [("P", True), ("S", True), ("P", False)]
    assert both.unlabelled == "S"  # b has no S here
    assert found["b", "CX.PB01"].unlabelled == "S"
    assert found["a", "CX.PB02"].unlabelled == "S"
    assert found["c", "CX.PB02"].unlabelled == ""
    assert not left_out
    assert not notes


def test_a_phase_that_is_not_taken_is_not_labelled():
    (window,), _, _ = plan_windows(picks_of([("a", "CX.PB01", "P", 100.0)]), DAY, BuildConfig(noise_share=0))
    assert window.unlabelled == "S"


def test_picks_of_no_event_are_paired_and_stations_taken_together():
    rows = [("", f"CX.PB0{n}", kind, at + n) for n in (1, 2) for kind, at in (("P", 100.0), ("S", 120.0), ("P", 130.0))]
    windows, _, notes = plan_windows(picks_of([*rows, ("", "CX.PB01", "S", 1000.0)]), DAY, BuildConfig(noise_share=0))
    assert [(w.event, w.station, [p.kind for p in w.picks if p.is_own]) for w in windows] == [
        (f"picks-{START + 101}", "CX.PB01", ["P", "S"]),
        (f"picks-{START + 101}", "CX.PB02", ["P", "S"]),
        (f"picks-{START + 131}", "CX.PB01", ["P"]),
        (f"picks-{START + 131}", "CX.PB02", ["P"]),
        (f"picks-{START + 1000}", "CX.PB01", ["S"]),
    ]
    assert windows[-1].unlabelled == "P"
    assert notes[0].startswith("7 picks have no event in the catalogue: those within 30 s")
    assert notes[0].endswith("3 in all")


def test_a_station_without_a_network_is_that_of_the_archive_unless_there_are_two():
    spans = [(START, START + 86400)]
    archive = Recorded({"CX.PB01": spans, "XX.ABC": spans, "YY.ABC": spans})
    picks = picks_of([("a", "PB01", "P", 100.0), ("a", "ABC", "P", 101.0), ("a", "XX.ABC", "S", 103.0)])
    windows, left_out, _ = plan_windows(picks, archive, BuildConfig(noise_share=0))
    assert [window.station for window in windows] == ["CX.PB01", "XX.ABC"]
    assert left_out == {"several networks have such a station and the pick names none": 1}


def test_picks_without_waveforms_are_counted_and_none_at_all_is_an_error():
    late = ("b", "CX.PB01", "P", 2 * 86400.0)
    windows, left_out, _ = plan_windows(picks_of([("a", "CX.PB01", "P", 9.0), late]), DAY, BuildConfig(noise_share=0))
    assert len(windows) == 1
    assert left_out == {"no waveforms": 1}
    with pytest.raises(ValueError, match=r"no pick has waveforms: picks are of CX\.PB01 from 2014-05-03.* the archive"):
        plan_windows(picks_of([late]), DAY, BuildConfig())


def test_picks_of_an_event_that_are_hours_apart_make_no_window():
    rows = [("a", "CX.PB01", "P", 9.0), ("a", "CX.PB01", "P", 9000.0), ("b", "CX.PB01", "P", 100.0)]
    windows, left_out, _ = plan_windows(picks_of(rows), DAY, BuildConfig(noise_share=0))
    assert [window.event for window in windows] == ["b"]
    assert left_out == {"more than an hour between picks of one event at one station": 2}


def test_fewer_windows_of_noise_where_there_is_no_room():
    hour = Recorded({"CX.PB01": [(START, START + 3600)]})
    picks = picks_of([(str(n), "CX.PB01", "P", 50.0 + 110 * n) for n in range(32)])
    windows, _, notes = plan_windows(picks, hour, BuildConfig(noise_share=0.1))
    assert not [window for window in windows if window.is_noise]
    assert notes == ["0 windows of noise instead of 4: there are no more stretches of this length without a pick"]


@given(st.lists(st.tuples(st.sampled_from(["CX.PB01", "CX.PB02"]), st.floats(0, 80_000)), min_size=1, max_size=40))
def test_noise_touches_no_window_around_picks_of_any_station_and_nothing_outside_the_archive(drawn):
    rows = [(str(number), station, "P", seconds) for number, (station, seconds) in enumerate(drawn)]
    archive = Recorded(
        {"CX.PB01": [(START, START + 30_000), (START + 40_000, START + 86400)], "CX.PB02": [(START, START + 86400)]}
    )
    inside = [row for row in rows if row[1] == "CX.PB02" or not 30_000 <= row[3] < 40_000]
    if not inside:
        return
    windows, _, _ = plan_windows(picks_of(rows), archive, BuildConfig(noise_share=0.5, seed=3))
    noise = [window for window in windows if window.is_noise]
    assert len(noise) == len(windows) - len(noise) == len(inside)
    assert len({(w.station, w.start_ns) for w in noise}) == len(noise)
    picked_ns = [START.ns + round(seconds * 1e9) for _, _, _, seconds in rows]
    for window in noise:
        assert window.end_ns - window.start_ns == 90 * 10**9
        assert any(a.ns <= window.start_ns and window.end_ns <= b.ns for a, b in archive.spans()[window.station])
        for at_ns in picked_ns:
            assert window.end_ns <= at_ns - 30 * 10**9 or window.start_ns >= at_ns + 60 * 10**9
    by_station = {station: sorted(w.start_ns for w in noise if w.station == station) for station in archive.spans()}
    assert all((np.diff(starts) >= 90 * 10**9).all() for starts in by_station.values())
