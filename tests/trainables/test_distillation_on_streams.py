"""Students that learn from continuous waveforms, which a teacher alone has labelled."""

from __future__ import annotations

import logging
import math
import shutil
from pathlib import Path

import pytest
import torch
from recorded import lively_teacher, write_network

from trainables import metrics, picking
from trainables.data.batches import Batch
from trainables.data.seal import Opening
from trainables.distillation import (
    DistillationConfig,
    DistillationLossConfig,
    distillation_losses,
    load_taught_by,
    preflight,
    train,
)
from trainables.export.gate import ExportConfig
from trainables.models.adapters import XiaoNetAdapter
from trainables.promotion.picker import PickerCandidate
from trainables.run import ARTIFACTS, LocalRun


@pytest.fixture(scope="module")
def lively_file(tmp_path_factory) -> Path:
    stem = tmp_path_factory.mktemp("teacher") / "lively"
    picker = lively_teacher().picker
    assert isinstance(picker, XiaoNetAdapter)
    picker.xiaonet.save(stem, version_str="1")
    return stem


@pytest.fixture(scope="module")
def streams(tmp_path_factory) -> Path:
    return write_network(tmp_path_factory.mktemp("streams"), ("ST00", "ST01"))


@pytest.fixture
def settings(tiny, streams, lively_file, tmp_path):
    data = {"streams": str(streams), "cache_dir": str(tmp_path / "cache"), "streams_threshold": 0.4}
    return tiny | {
        "data": data,
        "teacher": {"weights": str(lively_file)},
        "training": tiny["training"] | {"epochs": 2},
    }


def losses_of(labelled_BP: torch.Tensor | None, alpha: float = 0.25) -> dict[str, float]:
    torch.manual_seed(0)
    raw_BXT, student_BCT = torch.randn(3, 3, 3001) * 100, torch.randn(3, 3, 3001)
    batch = Batch(raw_BXT, raw_BXT / 300, torch.rand(3, 3, 3001).softmax(1), labelled_BP=labelled_BP)
    given = distillation_losses(student_BCT, batch, lively_teacher(), DistillationLossConfig(alpha=alpha))
    return {name: value.item() for name, value in given.items()}


def test_of_a_window_that_nobody_labelled_the_teachers_loss_is_all_there_is():
    nothing = losses_of(torch.zeros(3, 2, dtype=torch.bool))
    assert nothing[metrics.TASK_LOSS] == 0
    assert nothing[metrics.TRAIN_LOSS] == pytest.approx(nothing[metrics.DISTILL_LOSS])
    assert losses_of(torch.zeros(3, 2, dtype=torch.bool), alpha=0.9) == nothing


def test_of_a_window_with_one_phase_and_of_a_labelled_one_it_has_its_share():
    one = losses_of(torch.tensor([[True, False]] * 3))
    share = 0.25 * one[metrics.DISTILL_LOSS] + 0.75 * one[metrics.TASK_LOSS]
    assert one[metrics.TRAIN_LOSS] == pytest.approx(share)
    assert losses_of(torch.ones(3, 2, dtype=torch.bool))[metrics.TRAIN_LOSS] == losses_of(None)[metrics.TRAIN_LOSS]


def test_a_student_of_streams_alone_is_measured_exported_and_promoted_against_the_teachers_picks(settings, tmp_path):
    config = DistillationConfig.model_validate(settings | {"export": ExportConfig(max_f1_loss=1.0)})
    facts = preflight(config)
    assert facts["reference"] == "teacher's picks"
    assert facts["data_fingerprint"] == facts["streams_fingerprint"]
    run = LocalRun(tmp_path / "run")
    train(config, run)
    *epochs, final = run.reports
    assert all(report[metrics.TASK_LOSS] == 0 and report[metrics.DISTILL_LOSS] > 0 for report in epochs)
    assert math.isfinite(final[metrics.DEV_F1])
    assert metrics.INT8_F1 in final

    candidate = PickerCandidate.of(config, run.checkpoint / ARTIFACTS)
    assert candidate.test_split.endswith("held-out hours and stations")
    with pytest.raises(ValueError, match="sealed"):
        candidate.measure("test", Opening("another", 1))
    measured = candidate.measure("test", Opening(candidate.test_split, 1))
    assert measured.windows > 5
    assert measured.events > 1


def test_no_training_reads_what_is_held_out(settings, tmp_path):
    config = DistillationConfig.model_validate(settings)
    train(config, LocalRun(tmp_path / "first"))
    (held_out,) = (tmp_path / "cache").glob("streams-*/test")
    shutil.rmtree(held_out)
    train(config, LocalRun(tmp_path / "second"))


def test_beside_a_data_set_its_labels_are_dev_and_both_teach(settings, earthquakes, tmp_path, caplog):
    data = settings["data"] | {"dataset": str(earthquakes), "dev_windows_per_trace": 2}
    config = DistillationConfig.model_validate(settings | {"data": data})
    facts = preflight(config)
    assert "reference" not in facts
    assert facts["data_fingerprint"] != facts["streams_fingerprint"]
    run = LocalRun(tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        train(config, run)
    assert run.reports[0][metrics.TASK_LOSS] > 0
    assert run.reports[0][metrics.DEV_LOSS] > 0


def test_a_teacher_with_longer_windows_labels_and_teaches(settings, tmp_path):
    from seisbench.models import EQTransformer

    torch.manual_seed(0)
    EQTransformer(in_samples=6000, lstm_blocks=1).save(tmp_path / "eqt", version_str="1")
    teacher = {"weights": str(tmp_path / "eqt"), "architecture": "eqtransformer"}
    data = settings["data"] | {"streams_threshold": 0.01}
    config = DistillationConfig.model_validate(settings | {"teacher": teacher, "data": data})
    assert load_taught_by(config)
    training = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 4}
    run = LocalRun(tmp_path / "run")
    train(config.model_copy(update={"training": config.training.model_copy(update=training)}), run)
    assert math.isfinite(run.reports[0][metrics.TRAIN_LOSS])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"loss": {"alpha": 0}}, "streams have no labels"),
        ({"data": {"streams": []}}, "dataset"),
    ],
)
def test_what_would_teach_nothing_is_refused(settings, changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        DistillationConfig.model_validate(settings | changes)


def test_streams_that_cannot_be_used_are_refused_before_training(settings, tmp_path):
    data = settings["data"] | {"streams": str(write_network(tmp_path / "short", minutes=5))}
    with pytest.raises(ValueError, match="10 min of waveforms that are not dead are too short"):
        preflight(DistillationConfig.model_validate(settings | {"data": data}))


def test_picking_has_no_teacher_and_refuses_streams(settings):
    config = picking.PickingConfig.model_validate({"data": settings["data"]})
    with pytest.raises(ValueError, match=r"data\.streams: picking learns from labels, which"):
        picking.preflight(config)
