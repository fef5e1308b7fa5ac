"""Which data sets there are, and whether one can be used: loading, checks, fingerprint.

All of them are SeisBench's: another format is turned into that once, by a function such as `import_nrca` in `nrca.py`
and a command `seisweep data import-...` in `platform/seisweep/commands/data.py`.
"""

from __future__ import annotations

import difflib
import hashlib
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd
import seisbench
import seisbench.data as sbd

from trainables.data.arrivals import arrival_columns, has_phase
from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ, DataConfig, each_of
from trainables.edge.channels import translated
from trainables.fetched import dataset_here, is_elsewhere
from trainables.models.seisbench_private import resample_without_nan
from trainables.quiet import quiet_library

SPLITS = ("train", "dev", "test")

_SAMPLED_BLOCKS, _BLOCK_BYTES = 16, 1 << 16


def dataset_names() -> dict[str, type[sbd.WaveformDataset]]:
    """SeisBench's data sets by name, those that are one folder of traces."""
    found = {name: getattr(sbd, name) for name in sbd.__all__ if hasattr(sbd, name)}
    return {
        name: cls
        for name, cls in sorted(found.items())
        if isinstance(cls, type)
        and issubclass(cls, sbd.WaveformBenchmarkDataset)
        and cls not in (sbd.WaveformBenchmarkDataset, sbd.BenchmarkDataset)
    }


def dataset_folder(dataset: str) -> Path:
    """Folder of a data set named by SeisBench name (any case) or by path, there or not yet. One that lies elsewhere
    (`s3://bucket/folder`, `https://host/folder`) is fetched first.

    Raises ValueError where it is none of these, or cannot be fetched.
    """
    if is_elsewhere(dataset):
        return dataset_here(dataset)
    path = Path(dataset).expanduser()
    if path.is_dir():
        return path.absolute()
    name = _find_name(dataset)
    if name is not None:
        return seisbench.cache_data_root / name.lower()
    if "/" in dataset or path.exists():
        raise ValueError(f"data.dataset={dataset}: no such folder")
    near = difflib.get_close_matches(dataset.lower(), [name.lower() for name in dataset_names()], n=3, cutoff=0.5)
    hint = "did you mean " + ", ".join(map(str, map(_find_name, near))) if near else "see `seisweep data list`"
    raise ValueError(f"data.dataset={dataset}: neither a folder nor a data set of SeisBench ({hint})")


def load_dataset(dataset: str) -> sbd.WaveformDataset:
    """A data set by SeisBench name (any case; downloaded where it is not there yet) or folder.

    Gives waveforms at 100 Hz in order E, N, Z; components 1, 2 and 3 stand in for N, E and Z, missing
    ones are zeros. Raises ValueError in one line where there is none or its format is not SeisBench's.
    """
    folder = dataset_folder(dataset)
    has_files = bool(list(folder.glob("metadata*.csv"))) and bool(list(folder.glob("waveforms*.hdf5")))
    options = {"component_order": COMPONENT_ORDER, "sampling_rate": SAMPLING_RATE_HZ}
    with quiet_seisbench():
        if not has_files and (is_elsewhere(dataset) or Path(dataset).expanduser().is_dir()):
            raise ValueError(
                f"data.dataset={dataset}: not a SeisBench data set; its folder holds metadata.csv and waveforms.hdf5"
            )
        if not has_files:
            loaded = _download(str(_find_name(dataset)), folder, options)
        else:
            _check_chunks(dataset, folder)
            loaded = _open(dataset, folder, options)
    resample_without_nan(loaded)
    return _with_stand_ins(loaded)


