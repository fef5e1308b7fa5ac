"""Where pretraining's waveforms come from: SeisBench data sets, with and without picks and splits, and streams."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import seisbench.data as sbd
from pydantic import Field, ValidationInfo, field_validator, model_validator

from trainables.config import Config
from trainables.data.catalog import check_dataset, check_recordings, fingerprint, load_dataset
from trainables.data.config import DataConfig, each_of, one_share_each
from trainables.data.streams import check_streams, open_streams, streams_fingerprint
from trainables.data.waveform_splits import RULES, NumClasses, waveform_splits
from trainables.data.windowing import Windowing
from trainables.data.windows import WindowStore, open_store, stored

WHOLE = Windowing(whole=True)


class WaveformDataConfig(Config):
    """Waveforms and the windows cut from them, at 100 Hz, components E, N, Z."""

    dataset: str | list[str] | None = None
    """SeisBench name or folder, or a list of several. Picks and splits are not needed: without splits, a part is held
    out by event, else by station, else by time. Of an imported earthquake sequence only the training split is read."""

    streams: str | list[str] | None = None
    """Continuous waveforms, with data sets or instead of them: files, folders or SDS archives that ObsPy reads, taken
    as one archive. Its last hours are held out and never read; the hours before them are dev."""

    streams_held_out_stations: float = Field(0.2, ge=0, lt=1)
    """Share of the stations of the streams that is held out entirely, if there are four or more; 0: none."""

    streams_held_out_share: float = Field(0.15, gt=0, le=0.4)
    """Share of the hours of the streams that is held out: the last ones. As many hours before them are dev."""

    shares: list[float] | None = None
    """With several sources: what share of the training windows comes from each, in the order of the sources; only the
    ratios count. Default: in proportion to how much there is of each. Scores are on the dev parts of all."""

    windows: Literal["anywhere", "picks"] = "anywhere"
    """anywhere: windows lie anywhere in a trace where it is not dead. picks: windows lie in the 6000 samples around
    each pick, one for each trace and epoch, as in earlier versions; picks and splits are then needed."""

    window_samples: int = Field(4096, ge=256)
    """Length of a window; shorter traces are padded with zeros, and no mask lies on the padding."""

    num_classes: NumClasses | None = None
    """With an earthquake sequence: the number of classes that the encoder will be fine-tuned for, since the training
    split depends on it. Default: any number; then no trace is read that is dev or test for one of them."""

    amp_norm_type: Literal["std", "peak"] = "std"
    """Each component is demeaned and divided by its standard deviation, or by its peak."""

    store_dtype: Literal["float32", "float16"] = "float32"
    """Number format of the window store on disk; float16 halves it (scaled per trace)."""

    cache_dir: Path | None = None
    """Folder of the window stores; default: a folder in SeisBench's cache."""

    @field_validator("shares")
    @classmethod
    def _one_for_each(cls, shares: list[float] | None, others: ValidationInfo) -> list[float] | None:
        if shares is None or not {"dataset", "streams"} <= others.data.keys():
            return shares
        count = len(each_of(others.data["dataset"] or [])) + bool(others.data["streams"])
        return one_share_each(shares, count, "sources; one is given for each data set, then one for streams")

    @model_validator(mode="after")
    def _has_waveforms(self) -> WaveformDataConfig:
        if not self.datasets and not self.archives:
            raise ValueError("no waveforms: give data.dataset=NAME_OR_FOLDER, data.streams=FOLDER, or both")
        return self

    @property
    def archives(self) -> list[str]:
        """Files and folders of streams."""
        return each_of(self.streams or [])

    @property
    def datasets(self) -> list[str]:
        """Names or folders, one or several."""
        return each_of(self.dataset or [])

    def of(self, dataset: str) -> DataConfig:
        """What the window store needs to know of one of them."""
        return DataConfig(dataset=dataset, store_dtype=self.store_dtype, cache_dir=self.cache_dir)

    @property
    def of_streams(self) -> DataConfig:
        """What the store of the streams needs to know."""
        return DataConfig(
            dataset=[],
            streams=self.archives,
            streams_held_out_stations=self.streams_held_out_stations,
            streams_held_out_share=self.streams_held_out_share,
            store_dtype=self.store_dtype,
            cache_dir=self.cache_dir,
        )


