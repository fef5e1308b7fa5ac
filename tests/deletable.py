"""A home whose sweeps are deleted, and what is left of them."""

from __future__ import annotations

import pytest
from archived import contents
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.private.mlflow import SHARED_VIEW
from seisweep.settings.home import Home


def deletable(source: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with `many-1`, one of whose trials has a model, and two other sweeps."""
    monkeypatch.setenv("SEISWEEP_HOME", str(source.root))
    monkeypatch.setattr("seisweep.commands.delete.can_ask", lambda: True)
    loaded = results.load("many-1", source.mlflow_uri)
    client = MlflowClient(source.mlflow_uri)
    made = client.create_logged_model(loaded.parent.info.experiment_id, "many-1-000", loaded.run(0).info.run_id)
    (file := source.root / "model.onnx").write_text("a model")
    client.log_model_artifacts(made.model_id, str(file.parent / "sweeps" / "none-1"))
    file.unlink()
    client.finalize_logged_model(made.model_id, "READY")
    return source


def answers(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setattr("seisweep.commands.delete.ask", lambda question: word)


def traces(home: Home, name: str = "many-1") -> list[str]:
    """Everything that is left of a sweep: files, runs in the bin too, models."""
    client = MlflowClient(home.mlflow_uri)
    experiments = [one.experiment_id for one in client.search_experiments(ViewType.ALL)]
    runs = client.search_runs(experiments, f"tags.sweep = '{name}'", ViewType.ALL)
    models = [model.name for model in client.search_logged_models(experiments) if model.name.startswith(name)]
    views = [
        tag for one in client.search_experiments(ViewType.ALL) for tag in one.tags if tag == f"{SHARED_VIEW}{name}"
    ]
    files = [str(file) for file in home.sweeps_dir.glob(f"*{name}*")]
    return [*(run.info.run_id for run in runs), *models, *views, *files]


def everything(home: Home) -> dict[str, bytes]:
    return {name: content for name, content in contents(home.root).items() if "mlflow." not in name}