def check_dataset(
    dataset: sbd.WaveformDataset,
    name: str | None = None,
    splits: tuple[str, ...] = ("train", "dev"),
    missing_phase: str = "mask",
) -> None:
    """Whether pickers can be trained and measured on `dataset`; ValueError in one line where not.

    Where a phase that is missing counts as noise, every split must have both; else one of them is enough.
    """
    check_recordings(dataset, name)
    name, metadata = f"data.dataset={name or dataset.path}", dataset.metadata
    if "split" not in metadata:
        raise ValueError(f"{name}: no column split (train, dev, test) in its metadata")
    for column in arrival_columns(metadata.columns):
        picks = metadata[column].dropna()
        wrong = picks[pd.to_numeric(picks, errors="coerce").isna()]
        if not wrong.empty:
            raise ValueError(
                f"{name}: {wrong.iloc[0]} in column {column} is not a pick, which is a sample of the trace"
            )
    for split in splits:
        traces = metadata[metadata["split"] == split]
        if traces.empty:
            raise ValueError(no_split(name, metadata, split, splits))
        missing = [phase for phase in PHASES if not has_phase(traces, phase).any()]
        if missing and (missing_phase == "noise" or len(missing) == len(PHASES)):
            raise ValueError(no_pick(name, missing[0], split))


def check_each(config: DataConfig, splits: tuple[str, ...] = ("train", "dev")) -> list[sbd.WaveformDataset]:
    """The data sets of a configuration, each held against `check_dataset`. Raises ValueError, also where two of them
    are the same data."""
    names, loaded = each_of(config.dataset), []
    for name in names:
        loaded.append(load_dataset(name))
        check_dataset(loaded[-1], name, splits, config.missing_phase)
    seen: dict[str, str] = {}
    for name in names if len(names) > 1 else ():
        if (other := seen.setdefault(fingerprint(name), name)) != name:
            raise ValueError(f"data.dataset: {other} and {name} are the same data")
    return loaded


def check_recordings(dataset: sbd.WaveformDataset, name: str | None = None) -> None:
    """Whether waveforms of `dataset` can be read at all; ValueError in one line where not."""
    name = f"data.dataset={name or dataset.path}"
    metadata = dataset.metadata
    if metadata.empty:
        raise ValueError(f"{name}: no traces; its metadata have a header and no row")
    rates_hz = pd.to_numeric(metadata["trace_sampling_rate_hz"], errors="coerce")
    has_rate = (rates_hz > 0) & np.isfinite(rates_hz)
    if not has_rate.all():
        raise ValueError(
            f"{name}: {int((~has_rate).sum())} of {len(metadata)} traces have no sampling rate "
            "(column trace_sampling_rate_hz, in Hz)"
        )
    for order in metadata["trace_component_order"].unique():
        if not set(order) & set(COMPONENT_ORDER):
            raise ValueError(f"{name}: components {order}: none of them is E, N, Z (or 1, 2)")


def no_split(name: str, metadata: pd.DataFrame, split: str, splits: tuple[str, ...] = ("train", "dev")) -> str:
    """What is said where no trace is in a split."""
    there = ", ".join(repr(str(name)) for name in metadata["split"].unique())
    return f"{name}: no trace in split {split}; column split must name {', '.join(splits)}, and names {there}"


def no_pick(name: str, phase: str, split: str) -> str:
    """What is said where a split has no arrival of a phase inside its traces."""
    return f"{name}: no {phase} pick in split {split}; picks are columns such as trace_{phase}_arrival_sample"


def fingerprints(dataset: str | list[str]) -> str:
    """The fingerprint of a data set, or those of several in their order, joined."""
    return "+".join(fingerprint(name) for name in each_of(dataset))


def fingerprint(dataset: str) -> str:
    """Twelve hexadecimal digits that change when metadata or waveforms change; no waveform is decoded.

    Metadata count in full, of the waveforms their size and some blocks; times of change and the folder's
    place do not count, so that copies of a data set share what was made from it.
    """
    folder = dataset_folder(dataset)
    files = [*sorted(folder.glob("metadata*.csv")), *sorted(folder.glob("waveforms*.hdf5"))]
    if not files:
        load_dataset(dataset)  # downloads, or says what is missing
        files = [*sorted(folder.glob("metadata*.csv")), *sorted(folder.glob("waveforms*.hdf5"))]
    digest = hashlib.blake2b(digest_size=6)
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size} ".encode())
        with file.open("rb") as stream:
            if file.suffix == ".csv":
                while block := stream.read(1 << 22):
                    digest.update(block)
            else:
                for start in np.linspace(0, max(0, file.stat().st_size - _BLOCK_BYTES), _SAMPLED_BLOCKS):
                    stream.seek(int(start))
                    digest.update(stream.read(_BLOCK_BYTES))
    return digest.hexdigest()


