"""Every waveform file that ObsPy tests itself with, picked as `seisweep pick` does, beside SeisBench's `classify`.

    python benchmarks/obspy_files.py MODEL [--output files.csv] [--folders mseed sac]

MODEL is a SeisBench pair of a PhaseNet. Each file gets a row: its class, exit code, number of picks of both, and what
picking said. Classes:

- same: the same picks of both within 0.1 s, or none of both
- left out: the same, once what picking leaves out by rule (far below the model's rate, another instrument at the same
  place, the third component as vertical) is left out for SeisBench too
- fails in SeisBench: `classify` raises an error; picking does not
- unreadable: ObsPy cannot read it; picking names it, exit code 1
- no samples: traces without a sample; picking names it, exit code 1
- different: none of these; there is to be none
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import glob
import io
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import obspy
import seisbench
from obspy import Stream, UTCDateTime
from seisbench.models import PhaseNet
from seisweep.artifacts.pickers import seisbench_network

from trainables.edge.job import run
from trainables.edge.network import Network, with_options
from trainables.models.teacher import load_phasenet

OBSPY = Path(obspy.__file__).parent
NEAR_S = 0.1
THRESHOLD = 0.3
WAVEFORMS = (
    "ah",
    "alsep",
    "arclink",
    "ascii",
    "css",
    "cybershake",
    "dmx",
    "gcf",
    "gse2",
    "kinemetrics",
    "mseed",
    "nied",
    "pdas",
    "reftek",
    "rg16",
    "sac",
    "seg2",
    "segy",
    "seisan",
    "sh",
    "wav",
    "win",
    "y",
)
"""Folders of ObsPy's formats of waveforms."""

Onset = tuple[str, str, str, str, UTCDateTime]
"""Network, station, location, phase and time of a pick."""


class Row(NamedTuple):
    """What came of one file."""

    file: str
    kind: str
    code: int
    picks: int
    seisbench_picks: int | str
    seconds: float
    said: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--output", type=Path, help="CSV; default standard output")
    parser.add_argument("--folders", nargs="+", default=WAVEFORMS, help="of obspy/io; default all formats of waveforms")
    options = parser.parse_args()
    model, network = load(options.model)
    rows = []
    for file in files(options.folders):
        rows.append(compare(file, model, network))
        print(f"{rows[-1].kind:20} {rows[-1].file}", file=sys.stderr, flush=True)
    with contextlib.nullcontext(sys.stdout) if options.output is None else options.output.open("w") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)
    print(", ".join(f"{number} {kind}" for kind, number in Counter(row.kind for row in rows).items()), file=sys.stderr)


def load(model: str) -> tuple[PhaseNet, Network]:
    seisbench.logger.setLevel("ERROR")
    phasenet = load_phasenet(model)
    return phasenet, with_options(seisbench_network(phasenet, model), p_threshold=THRESHOLD, s_threshold=THRESHOLD)


def files(folders: list[str]) -> list[Path]:
    """Of these formats, those that hold waveforms or should."""
    found = (file for folder in folders for file in sorted((OBSPY / "io" / folder / "tests/data").rglob("*")))
    return [file for file in found if file.is_file() and file.suffix not in (".npz", ".json", ".xml", ".zip", ".cfg")]


def compare(file: Path, model: PhaseNet, network: Network) -> Row:
    began_s = time.monotonic()
    code, picks, said = picked(file, network)
    seconds = time.monotonic() - began_s
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind, number = _kind(file, model, picks, said)
    return Row(str(file.relative_to(OBSPY)), kind, code, len(picks), number, round(seconds, 2), said)


def picked(file: Path, network: Network) -> tuple[int, list[Onset], str]:
    """Exit code, picks, and what was said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(network, [file])
    rows = csv.DictReader(io.StringIO(out.getvalue()))
    picks = [(r["network"], r["station"], r["location"], r["phase"], UTCDateTime(r["time"])) for r in rows]
    return code, sorted(picks), err.getvalue()


def _kind(file: Path, model: PhaseNet, picks: list[Onset], said: str) -> tuple[str, int | str]:
    try:
        traces = obspy.read(glob.escape(str(file)))
    except Exception as error:
        return "unreadable", type(error).__name__
    if not any(trace.stats.npts for trace in traces):
        return "no samples", 0
    try:
        theirs = classified(traces, model)
    except Exception as error:
        return "fails in SeisBench", f"{type(error).__name__}: {error}"
    if agree(picks, theirs):
        return "same", len(theirs)
    return ("left out" if agree(picks, classified(_as_picked(traces, said), model)) else "different"), len(theirs)


def classified(traces: Stream, model: PhaseNet) -> list[Onset]:
    if not traces:
        return []
    picks = model.classify(traces.copy(), P_threshold=THRESHOLD, S_threshold=THRESHOLD).picks
    return sorted((*pick.trace_id.split(".")[:3], pick.phase, pick.peak_time) for pick in picks)


def agree(picks: list[Onset], others: list[Onset]) -> bool:
    pairs = zip(picks, others, strict=False)
    return len(picks) == len(others) and all(a[:4] == b[:4] and abs(a[4] - b[4]) <= NEAR_S for a, b in pairs)


def _as_picked(traces: Stream, said: str) -> Stream:
    """The instruments that were picked, with the third component as vertical."""
    names = {line.split(": ")[0] for line in said.splitlines() if " min, " in line or " h, " in line}
    kept = Stream([trace for trace in traces if trace.id[:-1] in names])
    for trace in kept.select(channel="*3"):
        trace.stats.channel = f"{trace.stats.channel[:-1]}Z"
    return kept


if __name__ == "__main__":
    main()
