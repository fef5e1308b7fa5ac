"""What seisweep takes of SeisBench that is not public."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from seisbench.data import WaveformDataset
from seisbench.models import WaveformModel

from trainables.edge.channels import is_waveform
from trainables.edge.joining import without_gaps

USES = {
    "seisbench.models.WaveformModel._annotate_args": "a picker of SeisBench picks with its own thresholds and overlap",
    "seisbench.data.WaveformDataset._resample": "a NaN in a trace of another rate does not spread over all of it",
    "seisbench.models.WaveformModel._model_path": "an error says where downloaded weights belong",
}
"""Dotted name, and what would not work without it."""


def annotate_arguments(model: WaveformModel | type[WaveformModel]) -> dict[str, tuple[str, Any]]:
    """What `annotate` and `classify` of a model take: of each setting its words and its default."""
    return model._annotate_args


def weights_folder(model_class: type[WaveformModel]) -> Path:
    """Where SeisBench keeps the weights of this kind of model on this machine."""
    return Path(model_class._model_path())


def resample_without_nan(dataset: WaveformDataset) -> None:
    """Samples that are missing become zeros before a trace is resampled: a Fourier transform would lose all of it."""
    dataset._resample = partial(_resample_cleaned, dataset._resample)


def _resample_cleaned(resample: Any, waveform: np.ndarray, *arguments: Any, **options: Any) -> np.ndarray:
    return resample(without_gaps(waveform) if is_waveform(waveform) else waveform, *arguments, **options)
