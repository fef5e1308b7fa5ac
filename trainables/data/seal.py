"""The seal of a test split: who reads one holds an `Opening`, and who holds one has written it down before.

Training, calibration and evaluation see train and dev. `seisweep promote` alone makes openings.
"""

from __future__ import annotations

from dataclasses import dataclass

SEALED = "test"


@dataclass(frozen=True)
class Opening:
    """One opening of one test split, which stands in the record already."""

    test_split: str
    """Which one: fingerprint of the data, and how they were split."""

    number: int
    """1 the first time this test split is opened."""


def check_seal(opening: Opening | None, test_split: str) -> None:
    """Raises ValueError where a test split would be read without an opening of it."""
    if opening is None or opening.test_split != test_split:
        raise ValueError("the test split is sealed: `seisweep promote` opens it, once and on the record")