def open_sources(config: WaveformDataConfig, split: Literal["train", "dev"]) -> list[tuple[str, WindowStore]]:
    """What each source is called, and its store. Raises ValueError in one line where one cannot be used."""
    sources = [(f"data.dataset={dataset}", _open_dataset(config, dataset, split)) for dataset in config.datasets]
    if config.archives:
        windowing = Windowing(config.window_samples, whole=True)
        name = f"data.streams={','.join(config.archives)}"
        sources.append((name, open_streams(config.of_streams, None, split, windowing=windowing)))
    return sources


def check_sources(config: WaveformDataConfig, least_samples: int) -> dict[str, str]:
    """Check them before any work; returns facts for the record, what is held out where data do not say it among them.

    Raises ValueError in one line.
    """
    said = [line for dataset in config.datasets if (line := _check_dataset(config, dataset, least_samples))]
    names, digests = list(config.datasets), [fingerprint(dataset) for dataset in config.datasets]
    if config.archives:
        said.append(_about_streams(config))
        names += config.archives
        digests.append(streams_fingerprint(config.of_streams))
    return {
        "dataset": ", ".join(names),
        "data_fingerprint": "+".join(digests),
        **({"data_notice": "; ".join(said)} if said else {}),
    }


def _about_streams(config: WaveformDataConfig) -> str:
    """Hours and stations of each split, and what is left out. Raises ValueError."""
    waveforms, splits = check_streams(config.of_streams)
    hours = [f"{split} {its:.1f} h" for split, its in splits.hours(waveforms.stretches).items()]
    held_out = f"; {', '.join(splits.held_out)} are held out and not read" * bool(splits.held_out)
    line = f"streams: {len(waveforms.stations)} stations, {', '.join(hours)}{held_out}"
    return "; ".join([line, *waveforms.said])


def _open_dataset(config: WaveformDataConfig, dataset: str, split: Literal["train", "dev"]) -> WindowStore:
    if config.windows == "picks":
        return open_store(config.of(dataset), split)

    def choose(opened: sbd.WaveformDataset) -> np.ndarray:
        check_recordings(opened, dataset)
        return waveform_splits(dataset, opened.metadata, config.num_classes).rows(split)

    return stored(config.of(dataset), split, WHOLE, [RULES, config.num_classes], choose)


def _check_dataset(config: WaveformDataConfig, dataset: str, least_samples: int) -> str:
    """Returns what there is to say of it. Raises ValueError."""
    opened = load_dataset(dataset)
    if config.windows == "picks":
        check_dataset(opened, dataset, splits=("train", "dev"))
        return ""
    check_recordings(opened, dataset)
    splits = waveform_splits(dataset, opened.metadata, config.num_classes)
    _check_lengths(opened, dataset, splits.split_N != "", least_samples)
    return f"{Path(dataset).name}: {splits.said}" if splits.said else ""


def _check_lengths(opened: sbd.WaveformDataset, dataset: str, is_read_N: np.ndarray, least_samples: int) -> None:
    """Some trace is long enough, as far as the metadata tell."""
    if "trace_npts" not in opened.metadata:
        return
    read = opened.metadata[is_read_N]
    at_100_hz = read["trace_npts"].to_numpy(dtype=float) * 100 / read["trace_sampling_rate_hz"].to_numpy(dtype=float)
    if (at_100_hz < least_samples).all():
        raise ValueError(
            f"data.dataset={dataset}: all {len(read)} traces are shorter than {least_samples} samples at 100 Hz, which "
            f"two masked spans take; the longest has {at_100_hz.max():.0f}"
        )
