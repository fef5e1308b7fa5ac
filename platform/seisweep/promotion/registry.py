"""Promoted models in MLflow's registry: the ONNX flavour with a signature, versions with aliases and the card."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import onnx
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from seisweep.record import tags
from seisweep.record.mlflow_store import mlflow_asks
from trainables.export.onnx import INPUT, OUTPUT
from trainables.promotion.candidate import FP32, INT8, Candidate

CHAMPION = "champion"
"""Alias of what a user takes who does not want to choose: INT8 where the gate accepted it, else FP32."""

DESCRIPTION_LENGTH = 5000
"""MLflow's column holds no more."""


def register(
    uri: str, run: Run, name: str, candidate: Candidate, card: str, facts: Mapping[str, str]
) -> dict[str, int]:
    """Log every model of the candidate to the run and make it a version of the registered model `name`.

    Returns the version of each alias: fp32, int8 where there is one, champion. Aliases of an earlier promotion move.
    """
    aliases: dict[str, int] = {}
    heard = io.StringIO()  # MLflow prints each version that it makes; what goes wrong it raises
    with (
        mlflow_asks(uri),
        redirect_stdout(heard),
        redirect_stderr(heard),
        mlflow.start_run(run_id=run.info.run_id, log_system_metrics=False),
    ):
        for precision, file in candidate.models.items():
            info = mlflow.onnx.log_model(
                onnx.load(file),
                name=precision,
                registered_model_name=name,
                signature=signature(file, candidate),
                pip_requirements=[
                    f"{package}=={version(package)}" for package in ("mlflow", "onnx", "onnxruntime", "numpy")
                ],
                save_as_external_data=False,
            )
            aliases[precision] = int(info.registered_model_version)
    aliases[CHAMPION] = aliases.get(INT8, aliases[FP32])
    client = MlflowClient(uri, uri)
    for alias, number in aliases.items():
        client.set_registered_model_alias(name, alias, str(number))
    for precision in candidate.models:
        made = str(aliases[precision])
        client.update_model_version(name, made, fitting(card))
        for key, value in {**facts, "precision": precision}.items():
            client.set_model_version_tag(name, made, key, value)
    if INT8 not in aliases:
        _drop_alias(client, name, INT8)
    client.update_registered_model(name, fitting(card))
    return aliases


def signature(file: Path, candidate: Candidate) -> ModelSignature:
    """Normalised windows (B, X, T) in, probabilities out, as the file itself says."""
    shape = [dim.dim_value or -1 for dim in onnx.load(file).graph.output[0].type.tensor_type.shape.dim]
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *candidate.input_shape), INPUT)]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), tuple(shape), OUTPUT)]),
    )


def fitting(card: str) -> str:
    """The card as a description; where it is too long, as much of it as fits."""
    if len(card) <= DESCRIPTION_LENGTH:
        return card
    more = f"\n\n(the rest: {tags.CARD_FILE} of the run that this version comes from)\n"
    return card[: DESCRIPTION_LENGTH - len(more)].rpartition("\n")[0] + more


def _drop_alias(client: MlflowClient, name: str, alias: str) -> None:
    """An earlier promotion's INT8 is not this model."""
    try:
        client.delete_registered_model_alias(name, alias)
    except MlflowException:
        return  # there was none
