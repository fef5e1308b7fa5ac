from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lifelike import picker, windows
from seisbench.models import PhaseNet

from trainables import metrics
from trainables.data.batches import DevWindows
from trainables.data.config import DataConfig
from trainables.data.windows import open_store
from trainables.edge.network import load_onnx
from trainables.evaluation.picks import PickConfig
from trainables.export import artifacts, own
from trainables.export.artifacts import export_picker, torch_picker
from trainables.export.gate import ExportConfig
from trainables.export.onnx import OnnxPicker
from trainables.models.adapters import PhaseNetAdapter
from trainables.models.teacher import load_phasenet
from trainables.models.weights import load_weights, weights_digest
from trainables.models.xiaonet import XiaoNet

PNG = b"\x89PNG\r\n"
HISTORY = [
    {"train/loss": 1.0 / epoch, "train/task_loss": 0.8 / epoch, "dev/loss": 0.9 / epoch, "dev/f1": 0.1 * epoch}
    for epoch in (1, 2, 3)
]


@pytest.fixture
def dev(tiny) -> DevWindows:
    config = DataConfig.model_validate(tiny["data"])
    return DevWindows(open_store(config, "dev"), config)


def export(model, dev: DevWindows, folder: Path, latency_ratio: float | None = None, **settings: float):
    return export_picker(
        model,
        calibration_NXT=windows(8),
        dev=dev,
        thresholds={"P": 0.3, "S": 0.25},
        history=HISTORY,
        picks=PickConfig(),
        config=ExportConfig(**settings),
        folder=folder,
        docstring="a test",
        best_epoch=3,
        latency_ratio=latency_ratio,
    )


@pytest.mark.parametrize("max_f1_loss", [1.0, 0.0])
def test_the_names_of_the_document_on_request(dev, tmp_path, max_f1_loss, monkeypatch):
    if not max_f1_loss:
        monkeypatch.setattr(artifacts, "int8_conv_share", lambda file: 0.0)  # the gate refuses it
    model = picker()
    export(model, dev, tmp_path / "artifacts", max_f1_loss=max_f1_loss, document_names=True)
    files = {file.name: file for file in (tmp_path / "artifacts").iterdir()}
    for name in ("checkpoint.pt", "best_model.pth", "final_model.pth", "saved_model_fp32.pth"):
        again = load_weights(XiaoNet, str(files[name]))
        assert weights_digest(again) == weights_digest(model)
        assert (again.pooling, again.default_args["S_threshold"]) == (model.pooling, 0.25)
    if max_f1_loss:
        assert files["saved_model_int8.pth"].read_bytes() == files["model_int8.onnx"].read_bytes()
    else:
        assert "saved_model_int8.pth" not in files, "refused"


def test_a_student_leaves_both_files_the_pair_and_figures(dev, tmp_path):
    exported = export(picker(), dev, tmp_path / "artifacts", latency_ratio=1.5, max_f1_loss=1.0)
    files = {file.name: file for file in (tmp_path / "artifacts").iterdir()}
    assert not any(name.endswith((".pth", ".pt")) for name in files), "the names of the document, unasked"
    assert {"model_fp32.onnx", "model_int8.onnx", "xiaonet.json.v1", "xiaonet.pt.v1"} <= set(files)
    figures = [file for name, file in files.items() if name.endswith(".png")]
    assert {figure.name for figure in figures} == {
        "training_history.png",
        "residuals.png",
        "reliability.png",
        "example_picks.png",
    }
    assert all(figure.read_bytes().startswith(PNG) for figure in figures)
    assert exported.metrics[metrics.INT8_ACCEPTED] == 1
    assert exported.tags["gate"].startswith("accepted, slower: ")
    assert exported.tags[metrics.INT8_VERDICT] == "accepted, slower"
    assert "95 % interval" in exported.tags["gate"]
    low, high = (exported.metrics[name] for name in metrics.interval(metrics.INT8_F1_LOSS))
    assert low <= exported.metrics[metrics.INT8_F1_LOSS] <= high
    assert exported.metrics[metrics.INT8_BYTES] == files["model_int8.onnx"].stat().st_size
    for name in ("fp32", "int8"):
        stored = load_onnx(files[f"model_{name}.onnx"]).residual_std_s
        found = {phase: exported.metrics.get(f"{name}/{phase.lower()}_residual_std_s") for phase in stored}
        assert stored == pytest.approx(found, rel=1e-3)
        assert stored
    again = XiaoNet.load(tmp_path / "artifacts" / "xiaonet", version_str="1")
    assert again.default_args == {"P_threshold": 0.3, "S_threshold": 0.25}
    assert again.weights_docstring == "a test"


def test_a_refused_file_does_not_keep_its_name(dev, tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "int8_conv_share", lambda path: 0.0)
    exported = export(picker(), dev, tmp_path / "artifacts", max_f1_loss=1.0)
    assert exported.metrics[metrics.INT8_ACCEPTED] == 0
    assert exported.tags["gate"] == "refused: No convolution runs in INT8."
    assert not (tmp_path / "artifacts" / "model_int8.onnx").exists()
    assert (tmp_path / "artifacts" / "model_int8_refused.onnx").exists()


def test_a_teacher_leaves_both_files_and_the_pair(dev, tmp_path, teacher_file):
    adapter = PhaseNetAdapter(load_phasenet(str(teacher_file), "teacher.weights"))
    exported = export(adapter, dev, tmp_path / "artifacts", max_f1_loss=1.0)
    assert exported.metrics[metrics.INT8_SIZE_RATIO] > 3
    picker = OnnxPicker(tmp_path / "artifacts" / "model_fp32.onnx")
    assert picker.metadata["normalisation_steps"] == "demean std"
    (batch, _), *_ = dev.batches(4)
    np.testing.assert_allclose(picker.of_batch(batch), torch_picker(adapter)(batch), atol=1e-4)
    again = PhaseNet.load(tmp_path / "artifacts" / "phasenet", version_str="1")
    np.testing.assert_array_equal(again.out.weight.detach().numpy(), adapter.phasenet.out.weight.detach().numpy())


def test_a_failing_export_leaves_nothing_that_looks_finished(dev, tmp_path, monkeypatch):
    def fail(*args: object) -> None:
        raise RuntimeError("no quantizer")

    monkeypatch.setattr(own, "quantize_picker", fail)
    with pytest.raises(RuntimeError, match="no quantizer"):
        export(picker(), dev, tmp_path / "artifacts")
    assert not (tmp_path / "artifacts").exists()
