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
"""The test split is no input of a trial."""


def inputs_of(config: Mapping[str, Any], facts: Mapping[str, str]) -> list[DatasetInput]:
    """The data sets that a configuration names (`data.dataset`, `data.datasets`); of a trainable without them none.

    `facts`: tags of the sweep, which say the fingerprint of its data.
    """
    group = config.get("data")
    said = [group[key] for key in ("dataset", "datasets") if group.get(key)] if isinstance(group, Mapping) else []
    names = [name for one in said for name in (one if isinstance(one, list) else [one]) if isinstance(name, str)]
    return [
        DatasetInput(
            Dataset(
                name=text(PurePosixPath(name).name or name, LONGEST_NAME),
                digest=_digest(name, names, facts),
                source_type="seisbench",
                source=json.dumps({"uri": text(name)}),
            ),
            [InputTag(MLFLOW_DATASET_CONTEXT, USED_FOR)],
        )
        for name in dict.fromkeys(names)
    ]


def log_inputs(client: MlflowClient, run_id: str, inputs: Sequence[DatasetInput]) -> None:
    """Said twice, it stands there once. Raises NoAnswerError or RefusedError."""
    if inputs:
        ask(partial(client.log_inputs, run_id, datasets=list(inputs)))


def _digest(name: str, names: Sequence[str], facts: Mapping[str, str]) -> str:
    """The fingerprint of the data set where the sweep's facts are about it, else one of its name."""
    known = facts.get(tags.DATA_FINGERPRINT, "")
    if known and facts.get(tags.DATASET) == name and len(names) == 1:
        return known[:LONGEST_DIGEST]
    return blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()
