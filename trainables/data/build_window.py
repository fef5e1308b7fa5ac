"""A window of a data set that is built from picks: which stretch of which station, and how windows are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field, field_validator

NS = 1_000_000_000
"""Nanoseconds of a second: times are integers, so that plans are the same everywhere."""

AMBIGUOUS = "several networks have such a station and the pick names none"
WITHOUT_WAVEFORMS = "no waveforms"
"""Why picks were left out whose station has nothing in the archive at their time."""


class BuildConfig(BaseModel, frozen=True, extra="forbid"):
    """How windows are cut and split."""

    window_before_s: float = Field(30.0, ge=0, le=3600)
    """Seconds before the first pick."""

    window_after_s: float = Field(60.0, gt=0, le=3600)
    """Seconds after the last pick."""

    rate_hz: float = Field(100.0, gt=0, le=10_000)
    """Sampling rate; waveforms of another one are resampled."""

    components: str = "ENZ"
    """Components and their order; 1 and 2 stand for N and E."""

    noise_share: float = Field(0.1, ge=0, lt=1)
    """Share of windows that are noise: cut where no station of the network has a pick."""

    split_by: Literal["event", "time", "station"] = "event"
    """What the splits keep apart: no event, stretch of time or station is in two of them."""

    shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of train, dev and test."""

    phases: tuple[Literal["P", "S"], ...] = ("P", "S")
    """Phases that are taken from the picks; a phase that is missing here counts as not labelled."""

    seed: int = Field(0, ge=0)
    """Seed for drawing noise windows and splits."""

    @field_validator("components")
    @classmethod
    def _letters(cls, components: str) -> str:
        if not components or len(set(components)) < len(components) or set(components) - set("ENZ"):
            raise ValueError("an order of E, N and Z such as ENZ or Z")
        return components

    @field_validator("shares")
    @classmethod
    def _sum(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError("three shares of train, dev and test that sum to 1")
        return shares


@dataclass(frozen=True)
class PickAt:
    """A pick within a window."""

    kind: str
    time_ns: int
    status: str
    is_own: bool
    """Of the event that the window is about."""


@dataclass(frozen=True)
class Window:
    """A stretch of one station that becomes a trace."""

    key: str
    """Names it, whatever else is planned."""
    event: str
    """"" for noise."""
    station: str
    """NET.STA"""
    location: str
    """"*" where the picks do not say."""
    start_ns: int
    end_ns: int
    picks: tuple[PickAt, ...] = ()
    unlabelled: str = ""
    """Phases whose picks are not complete: P, S, PS."""
    loose: bool = False
    """Its event is not of a catalogue."""
    split: str = ""

    @property
    def is_noise(self) -> bool:
        return not self.event

    @property
    def num_own(self) -> int:
        """Picks of its own event."""
        return sum(pick.is_own for pick in self.picks)

    @property
    def station_id(self) -> str:
        return f"{self.station}.{self.location}"