def about_dataset(dataset: str) -> dict[str, str]:
    """What a data set states of itself: `licence`, `citation`, and `synthetic` where seisweep made it.

    SeisBench's data sets name both. Of a folder the licence is the first line of its file LICENSE or LICENCE. What is
    not stated is left out.
    """
    about: dict[str, str | None] = {}
    folder = dataset_folder(dataset)
    if name := _find_name(dataset) if not Path(dataset).expanduser().is_dir() else None:
        with quiet_seisbench():
            benchmark = dataset_names()[name]()
        about = {"licence": benchmark.license, "citation": benchmark.citation}
    else:
        lines = [line.strip() for file in sorted(folder.glob("LICEN[SC]E*")) for line in file.read_text().splitlines()]
        about["licence"] = next(filter(None, lines), None)
    metadata = pd.read_csv(next(iter(sorted(folder.glob("metadata*.csv")))), nrows=1)
    if "trace_synthetic" in metadata and metadata["trace_synthetic"].all():
        about["synthetic"] = "yes"
    return {key: " ".join(words.split()) for key, words in about.items() if words}


def quiet_seisbench() -> AbstractContextManager[None]:
    """SeisBench logs what it guesses and warns of its own code; whatever a user can act on, we raise."""
    return quiet_library("seisbench")


def _find_name(dataset: str) -> str | None:
    return next((name for name in dataset_names() if name.lower() == dataset.lower()), None)


def _open(dataset: str, folder: Path, options: dict) -> sbd.WaveformDataset:
    try:
        return sbd.WaveformDataset(folder, name=folder.name, **options)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, KeyError):
            reason = f"its metadata lack {reason}"
        reason = _metadata_fault(folder) or reason
        raise ValueError(f"data.dataset={dataset}: cannot be read as a SeisBench data set ({reason})") from error


def _check_chunks(dataset: str, folder: Path) -> None:
    """SeisBench takes the chunks that have both files and says nothing of others. Raises ValueError."""
    metadata = {file.stem.removeprefix("metadata") for file in folder.glob("metadata*.csv")}
    waveforms = {file.stem.removeprefix("waveforms") for file in folder.glob("waveforms*.hdf5")}
    if (folder / "chunks").is_file():  # which names those that count, and SeisBench misses one of them
        return
    for chunk in sorted(metadata ^ waveforms):
        there, lacking = f"metadata{chunk}.csv", f"waveforms{chunk}.hdf5"
        if chunk in waveforms:
            there, lacking = lacking, there
        raise ValueError(f"data.dataset={dataset}: {there} has no {lacking} beside it")


def _metadata_fault(folder: Path) -> str:
    """What is wrong with a file of metadata that pandas cannot read: its encoding, its separator; "" where neither."""
    for file in sorted(folder.glob("metadata*.csv")):
        if not file.stat().st_size:
            return f"{file.name} is empty"
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if number == 1 and b"," not in line and (b"\t" in line or b";" in line):
                    found = "tabs" if b"\t" in line else "semicolons"
                    return f"{file.name} is separated by {found}; SeisBench reads commas"
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    letter = line[error.start : error.start + 1]
                    return (
                        f"{file.name} is not UTF-8: line {number} has the byte 0x{letter.hex()}, in Latin-1 "
                        f"{letter.decode('latin-1')}; save it as UTF-8"
                    )
    return ""


def _download(name: str, folder: Path, options: dict) -> sbd.WaveformDataset:
    existed = folder.exists()
    try:
        return dataset_names()[name](**options)
    except Exception as error:
        if not existed and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise ValueError(
            f"data.dataset={name}: not on this machine and cannot be downloaded ({type(error).__name__}); "
            f"put its metadata.csv and waveforms.hdf5 into {folder}"
        ) from error


def _with_stand_ins(dataset: sbd.WaveformDataset) -> sbd.WaveformDataset:
    orders = dataset.metadata["trace_component_order"].astype(str)
    dataset.metadata["trace_component_order"] = orders.map({order: translated(order) for order in orders.unique()})
    dataset.component_order = COMPONENT_ORDER  # works out the mapping of components again
    return dataset
