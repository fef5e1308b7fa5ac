"""The whole job: find files, pick every instrument in them, write."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from trainables.edge.network import Network
from trainables.edge.picking import Pick, picks_of
from trainables.edge.waveforms import Piece, Recording, find_files, first_line, index, recordings
from trainables.edge.writing import write


def run(network: Network, waveforms: Sequence[str | Path], output: Path | None = None, format: str = "csv") -> int:
    """Pick everything and write it, by default to standard output; returns the exit code.

    A file that cannot be read is named on standard error, the others go on, and the code is 1.
    """
    files = find_files(waveforms)
    if output is not None and not output.absolute().parent.is_dir():
        raise ValueError(f"{output}: no such folder")
    began_s = time.monotonic()
    bad: dict[Path, str] = {}

    def failed(file: Path, reason: str) -> None:
        if bad.setdefault(file, reason) is reason:
            say(f"{file}: cannot be read ({reason})")

    pieces: list[Piece] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # readers complain of headers that do not matter here
        for file in files:
            try:
                pieces += index(file)
            except Exception as error:
                failed(file, first_line(error))
        picks: list[Pick] = []
        recorded_s = 0.0
        for recording in recordings(pieces, network, say, failed):
            found = picks_of(recording, network, _progress(recording))
            picks += found
            lengths = [num_samples for _, num_samples in recording.segments()]
            seconds = sum(lengths) / network.rate_hz
            recorded_s += seconds
            say(f"{recording.id}.{recording.family}: {_duration(seconds)}, {_counted(found, network)}")
            short = sum(length < network.window_samples for length in lengths)
            if short:
                say(f"{recording.id}: {short} of {len(lengths)} stretches shorter than one window are not picked")
    if pieces and not recorded_s:
        say(f"nothing to pick: no channel of components {', '.join(network.components)}")
    write(picks, format, output, network)
    elapsed_s = time.monotonic() - began_s
    say(f"{len(picks)} picks in {elapsed_s:.1f} s, {recorded_s / max(elapsed_s, 1e-9):.0f} times real time")
    return 1 if bad or not recorded_s else 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _progress(recording: Recording) -> Callable[[float], None]:
    """Percent done, on one line of a terminal; silent elsewhere."""
    if not sys.stderr.isatty():
        return lambda share: None

    def show(share: float) -> None:
        end = "\r" if share < 1 else "\r\033[K"
        print(f"{recording.id}.{recording.family}: {share:4.0%}", end=end, file=sys.stderr, flush=True)

    return show


def _counted(picks: Sequence[Pick], network: Network) -> str:
    return ", ".join(f"{sum(pick.phase == phase for pick in picks)} {phase}" for phase in network.phases)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.1f} min"
