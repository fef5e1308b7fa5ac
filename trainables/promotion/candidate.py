"""A trained model that may be promoted, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal, Protocol

from trainables.data.seal import Opening
from trainables.evaluation.intervals import Interval

FP32, INT8 = "fp32", "int8"


@dataclass(frozen=True)
class Measured:
    """Scores of each model of a candidate on the same windows of one split."""

    scores: dict[str, dict[str, Interval]]
    """By model, then by metric without its split: `f1`, `p_precision`, `accuracy` ..."""
    windows: int
    events: int


def digests_of(files: Iterable[Path]) -> str:
    """`model_fp32.onnx 0123456789abcdef, ...`"""
    return ", ".join(f"{file.name} {blake2b(file.read_bytes(), digest_size=8).hexdigest()}" for file in files)


class Candidate(Protocol):
    """What promotion asks of a trained model."""

    @property
    def models(self) -> Mapping[str, Path]:
        """ONNX files by precision: fp32 always, int8 where there is one that the gate accepted."""

    @property
    def digests(self) -> str:
        """Of the trained files: two candidates with the same ones score the same."""

    @property
    def input_shape(self) -> tuple[int, int]:
        """Components and samples of one window."""

    @property
    def headlines(self) -> tuple[str, ...]:
        """Metrics that a table shows, the most important first."""

    @property
    def facts(self) -> Mapping[str, object]:
        """What the caller of the model must know, and what the card says of it: plain data."""

    @property
    def test_split(self) -> str:
        """Which test split would be opened. Raises ValueError where the data have none."""

    def measure(self, split: Literal["dev", "test"], opening: Opening | None = None) -> Measured:
        """Score every model with onnxruntime, at the thresholds that dev has chosen."""
