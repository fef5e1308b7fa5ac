"""The data of a trial as MLflow's inputs, which fill its column and filter of data sets. No waveform is read for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from seisweep.record import tags
from seisweep.record.mlflow_answers import ask
from seisweep.record.mlflow_names import text

LONGEST_NAME, LONGEST_DIGEST = 500, 36
USED_FOR = "train, dev"
"""The test split is not an input of a trial."""


def inputs_of(config: Mapping[str, Any], facts: Mapping[str, str]) -> list[DatasetInput]:
    """The data sets and streams that a configuration names (`data.dataset`, `data.datasets`, `data.streams`); of a
    trainable without them none.

    `facts`: tags of the sweep, which say the fingerprints of its data.
    """
    group = config.get("data")
    if not isinstance(group, Mapping):
        return []
    names = [*_each(group.get("dataset")), *_each(group.get("datasets"))]
    streams = _each(group.get("streams"))
    known = _fingerprints(names, facts) | dict.fromkeys(streams, facts.get("streams_fingerprint", ""))
    return [
        DatasetInput(
            Dataset(
                name=text(PurePosixPath(name).name or name, LONGEST_NAME),
                digest=_digest(name, known),
                source_type="seisbench" if name in names else "streams",
                source=json.dumps({"uri": text(name)}),
            ),
            [InputTag(MLFLOW_DATASET_CONTEXT, USED_FOR)],
        )
        for name in dict.fromkeys([*names, *streams])
    ]


def _each(named: Any) -> list[str]:
    return [name for name in (named if isinstance(named, list) else [named]) if name and isinstance(name, str)]


def log_inputs(client: MlflowClient, run_id: str, inputs: Sequence[DatasetInput]) -> None:
    """Said twice, it stands there once. Raises NoAnswerError or RefusedError."""
    if inputs:
        ask(partial(client.log_inputs, run_id, datasets=list(inputs)))


def _fingerprints(names: Sequence[str], facts: Mapping[str, str]) -> dict[str, str]:
    """Of each data set, where the sweep's facts are about these."""
    found = facts.get(tags.DATA_FINGERPRINT, "").split("+")
    is_about_them = facts.get(tags.DATASET) == ", ".join(names) and len(found) == len(names)
    return dict(zip(names, found, strict=True)) if is_about_them else {}


def _digest(name: str, known: Mapping[str, str]) -> str:
    """The fingerprint where it is known, else one of the name."""
    return known.get(name, "")[:LONGEST_DIGEST] or blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()
