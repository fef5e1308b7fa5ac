"""Promoted models in MLflow's registry: the ONNX flavour with a signature, versions with aliases and the card."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import mlflow
import numpy as np
import onnx
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from seisweep.record import tags
from seisweep.record.mlflow_store import mlflow_asks
from trainables.export.onnx import INPUT, OUTPUT
from trainables.promotion.candidate import FP32, INT8, Candidate

CHAMPION = "champion"
"""Alias of what a user takes who does not want to choose: INT8 where the gate accepted it, else FP32."""

PRECISION = "precision"
"""Tag of a version: which of the candidate's models."""

MODELS = "models:/"
"""Begins the source of a version: then comes the id of the model that was uploaded."""

DESCRIPTION_LENGTH = 5000
"""MLflow's column holds no more."""


class Registered(NamedTuple):
    """A version of a registered model."""

    number: int
    model_id: str
    """Of the model that was uploaded."""


def register(
    client: MlflowClient,
    run: Run,
    name: str,
    candidate: Candidate,
    card: str,
    facts: Mapping[str, str],
    is_champion: bool = True,
) -> dict[str, Registered]:
    """Make every model of the candidate a version of the registered model `name`, out of the run of its promotion.

    Called again, it completes what is there. Returns what each alias stands for: fp32, int8 where there is one,
    champion. Aliases of an earlier promotion move. Another trial than the champion of the same promotion gets versions
    and no alias.
    """
    trial, called = facts[tags.TRIAL], "{}" if is_champion else f"{{}}_trial_{facts[tags.TRIAL]}"
    with suppress(MlflowException):  # it is there already, or the next call says what is wrong
        client.create_registered_model(name)
    known = versions_of(client, run, trial)
    if lacking := {precision: file for precision, file in candidate.models.items() if precision not in known}:
        logged = _logged(client, run)
        for precision, file in lacking.items():
            model = called.format(precision)
            model_id = logged.get(model) or _log(client, run, model, file, signature(file, candidate))
            with mlflow_asks(client.tracking_uri):  # a database looks for the model where the environment says
                client.create_model_version(
                    name,
                    f"{MODELS}{model_id}",
                    run.info.run_id,
                    tags={**facts, PRECISION: precision},
                    description=fitting(card),
                    await_creation_for=0,  # a server of one's own has it at once
                    model_id=model_id,
                )
        known = versions_of(client, run, trial)  # the first of each: the same may be promoted at once from two places
    aliases = {precision: known[precision] for precision in candidate.models}
    if not is_champion:
        return aliases
    aliases[CHAMPION] = aliases.get(INT8, aliases[FP32])
    for alias, made in aliases.items():
        client.set_registered_model_alias(name, alias, str(made.number))
    if INT8 not in aliases:
        _drop_alias(client, name, INT8)
    client.update_registered_model(name, fitting(card))
    return aliases


def versions_of(client: MlflowClient, run: Run, trial: str) -> dict[str, Registered]:
    """Versions that a promotion has registered of a trial, by precision; what stands twice goes."""
    found: dict[str, Registered] = {}
    of_trial = (one for one in _versions(client, run) if one.tags.get(tags.TRIAL) == trial)
    for one in sorted(of_trial, key=lambda one: int(one.version)):
        precision = one.tags.get(PRECISION, "")
        if precision in found:
            client.delete_model_version(one.name, one.version)
        else:
            found[precision] = Registered(int(one.version), (one.source or "").removeprefix(MODELS))
    return found


def without_scores(client: MlflowClient, run: Run, models: Mapping[str, Registered]) -> dict[str, str]:
    """Ids of the models, by precision, that have no scores yet: told of a model twice, MLflow fails."""
    ids = {precision: one.model_id for precision, one in models.items() if precision != CHAMPION and one.model_id}
    if not run.data.metrics:
        return ids
    return {precision: one for precision, one in ids.items() if not client.get_logged_model(one).metrics}


def is_registered(client: MlflowClient, run: Run) -> bool:
    """Whether a promotion has registered anything in this store."""
    return bool(_versions(client, run))


def _versions(client: MlflowClient, run: Run) -> list[ModelVersion]:
    return list(client.search_model_versions(f"run_id = '{run.info.run_id}'"))


def _logged(client: MlflowClient, run: Run) -> dict[str, str]:
    """Models that an interrupted promotion has uploaded whole, by name; what is not whole goes."""
    found = {}
    for model in client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"):
        if model.status == LoggedModelStatus.READY:
            found[model.name] = model.model_id
        else:
            client.delete_logged_model(model.model_id)
    return found


def _log(client: MlflowClient, run: Run, called: str, file: Path, described: ModelSignature) -> str:
    """Upload a model in MLflow's ONNX flavour; returns its id.

    Not by `mlflow.onnx.log_model`, which asks a server for every metric of the run, one by one, for each model.
    """
    model = client.create_logged_model(run.info.experiment_id, called, run.info.run_id)
    flavoured = Model(
        artifact_path=model.artifact_location,
        model_uuid=model.model_id,
        run_id=run.info.run_id,
        model_id=model.model_id,
    )
    packages = [f"{package}=={version(package)}" for package in ("mlflow", "onnx", "onnxruntime", "numpy")]
    with tempfile.TemporaryDirectory(prefix="seisweep-promotion-") as folder:
        mlflow.onnx.save_model(
            onnx.load(file),
            f"{folder}/model",
            mlflow_model=flavoured,
            signature=described,
            pip_requirements=packages,
            save_as_external_data=False,
        )
        client.log_model_artifacts(model.model_id, f"{folder}/model")
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    client.finalize_logged_model(model.model_id, "READY")
    return model.model_id


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
