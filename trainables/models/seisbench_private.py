"""What seisweep takes of SeisBench that is not public."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seisbench.models import WaveformModel

USES = {
    "seisbench.models.WaveformModel._annotate_args": "a picker of SeisBench picks with its own thresholds and overlap",
    "seisbench.models.WaveformModel._model_path": "an error says where downloaded weights belong",
}
"""Dotted name, and what would not work without it."""


def annotate_arguments(model: WaveformModel | type[WaveformModel]) -> dict[str, tuple[str, Any]]:
    """What `annotate` and `classify` of a model take: of each setting its words and its default."""
    return model._annotate_args


def weights_folder(model_class: type[WaveformModel]) -> Path:
    """Where SeisBench keeps the weights of this kind of model on this machine."""
    return Path(model_class._model_path())
