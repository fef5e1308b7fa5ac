"""`seisweep data`: which data sets there are, what one holds, and a synthetic one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from seisweep.tables import as_table
from seisweep.watch import progress_bar

app = typer.Typer(help="Data sets: list, info, synth.", no_args_is_help=True)


@app.command("list")
def list_datasets() -> None:
    """Data sets of SeisBench by name, and which of them are on this machine already."""
    from trainables.data.catalog import dataset_folder, dataset_names

    rows = [
        {"name": name, "here": "yes" if (folder := dataset_folder(name)).is_dir() else "", "folder": folder}
        for name in dataset_names()
    ]
    print(as_table(rows))
    print("a data set that is not here is downloaded when it is first used; a folder works too", file=sys.stderr)


@app.command()
def info(
    dataset: Annotated[str, typer.Argument(help="SeisBench name, or a folder in SeisBench's format.")],
) -> None:
    """Traces, events, picks and recording of a data set, split by split, and whether seisweep can use it."""
    from seisweep.paths import absolute
    from trainables.data.catalog import check_dataset, fingerprint, load_dataset

    name = absolute("data.dataset", dataset)
    opened = load_dataset(name)
    print(as_table(_by_split(opened.metadata)))
    print(f"fingerprint {fingerprint(name)}")
    check_dataset(opened, name)
    print("seisweep can train on it", file=sys.stderr)


@app.command()
def synth(
    folder: Annotated[Path, typer.Argument(help="Folder to write, new or empty.")],
    events: Annotated[int | None, typer.Option(help="Number of events, about 3.5 traces each.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything in it.", min=0)] = 0,
) -> None:
    """Write synthetic local earthquakes in SeisBench's format, with train, dev and test splits."""
    from trainables.data.synthetic import NUM_EVENTS, write_local_earthquakes

    folder = folder.expanduser().absolute()
    try:
        with progress_bar("traces") as progress:
            write_local_earthquakes(folder, num_events=events or NUM_EVENTS, seed=seed, progress=progress)
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {error.strerror or error}") from None
    print(folder)


def _by_split(traces: Any) -> list[dict[str, Any]]:
    """One row a split: traces, events, P and S picks, traces without any pick."""
    from trainables.data.catalog import PICK_COLUMNS

    rows = []
    split_column = traces.get("split")
    splits = ["(no split column)"] if split_column is None else list(dict.fromkeys(split_column))
    for split in splits:
        part = traces if split_column is None else traces[split_column == split]
        picked = {
            phase: part[[c for c, p in PICK_COLUMNS.items() if p == phase and c in part]].notna().any(axis=1)
            for phase in ("P", "S")
        }
        rows.append(
            {
                "split": split,
                "traces": len(part),
                "events": part["source_id"].nunique() if "source_id" in part else None,
                "P picks": int(picked["P"].sum()),
                "S picks": int(picked["S"].sum()),
                "without": int((~(picked["P"] | picked["S"])).sum()),
            }
        )
    return rows
