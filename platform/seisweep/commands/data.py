"""`seisweep data`: which data sets there are, what one holds, new ones: built from picks, synthetic, imported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from seisweep.commands.data_build import WithLists, build
from seisweep.screen.live import progress_bar
from seisweep.screen.tables import as_table

app = typer.Typer(help="Data sets: list, build, info, synth, import-nrca.", no_args_is_help=True)
app.command(cls=WithLists)(build)


@app.command("list")
def list_datasets() -> None:
    """List SeisBench's data sets by name, and which of them are on this machine already."""
    from trainables.data.catalog import dataset_folder, dataset_names

    rows = [
        {"name": name, "here": "yes" if (folder := dataset_folder(name)).is_dir() else "", "folder": folder}
        for name in dataset_names()
    ]
    print(as_table(rows))
    print(
        "a data set that is not on this machine is downloaded when it is first used; a folder works too",
        file=sys.stderr,
    )


@app.command()
def info(
    dataset: Annotated[str, typer.Argument(help="SeisBench name, or a folder in SeisBench's format.")],
) -> None:
    """Show what each split of a data set holds, what is wrong with it, and whether seisweep can train on it. Reads
    every waveform."""
    from seisweep.settings.paths import absolute
    from trainables.data import inspection
    from trainables.data.catalog import check_dataset, dataset_folder, fingerprint, load_dataset
    from trainables.data.labelled import masking_notice

    name = absolute("data.dataset", dataset)
    if _is_sequence(dataset_folder(name)):
        _sequence_info(name)
        return
    opened = load_dataset(name)
    with progress_bar("traces") as progress:
        traces = inspection.inspect(opened, progress)
    print(as_table(inspection.by_split(traces)))
    for line in [
        *inspection.recording(traces),
        f"fingerprint {fingerprint(name)}",
        *inspection.findings(opened, traces),
    ]:
        print(line)
    if masked := masking_notice(opened.metadata):
        print(masked)
    check_dataset(opened, name)
    if problem := inspection.problems(traces):
        raise ValueError(f"data.dataset={name}: {problem}")
    print("seisweep can train on it", file=sys.stderr)


@app.command()
def synth(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|nrca|streams",
            help="New or empty folder for synthetic local earthquakes; or the word nrca for a foreshock/aftershock "
            "sequence at one station, or streams for continuous MiniSEED of another network, without labels.",
        ),
    ],
    second_folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Folder for nrca or streams; default data/WORD-synthetic in the home."),
    ] = None,
    events: Annotated[int | None, typer.Option(help="Number of events; not with streams.", min=1)] = None,
    hours: Annotated[int | None, typer.Option(help="With streams: hours of waveforms for each station.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.", min=0)] = 0,
) -> None:
    """Write synthetic local earthquakes in SeisBench's format with splits, a synthetic sequence (nrca), or streams."""
    from seisweep.settings.home import Home

    if hours and what != "streams":
        raise ValueError(f"--hours {hours} is for `streams` only; for {what} give --events")
    if events and what == "streams":
        raise ValueError(
            f"--events {events} is not for streams: their number of events follows from --hours; give that"
        )
    if what == "nrca":
        from trainables.data.synthetic_sequence import NUM_EVENTS, write_synthetic_sequence

        folder = _absolute(second_folder or Home.find().data_dir / "nrca-synthetic")
        with progress_bar("traces") as progress:
            write_synthetic_sequence(folder, num_events=events or NUM_EVENTS, seed=seed, progress=progress)
    elif what == "streams":
        from trainables.data.synthetic_streams import HOURS, write_streams

        folder = _absolute(second_folder or Home.find().data_dir / "streams-synthetic")
        with progress_bar("blocks") as progress:
            write_streams(folder, hours=hours or HOURS, seed=seed, progress=progress)
    elif second_folder:
        raise ValueError(
            f"two folders: {what} and {second_folder}; give one, or write `nrca FOLDER` for a sequence, "
            "`streams FOLDER` for continuous waveforms"
        )
    else:
        from trainables.data import synthetic

        folder = _absolute(Path(what))
        number = events or synthetic.NUM_EVENTS
        try:
            with progress_bar("traces") as progress:
                synthetic.write_local_earthquakes(folder, num_events=number, seed=seed, progress=progress)
        except OSError as error:
            raise ValueError(f"{folder} cannot be written: {error.strerror or error}") from None
    print(folder)


@app.command("import-nrca")
def import_nrca(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with the three dataframe_*_NRCA.csv files.")],
    to: Annotated[Path | None, typer.Option(help="Folder to write; default: data/nrca in the home.")] = None,
    sampling_rate_hz: Annotated[
        float, typer.Option(help="Sampling rate of the waveforms, which the files do not contain.", min=1)
    ] = 100.0,
    without_visso: Annotated[
        bool, typer.Option("--without-visso", help="Leave out the Visso sequence: 2, 4 or 8 classes only.")
    ] = False,
) -> None:
    """Import the published foreshock/aftershock data of station NRCA (zenodo 12806081).

    This is done once. The files are pickles, which could run code: a pickle that holds anything but a table is refused,
    and none of its code runs.
    """
    from seisweep.settings.home import Home
    from trainables.data import nrca

    folder = _absolute(to or Home.find().data_dir / "nrca")
    with progress_bar("traces") as progress:
        metadata = nrca.import_nrca(
            _absolute(source),
            folder,
            sampling_rate_hz=sampling_rate_hz,
            without_visso=without_visso,
            progress=progress,
        )
    print(folder)
    counts = ", ".join(f"{part} {count}" for part, count in metadata["sequence_part"].value_counts(sort=False).items())
    print(f"{len(metadata)} traces ({counts}); next: seisweep data info {folder}", file=sys.stderr)


def _absolute(folder: Path) -> Path:
    return folder.expanduser().absolute()


def _is_sequence(folder: Path) -> bool:
    """Whether the folder's metadata have a sequence's own column."""
    from trainables.data.sequence import PART_COLUMN

    try:
        with (folder / "metadata.csv").open(errors="replace") as file:
            return PART_COLUMN in file.readline().strip().split(",")
    except OSError:
        return False


def _sequence_info(name: str) -> None:
    """Parts of a sequence, and for each number of classes how many traces its splits have."""
    from trainables.data.catalog import fingerprint
    from trainables.data.sequence import PART_COLUMN, open_sequence
    from trainables.data.sequence_config import SequenceDataConfig
    from trainables.data.sequence_splits import split_sequence

    sequence = open_sequence(name)
    parts = sequence.metadata.groupby(PART_COLUMN, sort=False)
    rows: list[dict[str, Any]] = [
        {
            "part": part,
            "traces": len(traces),
            "events": traces["source_id"].nunique(),
            "first": traces["trace_start_time"].min()[:19],
            "last": traces["trace_start_time"].max()[:19],
        }
        for part, traces in parts
    ]
    print(as_table(rows))
    kind = "synthetic" if sequence.is_synthetic else "imported"
    length_s = sequence.num_samples / sequence.sampling_rate_hz
    print(f"{kind}, {sequence.num_samples} samples at {sequence.sampling_rate_hz:g} Hz ({length_s:g} s)")
    print(f"fingerprint {fingerprint(name)}")
    for num_classes in (2, 4, 8, 9):
        config = SequenceDataConfig.model_validate({"dataset": name, "num_classes": num_classes})
        try:
            splits = split_sequence(sequence, config)
        except ValueError as error:
            print(error, file=sys.stderr)
        else:
            sizes = ", ".join(f"{split} {len(rows)}" for split, rows in splits.items())
            print(f"{num_classes} classes: {sizes}")
