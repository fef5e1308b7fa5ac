"""Picks P and S onsets in continuous waveforms with an ONNX picker. Needs onnxruntime, numpy and obspy alone.

    python pick.pyz WAVEFORMS... [--output picks.csv] [--format csv|quakeml|seisbench|pyocto|gamma]
    python pick.pyz bench

The model is the .onnx file beside pick.pyz; of several that which model.json there names. WAVEFORMS are files that
ObsPy reads, or folders of them: any length, gaps, several stations; or the root of an SDS archive. Waveforms are read,
annotated and searched for picks in pieces of some minutes, so that a day needs no more memory than an hour where the
format can be read in pieces (MiniSEED); a file of another format is held while its time span is picked. `bench`
measures the models on this device.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from trainables.edge import FDSN
from trainables.edge.bench import WORD, bench
from trainables.edge.channels import wanted
from trainables.edge.chosen import chosen
from trainables.edge.job import run, say
from trainables.edge.network import load_onnx, models_in, told_model, with_options
from trainables.edge.waveforms import check_there
from trainables.edge.writing import FORMATS


def main() -> None:
    arguments = sys.argv[1:]
    try:
        sys.exit(bench(arguments[1:]) if arguments[:1] == [WORD] else pick(arguments))
    except (ValueError, OSError) as error:
        say(f"pick: {' '.join(str(error).split())}")
        sys.exit(2)


def pick(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="pick.pyz",
        description=__doc__.splitlines()[0],
        epilog=f"How fast the models are here, and which to use: pick.pyz {WORD} (its options: pick.pyz {WORD} -h).",
    )
    parser.add_argument("waveforms", nargs="+", help="files that ObsPy reads, folders, an SDS archive")
    parser.add_argument("--model", metavar="FILE", type=Path, help="ONNX file; default the one beside this program")
    parser.add_argument("--output", metavar="FILE", type=Path, help="where the picks go; default standard output")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="of the picks; default csv")
    parser.add_argument("--start", metavar="TIME", help="pick from this time on, in UTC, as 2019-07-07T08:00:00")
    parser.add_argument("--end", metavar="TIME", help="pick before this time")
    parser.add_argument(
        "--stations", metavar="NAMES", help="stations to pick, as STA or NET.STA, with * and ?, separated by commas"
    )
    parser.add_argument("--p-threshold", type=float, help="smallest probability of a P pick; default the model's")
    parser.add_argument("--s-threshold", type=float, help="smallest probability of an S pick; default the model's")
    parser.add_argument(
        "--overlap", type=float, help="overlap of windows in samples, or as a share if below 1; default half a window"
    )
    parser.add_argument("--stacking", choices=("avg", "max"), help="how overlapping windows are combined; default avg")
    parser.add_argument("--blinding", type=int, nargs=2, help="samples left out at either end of a window; default 0 0")
    parser.add_argument(
        "--channels", action="append", help="pick only these: codes such as HHZ or 'HN?', separated by commas"
    )
    parser.add_argument("--components", help="component of the last letter of a channel code, such as 0=Z,1=N,2=E")
    parser.add_argument("--threads", metavar="N", type=int, default=1, help="threads of the model; default 1")
    options = parser.parse_args(arguments)
    if any(str(word).startswith(FDSN) for word in options.waveforms):
        raise ValueError(f"{FDSN} works only in `seisweep pick`; give files or folders")
    check_there(options.waveforms)
    part = chosen(options.start, options.end, options.stations)
    network = with_options(
        load_onnx(options.model or _own_model(), options.threads),
        p_threshold=options.p_threshold,
        s_threshold=options.s_threshold,
        overlap=options.overlap,
        stacking=options.stacking,
        blinding=options.blinding,
    )
    choice = wanted(options.channels, options.components)
    return run(network, options.waveforms, options.output, options.format, part, choice)


def _own_model() -> Path:
    """The model beside this program."""
    folder = Path(sys.argv[0]).resolve().parent
    beside = models_in(folder)
    if len(beside) != 1 and told_model(folder) is None:
        raise ValueError(f"{len(beside)} .onnx files beside this program; choose one with --model")
    return beside[0]


if __name__ == "__main__":
    main()
