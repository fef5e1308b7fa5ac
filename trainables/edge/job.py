"""The whole job: find files, pick every instrument in them, write."""

from __future__ import annotations

import itertools
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from obspy import UTCDateTime

from trainables.edge.channels import EVERY_CHANNEL, FAR_BELOW, Wanted
from trainables.edge.chosen import EVERYTHING, Chosen
from trainables.edge.files import first_line, index
from trainables.edge.network import Network
from trainables.edge.picking import Pick, picks_of
from trainables.edge.pieces import Piece
from trainables.edge.sds import files_of
from trainables.edge.waveforms import Recording, recordings
from trainables.edge.writing import QUAKEML, write


@dataclass
class Found:
    """What came of the files so far."""

    picks: list[Pick] = field(default_factory=list)
    recorded_s: float = 0.0
    """Of the components of the network, as far as chosen."""
    bad: dict[Path, str] = field(default_factory=dict)
    """Files that cannot be read, and why."""
    unpicked: list[str] = field(default_factory=list)
    """What should have been picked and could not be, a line each."""
    stations: set[tuple[str, str]] = field(default_factory=set)
    """Networks and stations with waveforms that are chosen."""
    codes: set[str] = field(default_factory=set)
    """Of their channels."""
    span: list[UTCDateTime] = field(default_factory=list)
    """First and last time of all that was looked at, chosen or not."""

    def failed(self, file: Path, reason: str) -> None:
        if self.bad.setdefault(file, reason) is reason:
            say(f"{file}: cannot be read ({reason})")

    def lost(self, line: str) -> None:
        self.unpicked.append(line)
        say(line)


def run(
    network: Network,
    waveforms: Sequence[str | Path],
    output: Path | None = None,
    format: str = "csv",
    chosen: Chosen = EVERYTHING,
    wanted: Wanted = EVERY_CHANNEL,
    fetched: Iterable[Sequence[Path]] = (),
) -> int:
    """Pick what is chosen and write it, by default to standard output; returns the exit code.

    A file that cannot be read, or a channel that cannot be picked, is named on standard error, the others go on, and
    the code is 1; so it is where a station that was asked for is missing. What holds nothing for this model is left
    out, counted, and changes no code. `fetched` are files that come in batches, each gone when the next one is asked
    for; no instrument is in two of them.
    """
    wanted.check(network.components)
    files = files_of(waveforms, chosen)
    if output is not None and not output.absolute().parent.is_dir():
        raise ValueError(f"{output}: no such folder")
    began_s = time.monotonic()
    found = Found()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # readers complain of headers that do not matter here
        for batch in itertools.chain([files], fetched):
            _pick(batch, network, chosen, wanted, found)
    for pattern in wanted.without_channels(found.codes) if found.codes else []:
        found.lost(f"--channels {pattern}: there is no such channel")
    missing = chosen.without_waveforms(found.stations)
    _say_what_is_missing(found, network, chosen, missing)
    without = [phase for phase in network.phases if phase not in network.residual_std_s]
    if format == QUAKEML and without:
        say(f"{network.name} has no residuals of {' and '.join(without)}: no time errors in QuakeML")
    write(found.picks, format, output, network)
    elapsed_s = time.monotonic() - began_s
    speed = f", {found.recorded_s / max(elapsed_s, 1e-9):.0f} times real time" if found.recorded_s else ""
    say(f"{len(found.picks)} picks in {elapsed_s:.1f} s{speed}")
    return 1 if found.bad or found.unpicked or missing or not found.recorded_s else 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _pick(files: Sequence[Path], network: Network, chosen: Chosen, wanted: Wanted, found: Found) -> None:
    pieces = _pieces(files, chosen, found)
    for recording in recordings(pieces, network, say, found.failed, wanted, found.lost):
        recording.chosen = chosen
        picks = picks_of(recording, network, _progress(recording))
        found.picks += picks
        parts = recording.parts()
        seconds = sum(part.own[1] - part.own[0] for part in parts) / network.rate_hz
        found.recorded_s += seconds
        say(f"{recording.name}: {_duration(seconds)}, {_counted(picks, network)}")
        short = sum(part.read[1] - part.read[0] < network.window_samples for part in parts)
        if short:
            say(f"{recording.id}: {short} of {len(parts)} stretches shorter than one window are not picked")


def _pieces(files: Sequence[Path], chosen: Chosen, found: Found) -> list[Piece]:
    """What the files hold of what is chosen."""
    pieces: list[Piece] = []
    for file in files:
        try:
            held = index(file, found.failed)
        except Exception as error:
            found.failed(file, first_line(error))
            continue
        times = [time for piece in held for time in (piece.start, piece.end)] + found.span
        found.span = [min(times), max(times)]
        pieces += [piece for piece in held if chosen.has(piece.id, piece.start, piece.end)]
    for piece in pieces:
        network, station, _, code = piece.id.split(".")
        found.stations.add((network, station))
        found.codes.add(code)
    return pieces


def _say_what_is_missing(found: Found, network: Network, chosen: Chosen, missing: Sequence[str]) -> None:
    if missing:
        say(" ".join(["no waveforms", *([str(chosen)] if str(chosen) else []), "of", ", ".join(missing)]))
    elif str(chosen) and not found.stations:
        there = f"; the waveforms that were read lie between {found.span[0]} and {found.span[1]}" if found.span else ""
        say(f"nothing to pick {chosen}{there}")
    elif found.stations and not found.recorded_s:
        least_hz = network.rate_hz * FAR_BELOW
        names = ", ".join(network.components)
        say(f"nothing to pick: no channel of components {names} of at least {least_hz:g} Hz whose samples change")


def _progress(recording: Recording) -> Callable[[float], None]:
    """Percent done, on one line of a terminal; silent elsewhere."""
    if not sys.stderr.isatty():
        return lambda share: None

    def show(share: float) -> None:
        end = "\r" if share < 1 else "\r\033[K"
        print(f"{recording.name}: {share:4.0%}", end=end, file=sys.stderr, flush=True)

    return show


def _counted(picks: Sequence[Pick], network: Network) -> str:
    return ", ".join(f"{sum(pick.phase == phase for pick in picks)} {phase}" for phase in network.phases)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.1f} min"
