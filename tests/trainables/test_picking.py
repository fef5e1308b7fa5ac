from __future__ import annotations

import pytest
import torch
from seisbench.models import PhaseNet

from trainables import metrics
from trainables.models.weights import load_weights, weights_digest
from trainables.picking import PickingConfig, build_picker, preflight, train
from trainables.run import LocalRun


@pytest.fixture
def settings(tiny):
    tiny.pop("teacher")
    return tiny


@pytest.mark.parametrize("architecture", ["phasenet", "xiaonet"])
def test_trains_either_architecture_on_labels(settings, tmp_path, architecture):
    run = LocalRun(tmp_path)
    train(PickingConfig.model_validate(settings | {"model": {"architecture": architecture}}), run)
    losses = [report[metrics.TRAIN_LOSS] for report in run.reports[:-1]]
    assert losses[-1] < losses[0]
    assert run.reports[-1][metrics.FINAL] == 1
    assert metrics.DISTILL_LOSS not in run.reports[0]
    assert run.reports[0][metrics.PARAMETERS] == {"phasenet": 268_443, "xiaonet": 10_731}[architecture]


def test_a_trained_phasenet_can_be_the_teacher_of_a_distillation(settings, tmp_path):
    run = LocalRun(tmp_path)
    train(PickingConfig.model_validate(settings | {"export": {"enabled": True}}), run)
    teacher = load_weights(PhaseNet, str(run.checkpoint / "artifacts" / "phasenet"))
    assert list(teacher.labels) == list("PSN")
    assert teacher.component_order == "ENZ"


def test_transfer_starts_from_the_weights(settings, teacher_file):
    settings["model"] = {"architecture": "phasenet", "pretrained": str(teacher_file)}
    adapter = build_picker(PickingConfig.model_validate(settings))
    assert weights_digest(adapter.phasenet) == weights_digest(PhaseNet.load(teacher_file, version_str="1"))
    assert all(parameter.requires_grad for parameter in adapter.parameters())


def test_preflight_refuses_weights_of_another_architecture(settings, teacher_file):
    settings["model"] = {"architecture": "xiaonet", "pretrained": str(teacher_file)}
    with pytest.raises(ValueError, match=r"^model\.pretrained=.*not the weights of a XiaoNet"):
        preflight(PickingConfig.model_validate(settings))


def test_same_seed_same_losses(settings, tmp_path):
    config = PickingConfig.model_validate(settings | {"seed": 3})
    first, second = LocalRun(tmp_path / "a"), LocalRun(tmp_path / "b")
    train(config, first)
    torch.manual_seed(999)
    train(config, second)
    assert [r[metrics.DEV_LOSS] for r in first.reports] == [r[metrics.DEV_LOSS] for r in second.reports]
