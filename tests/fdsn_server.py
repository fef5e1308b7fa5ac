"""A data centre on this machine: FDSN dataselect and station, answering from a stream."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import obspy
from obspy.core.inventory import Channel, Inventory, Network, Site, Station

RECORD_S = 3
"""Records come whole: what is sent begins earlier and ends later than what was asked for."""

PARAMETERS = {
    "dataselect": "starttime endtime network station location channel quality minimumlength longestonly",
    "station": "starttime endtime network station location channel level format "
    "minlatitude maxlatitude minlongitude maxlongitude",
}
WADL = """<?xml version="1.0"?>
<application xmlns="http://wadl.dev.java.net/2009/02">
<resources base="{base}/fdsnws/{service}/1"><resource path="query"><method name="GET"><request>{parameters}</request>
</method></resource></resources></application>"""


class DataCentre:
    """What it holds, what it was asked, and what goes wrong."""

    def __init__(self, stream: obspy.Stream) -> None:
        self.stream = stream
        self.asked: list[dict[str, str]] = []
        """Parameters of each request for waveforms."""
        self.faults: dict[str, list[int]] = {}
        """HTTP codes of the next requests, by station (waveforms) or under "station" (the list of stations)."""
        self.url = ""

    def answer(self, service: str, what: str, parameters: dict[str, str]) -> tuple[int, bytes]:
        if service not in PARAMETERS:
            return 404, b""
        if what == "version":
            return 200, b"1.1.1"
        if what == "application.wadl":
            told = "".join(f'<param name="{name}" style="query"/>' for name in PARAMETERS[service].split())
            return 200, WADL.format(base=self.url, service=service, parameters=told).encode()
        key = "station" if service == "station" else parameters["station"]
        if self.faults.get(key):
            return self.faults[key].pop(0), b"the reason in words"
        found = obspy.Stream([trace for trace in self.stream if _matches(trace, parameters)])
        if service == "station":
            return _as_answer(_inventory(found), "STATIONXML") if found else (204, b"")
        self.asked.append(parameters)
        start, end = obspy.UTCDateTime(parameters["starttime"]), obspy.UTCDateTime(parameters["endtime"])
        if not found.slice(start, end):
            return 204, b""
        return _as_answer(found.slice(start - RECORD_S, end + RECORD_S), "MSEED")


@contextmanager
def data_centre(stream: obspy.Stream) -> Iterator[DataCentre]:
    """Its `url` answers until the end of the block."""
    centre = DataCentre(stream)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            _, _, service, _, what = [*address.path.split("/"), "", "", ""][:5]
            code, body = centre.answer(service, what, dict(parse_qsl(address.query, keep_blank_values=True)))
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    centre.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield centre
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _matches(trace: obspy.Trace, parameters: dict[str, str]) -> bool:
    return all(
        any(fnmatchcase(trace.stats[key], "" if pattern == "--" else pattern) for pattern in wanted.split(","))
        for key in ("network", "station", "location", "channel")
        if (wanted := parameters.get(key)) is not None
    )


def _as_answer(held: obspy.Stream | Inventory, format: str) -> tuple[int, bytes]:
    data = io.BytesIO()
    held.write(data, format=format)
    return 200, data.getvalue()


def _inventory(stream: obspy.Stream) -> Inventory:
    networks: dict[str, dict[str, dict[tuple[str, str], Channel]]] = {}
    for trace in stream:
        s = trace.stats
        since = s.starttime - 86400
        channel = Channel(s.channel, s.location, 0, 0, 0, 0, sample_rate=s.sampling_rate, start_date=since)
        networks.setdefault(s.network, {}).setdefault(s.station, {})[s.location, s.channel] = channel
    return Inventory(
        [
            Network(code, [Station(name, 0, 0, 0, list(its.values()), Site("here")) for name, its in stations.items()])
            for code, stations in networks.items()
        ],
        "tests",
    )
