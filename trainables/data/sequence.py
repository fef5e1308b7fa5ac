"""The stored form of an earthquake sequence at one station: a SeisBench data set whose waveforms are one block.

Beside SeisBench's usual columns its metadata have `sequence_part` (pre, visso, post) and an integer `source_id`. The
block is float32, (N, X, T), not compressed: every trial maps it into memory and shares the system's page cache.
"""

# N trace, X component (E, N, Z), T time sample

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from trainables.atomic import whole_folder
from trainables.data.catalog import dataset_folder
from trainables.data.config import COMPONENT_ORDER

PARTS = ("pre", "visso", "post")
"""Before the Visso earthquake (M5.9, 2016-10-26), between it and the mainshock (M6.5, 2016-10-30), after that."""

PART_COLUMN = "sequence_part"
_METADATA, _WAVEFORMS, _BLOCK = "metadata.csv", "waveforms.hdf5", "data/bucket0"
_NEEDED_COLUMNS = ("source_id", "trace_start_time", "trace_sampling_rate_hz")

Progress = Callable[[int, int], None]
"""`progress(done, total)`, called while traces are written."""


@dataclass(frozen=True)
class Sequence:
    """All traces of a sequence, in the order of their files: row n of the metadata is trace n of the waveforms."""

    metadata: pd.DataFrame
    waveforms_NXT: np.ndarray
    """Counts, float32, memory-mapped and read-only."""

    def __len__(self) -> int:
        return len(self.metadata)

    @property
    def sampling_rate_hz(self) -> float:
        return float(self.metadata["trace_sampling_rate_hz"].iloc[0])

    @property
    def num_samples(self) -> int:
        """Length of every trace."""
        return self.waveforms_NXT.shape[2]

    @property
    def is_synthetic(self) -> bool:
        return "trace_synthetic" in self.metadata and bool(self.metadata["trace_synthetic"].all())


def open_sequence(dataset: str) -> Sequence:
    """A sequence that `import-nrca` or `synth nrca` wrote. Raises ValueError in one line where it is none."""
    folder = dataset_folder(dataset)
    name = f"data.dataset={dataset}"
    made_by = "make one with `seisweep data import-nrca` or `seisweep data synth nrca`"
    if not (folder / _METADATA).is_file() or not (folder / _WAVEFORMS).is_file():
        raise ValueError(f"{name}: no earthquake sequence (metadata.csv and waveforms.hdf5); {made_by}")
    words = {PART_COLUMN: object, "trace_start_time": object}
    metadata = pd.read_csv(folder / _METADATA, dtype=words, low_memory=False)
    missing = [column for column in (PART_COLUMN, *_NEEDED_COLUMNS) if column not in metadata]
    if missing:
        raise ValueError(f"{name}: no earthquake sequence, its metadata lack {', '.join(missing)}; {made_by}")
    if metadata["source_id"].dtype.kind != "i" or not metadata[PART_COLUMN].isin(PARTS).all():
        raise ValueError(f"{name}: source_id must be integers, and {PART_COLUMN} one of {', '.join(PARTS)}; {made_by}")
    return Sequence(metadata, _map_block(folder / _WAVEFORMS, len(metadata), f"{name}: {made_by}"))


def write_sequence(
    folder: Path,
    metadata: pd.DataFrame,
    chunks: Iterable[np.ndarray],
    num_samples: int,
    progress: Progress | None = None,
) -> None:
    """Write `metadata` and the waveforms `chunks`, each (n, X, T) in the order of the rows, to a new `folder`.

    SeisBench's own columns for trace names, components and lengths are added. The folder appears complete or not at
    all; ValueError in one line where it cannot be written.
    """
    folder = Path(folder).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: exists and is not empty; name a new folder")
    _check_disk(folder, 12 * len(metadata) * num_samples)
    table = metadata.reset_index(drop=True).assign(
        trace_name=[f"bucket0${n},:3,:{num_samples}" for n in range(len(metadata))],
        trace_npts=num_samples,
        trace_component_order=COMPONENT_ORDER,
    )
    try:
        with whole_folder(folder) as building:
            _write_waveforms(building / _WAVEFORMS, chunks, table, num_samples, progress)
            table.to_csv(building / _METADATA, index=False)
            if folder.exists():
                folder.rmdir()  # which it can only be while it is empty
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written ({error.strerror or error})") from error


def _write_waveforms(
    path: Path, chunks: Iterable[np.ndarray], table: pd.DataFrame, num_samples: int, progress: Progress | None
) -> None:
    """All windows as one block (N, X, T), as SeisBench reads it."""
    with h5py.File(path, "w") as file:
        block = file.create_dataset(_BLOCK, (len(table), 3, num_samples), dtype=np.float32)
        done = 0
        for chunk_NXT in chunks:
            block[done : done + len(chunk_NXT)] = chunk_NXT
            done += len(chunk_NXT)
            if progress:
                progress(done, len(table))
        assert done == len(table)
        file["data_format/dimension_order"] = "CW"
        file["data_format/component_order"] = COMPONENT_ORDER
        file["data_format/sampling_rate"] = float(table["trace_sampling_rate_hz"].iloc[0])


def _map_block(path: Path, num_traces: int, complaint: str) -> np.ndarray:
    try:
        with h5py.File(path) as file:
            block = file[_BLOCK]
            shape, offset, dtype = block.shape, block.id.get_offset(), block.dtype
    except (OSError, KeyError, AttributeError) as error:
        raise ValueError(f"{complaint} ({path.name} cannot be read: {' '.join(str(error).split())})") from None
    if offset is None or dtype != np.dtype("<f4") or len(shape) != 3 or shape[:2] != (num_traces, 3):
        raise ValueError(f"{complaint} (the waveforms are not one float32 block of {num_traces} x 3 components)")
    return np.memmap(path, dtype="<f4", mode="r", offset=offset, shape=shape)


def _check_disk(folder: Path, num_bytes: int) -> None:
    existing = next(parent for parent in folder.parents if parent.exists())
    free_bytes = shutil.disk_usage(existing).free
    if num_bytes > free_bytes:
        raise ValueError(f"{folder}: {num_bytes / 1e9:.1f} GB are needed and {free_bytes / 1e9:.1f} GB are free")
