"""Settings of the picking data: which data sets, which share of them, and how windows and labels are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from trainables.config import Config

SAMPLING_RATE_HZ = 100.0
COMPONENT_ORDER = "ENZ"
WINDOW_SAMPLES = 3001
PHASES = ("P", "S")


def each_of(dataset: str | list[str]) -> list[str]:
    """The data sets that a setting names, one or several."""
    return [dataset] if isinstance(dataset, str) else list(dataset)


def one_share_each(shares: list[float], count: int, what: str) -> list[float]:
    """Raises ValueError where they are not one for each of `count` sources, or say nothing. `what` ends the line."""
    if len(shares) != count:
        raise ValueError(f"{len(shares)} for {count} {what}")
    if min(shares) < 0 or max(shares) == 0:
        raise ValueError(f"{', '.join(f'{share:g}' for share in shares)}: none may be below 0, and one must be above")
    return shares


class DataConfig(Config):
    """SeisBench data sets and the windows cut from them: 3001 samples, 100 Hz, components E, N, Z."""

    dataset: str | list[str]
    """SeisBench name (ETHZ, STEAD, ...) or a folder in SeisBench's format (metadata.csv, waveforms.hdf5). The folder
    may be at an address (s3://, https:// or http://), from which each machine fetches it once. [A,B] trains on a
    mixture of several data sets and scores on the dev records of all."""

    shares: list[float] | None = None
    """With several data sets: what share of the training windows comes from each, in the order of the data sets; only
    the ratios count. Default: in proportion to their numbers of training traces."""

    streams: str | list[str] | None = None
    """Continuous waveforms to train on, with data.dataset or instead of it: a file, a folder, a SeisComP archive (SDS),
    or a list of them. They have no labels, only the teacher's probabilities, so only distillation takes them."""

    streams_share: float = Field(0.5, ge=0, lt=1)
    """Share of the training windows that come from the streams, if there is a data set too; 0: none."""

    streams_around_picks: float = Field(0.5, ge=0, le=1)
    """Share of the windows from streams that are cut around a pick of the teacher; the others lie anywhere."""

    streams_threshold: float = Field(0.3, gt=0, lt=1)
    """Probability from which on the teacher's peaks in the streams count as picks."""

    streams_windows_per_epoch: int = Field(3200, ge=1)
    """Number of windows in an epoch, if there are streams but no data set."""

    streams_held_out_share: float = Field(0.15, gt=0, le=0.4)
    """Share of the hours of the streams that is held out: the last ones. As many hours before them are dev."""

    streams_held_out_stations: float = Field(0.2, ge=0, lt=1)
    """Share of the stations of the streams that is held out entirely, if there are four or more; 0: none."""

    few_shot_fraction: float = Field(1.0, gt=0, le=1)
    """Share of the training events of each data set that is trained on, drawn with `few_shot_seed` and nested (5 % lies
    inside 10 %); dev and test never change."""

    few_shot_seed: int = Field(0, ge=0)
    """Seed that decides which events `few_shot_fraction` takes."""

    sigma_samples: float = Field(30.0, gt=0)
    """Standard deviation of the Gaussian labels around a pick, in samples at 100 Hz."""

    max_time_shift_s: float = Field(0.0, ge=0, le=10)
    """Random time shift of a training window, uniform within plus and minus this many seconds. 0: off."""

    max_amplitude_scale: float = Field(1.0, ge=1)
    """Random scaling of each component of a training window, log-uniform in [1/max, max]. Added noise and second events
    are not scaled. Without them it changes nothing, since each component is divided by its peak afterwards. 1: off."""

    rotate_horizontals: bool = False
    """Rotate the horizontals of each training window by a random angle, as if the sensor had another orientation."""

    flip_sign: bool = False
    """Flip the sign of half of the training windows, as if the first motion had the opposite polarity."""

    dead_component_share: float = Field(0.0, ge=0, le=1)
    """Share of the training windows in which one component, drawn at random, is dead. 0: off."""

    noise_share: float = Field(0.0, ge=0, le=1)
    """Share of the training windows with arrivals that get added noise. The noise was recorded elsewhere in the
    training split: before a P arrival, in traces without picks, or in streams where the teacher picks nothing. 0:
    off."""

    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    """Lowest and highest signal-to-noise ratio with added noise, in dB, drawn uniformly between. The signal is the root
    mean square of the 5 s from the first arrival on, the noise that of the added noise."""

    second_event_share: float = Field(0.0, ge=0, le=1)
    """Share of the training windows with arrivals that get a second event added: another record of the same data set,
    or of the streams, with its labels. 0: off."""

    second_event_ratio: tuple[float, float] = (0.2, 1.0)
    """Smallest and largest amplitude of a second event, as a multiple of the first event's, drawn log-uniformly
    between."""

    gap_share: float = Field(0.0, ge=0, le=1)
    """Share of the training windows that get a gap, filled with zeros or with the last value before it. Arrivals inside
    the gap have no label. 0: off."""

    gap_length_s: tuple[float, float] = (0.5, 5.0)
    """Shortest and longest gap, drawn uniformly between."""

    rate_change: float = Field(0.0, ge=0, le=0.1)
    """Training windows are stretched or compressed in time by up to this share (0.02 is 2 %), and their arrivals move
    with them. 0: off."""

    missing_phase: Literal["mask", "noise"] = "mask"
    """How a phase is treated that is not labelled in a trace. mask: as unknown, so it is left out of loss, scores and
    thresholds there. noise: as absent. A phase counts as not labelled if `trace_p_status` or `trace_s_status` says
    `unlabelled`, or if a tenth of the traces or more lack the phase."""

    dev_windows_per_trace: int | None = Field(None, ge=1)
    """Number of windows that are cut from each dev trace, always the same ones; default 20 up to 100 dev traces, then
    fewer, at least 1."""

    store_dtype: Literal["float32", "float16"] = "float32"
    """Number format of the window store on disk; float16 halves it (scaled per trace)."""

    cache_dir: Path | None = None
    """Folder of the window stores; default: a folder in SeisBench's cache."""

    @model_validator(mode="before")
    @classmethod
    def _streams_alone(cls, given: Any) -> Any:
        """No data set is an empty list of them."""
        return {"dataset": [], **given} if isinstance(given, dict) and given.get("streams") else given

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> DataConfig:
        if not each_of(self.dataset) and not self.continuous:
            raise ValueError("no data set is given")
        return self

    @property
    def has_dataset(self) -> bool:
        """Whether there are labels. Without, streams are dev and what is held out, too."""
        return bool(each_of(self.dataset))

    @property
    def learns_from_streams(self) -> bool:
        return bool(self.continuous) and (self.streams_share > 0 or not self.has_dataset)

    @property
    def continuous(self) -> list[str]:
        """The files and folders of continuous waveforms."""
        return each_of(self.streams or [])

    @field_validator("dataset")
    @classmethod
    def _each_once(cls, dataset: str | list[str]) -> str | list[str]:
        names = each_of(dataset)
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{twice[0]} is named twice")
        return dataset

    @field_validator("noise_snr_db", "second_event_ratio", "gap_length_s")
    @classmethod
    def _in_order(cls, range_: tuple[float, float], field: ValidationInfo) -> tuple[float, float]:
        low, high = range_
        if low > high:
            raise ValueError(f"[{low:g},{high:g}]: give the smaller one first")
        if field.field_name != "noise_snr_db" and low <= 0:
            raise ValueError(f"[{low:g},{high:g}]: both must be above 0")
        return range_

    @field_validator("shares")
    @classmethod
    def _one_for_each(cls, shares: list[float] | None, others: ValidationInfo) -> list[float] | None:
        if shares is None or "dataset" not in others.data:
            return shares
        count = len(each_of(others.data["dataset"]))
        return one_share_each(shares, count, "data sets; one is given for each, in their order")

    @property
    def named(self) -> str:
        """The data sets in words."""
        return ", ".join(each_of(self.dataset))

    @property
    def each(self) -> list[DataConfig]:
        """The same of each data set alone."""
        return [self.model_copy(update={"dataset": name, "shares": None}) for name in each_of(self.dataset)]

    @property
    def only(self) -> str:
        """The data set of a configuration of one."""
        (name,) = each_of(self.dataset)
        return name
