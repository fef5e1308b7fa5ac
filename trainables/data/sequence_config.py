"""Settings of the foreshock/aftershock data: classes, splits, few-shot subsets, normalisation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.config import Config


class SequenceDataConfig(Config):
    """An earthquake sequence and how its traces become classes and splits."""

    dataset: str
    """Folder of the sequence, as `seisweep data import-nrca` or `seisweep data synth nrca` writes it."""

    num_classes: Literal[2, 4, 8, 9] = 9
    """2: before and after the mainshock. 4 and 8: half of the classes are bins of time before it, half after it.
    9: 4 before, the Visso sequence, 4 after."""

    protocol: Literal["fixed", "published"] = "fixed"
    """fixed: dev and test are the same events for every few-shot fraction. published: exactly the published code's
    sets, in which a few-shot fraction moves dev and test too."""

    split_method: Literal["temporal", "random"] = "temporal"
    """temporal: the earliest and latest events of each class are train, those in the middle dev and test.
    random: events are drawn at random."""

    split_seed: int = Field(42, ge=0, lt=2**32)
    """Seed that decides which traces are dropped to balance the classes and, with random splits, which events go where.
    It is not the seed of the training."""

    few_shot_fraction: float = Field(1.0, gt=0, le=1)
    """Share of the training events that is trained on (0.05, 0.1, 0.2, 0.5, 1; the document's train_frac divided by
    0.7)."""

    few_shot_seed: int = Field(0, ge=0)
    """With protocol fixed: seed that decides which events `few_shot_fraction` takes. The sets are nested and take the
    same share of each class."""

    amp_norm_type: Literal["std", "peak"] = "std"
    """Each component is demeaned and divided by its standard deviation, or by its peak."""
