"""The picker or classifier of a finished trial as a model of MLflow, in its ONNX flavour: the page of models has it.

`models:/ID` of it loads by `mlflow.onnx` or `mlflow.pyfunc`; the files of the trial stay where they are. Nothing is
imported for it that a driver has not imported, and the file is read as bytes.
"""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from mlflow import pyfunc
from mlflow.entities import DatasetInput, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from seisweep.record.mlflow_answers import ask
from trainables.export.files import FP32_FILE, INT8_FILE

MODEL_FILE, REQUIREMENTS, ENVIRONMENT = "model.onnx", "requirements.txt", "python_env.yaml"
PROVIDERS = ["CPUExecutionProvider"]
PACKAGES = ("mlflow", "onnx", "onnxruntime", "numpy")
PRECISION = "precision"


def model_file(folder: Path) -> Path | None:
    """What a trial has left to ship: INT8 where the gate accepted it, else FP32; None of a trial without either."""
    return next((file for name in (INT8_FILE, FP32_FILE) if (file := folder / name).is_file()), None)


def log_model(
    client: MlflowClient,
    run: Run,
    name: str,
    file: Path,
    scores: Sequence[str],
    data: Sequence[DatasetInput] = (),
) -> None:
    """A model of the run, once: one that is there whole stays, one that was begun is made anew.

    `scores`: metrics of the run that are the model's too, on `data`. Raises NoAnswerError or RefusedError.
    """
    info = run.info
    for known in ask(partial(client.search_logged_models, [info.experiment_id], f"source_run_id = '{info.run_id}'")):
        if known.status == LoggedModelStatus.READY:
            return
        ask(partial(client.delete_logged_model, known.model_id))
    facts = {PRECISION: "int8" if file.name == INT8_FILE else "fp32"}
    params = dict(run.data.params)
    create = partial(client.create_logged_model, info.experiment_id, _allowed(name), info.run_id, facts, params)
    model_id = (made := ask(create, pauses_s=())).model_id
    with tempfile.TemporaryDirectory(prefix="seisweep-model-") as folder:
        _write(Path(folder), file, Model(artifact_path=made.artifact_location, model_id=model_id, run_id=info.run_id))
        ask(partial(client.log_model_artifacts, model_id, folder))
    ask(partial(client.log_outputs, info.run_id, [LoggedModelOutput(model_id, step=0)]))
    if points := list(_points(client, run, scores, model_id, data)):
        ask(partial(client.log_batch, info.run_id, metrics=points))
    ask(partial(client.finalize_logged_model, model_id, LoggedModelStatus.READY))


def _points(
    client: MlflowClient, run: Run, scores: Sequence[str], model_id: str, data: Sequence[DatasetInput]
) -> Iterator[Metric]:
    """The run's last values once more, as they are there: in the run they stay one."""
    on = data[0].dataset if len(data) == 1 else None
    for name in scores:
        if name in run.data.metrics:
            last = ask(partial(client.get_metric_history, run.info.run_id, name))[-1]
            yield Metric(
                name,
                last.value,
                last.timestamp,
                last.step,
                model_id=model_id,
                dataset_name=on.name if on else None,
                dataset_digest=on.digest if on else None,
                run_id=run.info.run_id,
            )


def _write(folder: Path, file: Path, described: Model) -> None:
    """What `mlflow.onnx.save_model` writes, without reading the network."""
    shutil.copyfile(file, folder / MODEL_FILE)
    (folder / REQUIREMENTS).write_text("".join(f"{name}=={version(name)}\n" for name in PACKAGES))
    (folder / ENVIRONMENT).write_text(
        f"python: {platform.python_version()}\nbuild_dependencies:\n- pip\ndependencies:\n- -r {REQUIREMENTS}\n"
    )
    pyfunc.add_to_model(described, loader_module="mlflow.onnx", data=MODEL_FILE, python_env=ENVIRONMENT)
    described.add_flavor(
        "onnx", onnx_version=version("onnx"), data=MODEL_FILE, providers=PROVIDERS, onnx_session_options=None
    )
    described.save(str(folder / "MLmodel"))


def _allowed(name: str) -> str:
    """A name as MLflow takes it for a model."""
    return re.sub(r"[/:.%\"']", "_", name)
