"""The whole job: find files, pick every instrument in them, write."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from trainables.edge.channels import EVERY_CHANNEL, FAR_BELOW, Wanted
from trainables.edge.network import Network
from trainables.edge.picking import Pick, picks_of
from trainables.edge.waveforms import Piece, Recording, find_files, first_line, index, recordings
from trainables.edge.writing import write


def run(
    network: Network,
    waveforms: Sequence[str | Path],
    output: Path | None = None,
    format: str = "csv",
    wanted: Wanted = EVERY_CHANNEL,
) -> int:
    """Pick everything and write it, by default to standard output; returns the exit code.

    A file that cannot be read, or a channel that cannot be picked, is named on standard error, the others go on, and
    the code is 1. What holds nothing for this model is left out, counted, and changes no code.
    """
    wanted.check(network.components)
    files = find_files(waveforms)
    if output is not None and not output.absolute().parent.is_dir():
        raise ValueError(f"{output}: no such folder")
    began_s = time.monotonic()
    bad: dict[Path, str] = {}
    unpicked: list[str] = []

    def failed(file: Path, reason: str) -> None:
        if bad.setdefault(file, reason) is reason:
            say(f"{file}: cannot be read ({reason})")

    def lost(line: str) -> None:
        unpicked.append(line)
        say(line)

    pieces: list[Piece] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # readers complain of headers that do not matter here
        for file in files:
            try:
                pieces += index(file, failed)
            except Exception as error:
                failed(file, first_line(error))
        picks: list[Pick] = []
        recorded_s = 0.0
        for recording in recordings(pieces, network, say, failed, wanted, lost):
            found = picks_of(recording, network, _progress(recording))
            picks += found
            parts = recording.parts()
            seconds = sum(part.own[1] - part.own[0] for part in parts) / network.rate_hz
            recorded_s += seconds
            say(f"{recording.name}: {_duration(seconds)}, {_counted(found, network)}")
            short = sum(part.read[1] - part.read[0] < network.window_samples for part in parts)
            if short:
                say(f"{recording.id}: {short} of {len(parts)} stretches shorter than one window are not picked")
    if pieces and not recorded_s:
        least_hz = network.rate_hz * FAR_BELOW
        say(f"nothing to pick: no channel of components {', '.join(network.components)} of at least {least_hz:g} Hz")
    write(picks, format, output, network)
    elapsed_s = time.monotonic() - began_s
    say(f"{len(picks)} picks in {elapsed_s:.1f} s, {recorded_s / max(elapsed_s, 1e-9):.0f} times real time")
    return 1 if bad or unpicked or not recorded_s else 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
