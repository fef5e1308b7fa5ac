"""Files arrive in MLflow, or it is known that they did not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from seisweep.record import mlflow_answers
from seisweep.record.mlflow_answers import NoAnswerError, RefusedError
from seisweep.record.mlflow_files import upload, upload_json


class Server:
    """A store that takes files over HTTP, behind a proxy that swallows some."""

    tracking_uri = "http://server"

    def __init__(self, swallows: dict[str, int], refuses: str = "") -> None:
        self.files: dict[str, bytes] = {}
        self.swallows, self.refuses, self.puts = swallows, refuses, 0

    def log_artifact(self, run_id: str, file: str, place: str | None) -> None:
        self.puts += 1
        name = f"{place}/{Path(file).name}" if place else Path(file).name
        if name == self.refuses:
            raise MlflowException(f"no {name}", INVALID_PARAMETER_VALUE)
        if self.swallows.get(name, 0) > 0:
            self.swallows[name] -= 1
            return
        self.files[name] = Path(file).read_bytes()

    def list_artifacts(self, run_id: str, place: str | None) -> list[FileInfo]:
        here = [name for name in self.files if name.rpartition("/")[0] == (place or "")]
        return [FileInfo(name, False, len(self.files[name])) for name in here]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_answers, "PAUSES_S", ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files" / "deep").mkdir(parents=True)
    (tmp_path / "files" / "model.onnx").write_text("weights")
    (tmp_path / "files" / "deep" / "table.csv").write_text("a,b")
    return tmp_path / "files"


def test_a_file_that_a_login_page_swallowed_is_sent_again(folder):
    server = Server({"model.onnx": 1, "deep/table.csv": 2})
    assert upload(server, "run", folder) == []
    assert server.files == {"model.onnx": b"weights", "deep/table.csv": b"a,b"}
    assert server.puts == 5, "what is there is not sent again"


def test_a_file_that_never_arrives_is_no_answer(folder):
    with pytest.raises(NoAnswerError, match=r"deep/table\.csv was sent 3 times and is not there"):
        upload(Server({"deep/table.csv": 99}), "run", folder)


def test_a_refused_file_keeps_no_other_back(folder):
    server = Server({}, refuses="conditions/model.onnx")
    assert upload(server, "run", folder, into="conditions") == [("conditions/model.onnx", "no conditions/model.onnx")]
    assert list(server.files) == ["conditions/deep/table.csv"]


def test_data_as_a_file():
    server = Server({"config.json": 1})
    upload_json(server, "run", {"path": Path("a"), "odd": "\ud800"}, "config.json")
    assert json.loads(server.files["config.json"]) == {"path": "a", "odd": "\ud800"}
    with pytest.raises(RefusedError, match=r"no config\.json"):
        upload_json(Server({}, refuses="config.json"), "run", {}, "config.json")
