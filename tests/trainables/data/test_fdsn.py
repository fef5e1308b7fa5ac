"""A data centre is read in pieces, half-open, tried again where that may help, and counted where it has nothing."""

from __future__ import annotations

import obspy
import pytest
from fdsn_server import data_centre
from lifelike import START, stream

from trainables.data import fdsn
from trainables.data.fdsn import FdsnArchive, Fetching, read_address
from trainables.edge.chosen import chosen

NO_WAIT = (0.0, 0.0)


@pytest.fixture
def held() -> obspy.Stream:
    """Two stations, the first with a channel of a long period, the second without its middle."""
    second = stream(600, station="DEF", seed=1)
    first = stream(600) + stream(600, "LHZ", rate_hz=1)
    return first + second.slice(START, START + 150) + second.slice(START + 450)


def archive(url: str, **settings: str) -> FdsnArchive:
    return FdsnArchive(url, network="XX", waits_s=NO_WAIT, **settings)


def fetched(url: str, monkeypatch: pytest.MonkeyPatch, piece_s: float = 200, **settings) -> tuple[dict, Fetching, list]:
    """Streams by station, what fetched them, and what it said."""
    monkeypatch.setattr(fdsn, "PIECE_S", piece_s)
    said: list[str] = []
    names = settings.pop("stations", None)
    its = archive(url, **settings)
    fetching = Fetching(its, START, START + 600, chosen(None, None, names), said.append)
    streams = {}
    for files in fetching.batches():
        read = sum((obspy.read(str(file)) for file in files), obspy.Stream())
        streams[read[0].stats.station] = read
    return streams, fetching, said


def test_pieces_together_are_what_the_data_centre_holds_and_nothing_comes_twice(held, monkeypatch):
    with data_centre(held) as centre:
        streams, fetching, said = fetched(centre.url, monkeypatch)
    assert set(streams) == {"ABC", "DEF"}
    for channel in ("HHE", "HHN", "HHZ"):
        pieces = streams["ABC"].select(channel=channel)
        assert sum(trace.stats.npts for trace in pieces) == 60_000, "the server sends whole records"
        (whole,) = pieces.merge(-1)
        (true,) = held.select(station="ABC", channel=channel)
        assert (whole.data == true.data).all()
        assert whole.stats.starttime == true.stats.starttime
    assert {trace.stats.channel for trace in streams["ABC"]} == {"HHE", "HHN", "HHZ"}
    assert len(centre.asked) == 6
    assert fetching.failed == 0
    assert said[0].endswith("channels HH?,BH?,EH?,SH?; channel=... asks for others")
    assert said[1:] == [
        "XX.ABC: 3 of 3 pieces fetched",
        "XX.DEF: 2 of 3 pieces fetched; the data centre has no data of 1",
    ]


def test_read_is_half_open_and_empty_where_there_is_nothing(held):
    with data_centre(held) as centre:
        its = archive(centre.url)
        (trace,) = its.read("XX.ABC.", START + 10, START + 20).select(channel="HHZ")
        assert (trace.stats.starttime, trace.stats.endtime) == (START + 10, START + 19.99)
        assert len(its.read("XX.DEF.", START + 200, START + 300)) == 0


def test_channels_are_those_of_the_station_service_within_the_time(held):
    with data_centre(held) as centre:
        spans = archive(centre.url, channel="HHZ,LHZ").channels(START, START + 5)
        assert [(span.id, span.rate_hz, span.place) for span in spans] == [
            ("XX.ABC..HHZ", 100, "XX.ABC."),
            ("XX.ABC..LHZ", 1, "XX.ABC."),
            ("XX.DEF..HHZ", 100, "XX.DEF."),
        ]
        assert all((span.start, span.end) == (START, START + 5) for span in spans)
        assert archive(centre.url, station="NONE").channels(START, START + 5) == []


@pytest.mark.parametrize(("codes", "tries", "failed"), [([503, 429], 3, 0), ([503, 503, 503], 3, 1), ([403], 1, 1)])
def test_another_try_is_made_where_it_may_help(codes, tries, failed, held, monkeypatch):
    with data_centre(held) as centre:
        centre.faults["ABC"] = list(codes)
        streams, fetching, said = fetched(centre.url, monkeypatch, stations="ABC")
    assert centre.faults["ABC"] == []
    assert fetching.failed == failed
    assert sum(trace.stats.npts for trace in streams["ABC"].select(channel="HHZ")) == (40_000 if failed else 60_000)
    lost = [line for line in said if "could not be fetched" in line]
    assert len(lost) == failed
    assert all(line.startswith("XX.ABC: 1 of 3 pieces could not be fetched (XX.ABC. from 2024-02-29") for line in lost)
    assert all("the reason in words" in line for line in lost)


def test_what_is_too_large_is_asked_for_in_halves(held):
    with data_centre(held) as centre:
        centre.faults["ABC"] = [413]
        found = archive(centre.url).read("XX.ABC.", START, START + 600).select(channel="HHZ").merge(-1)
        assert len(centre.asked) == 2
        assert [trace.stats.npts for trace in found] == [60_000]
        centre.faults["ABC"] = [413] * 20
        with pytest.raises(ValueError, match=r"XX\.ABC\. from 2024-02-29T23:50"):
            archive(centre.url).read("XX.ABC.", START, START + 600)
        assert len(centre.faults["ABC"]) == 20 - 5, "halves of halves, down to less than a minute"


def test_a_named_station_without_waveforms_is_missing(held, monkeypatch):
    with data_centre(held) as centre:
        streams, fetching, said = fetched(centre.url, monkeypatch, station="ABC,GHI")
    assert list(streams) == ["ABC"]
    assert fetching.missing == ["GHI"]
    assert said[-1] == f"fdsn:{centre.url}: no waveforms of GHI"
    with data_centre(held) as centre:
        streams, fetching, said = fetched(centre.url, monkeypatch, station="ABC,DEF", stations="DEF")
    assert (list(streams), fetching.missing) == (["DEF"], [])


def test_a_list_of_stations_that_is_refused_is_one_line(held, monkeypatch):
    with data_centre(held) as centre:
        centre.faults["station"] = [403]
        with pytest.raises(ValueError, match="no list of stations") as raised:
            fetched(centre.url, monkeypatch)
    assert "\n" not in str(raised.value)


def test_an_address_says_what_is_meant():
    found = read_address("fdsn:http://127.0.0.1:9/x?net=XX&sta=A*&channel=HH?&location=&start=2024-02-29")
    asked = {"address": "http://127.0.0.1:9/x", "network": "XX", "station": "A*", "channel": "HH?", "location": ""}
    assert found == (asked, "2024-02-29", None)


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("fdsn:http://127.0.0.1:9", "needs an address and a network, as in fdsn:https://"),
        ("fdsn:?network=CX", "needs an address and a network"),
        ("fdsn:http://127.0.0.1:9?network=CX&colour=red", "colour is not known; known are network, station"),
        ("fdsn:http://127.0.0.1:9?network=CX", "does not answer as a data centre"),
        ("fdsn:nobody?network=CX", "does not answer as a data centre"),
    ],
)
def test_an_address_that_is_wrong_is_one_line(word, part):
    with pytest.raises(ValueError, match="fdsn:") as raised:
        read_address(word).archive()
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)
