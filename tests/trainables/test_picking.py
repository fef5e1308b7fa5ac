from __future__ import annotations

import pytest
import torch
from seisbench.models import PhaseNet

from trainables import metrics
from trainables.models.weights import load_weights, weights_digest
from trainables.picking import PickingConfig, build_picker, preflight, train
from trainables.run import LocalRun, read_tags


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


@pytest.mark.parametrize(
    ("model", "window_samples"),
    [
        ({"architecture": "phasenetlight"}, 3001),
        ({"architecture": "eqtransformer", "arguments": {"in_samples": 768, "lstm_blocks": 1}}, 768),
        ({"architecture": "own_networks:Small", "arguments": {"width": 4}}, 512),
        ({"architecture": "own_networks:Curves"}, 512),
    ],
)
def test_trains_any_network_on_windows_of_its_length(settings, tmp_path, model, window_samples):
    config = PickingConfig.model_validate(settings | {"model": model})
    train(config, run := LocalRun(tmp_path))
    *epochs, final = run.reports
    assert epochs[-1][metrics.TRAIN_LOSS] < epochs[0][metrics.TRAIN_LOSS]
    assert final[metrics.FINAL] == 1
    assert final[metrics.MACS] > 0
    assert build_picker(config).interface.window_samples == window_samples


def test_a_network_of_ones_own_is_tried_before_it_is_trained(settings):
    with pytest.raises(ValueError, match=r"^model\.architecture=own_networks:Short: answers \(2, 3, 127\) to windows"):
        preflight(PickingConfig.model_validate(settings | {"model": {"architecture": "own_networks:Short"}}))


def test_what_cannot_be_exported_is_said_before_training_and_trained_all_the_same(settings, tmp_path, capfd):
    model = {"model": {"architecture": "own_networks:NoConvolution"}, "export": {"calibration_windows": 8}}
    config = PickingConfig.model_validate(settings | model)
    line = "model.architecture=own_networks:NoConvolution: there is no INT8 file of it (it has no convolution, and"
    assert preflight(config)["not_possible"].startswith(line)
    assert capfd.readouterr().err.startswith(line)
    train(config, run := LocalRun(tmp_path))
    assert read_tags(run.checkpoint)["gate"].startswith("refused: there is no INT8 file of it")
    assert run.reports[-1][metrics.FP32_F1] == pytest.approx(run.reports[-1][metrics.DEV_F1], abs=0.02)
    assert not list((run.checkpoint / "artifacts").glob("*int8*"))
    again = settings | {"model": {"architecture": "own_networks:NoConvolution"}}
    again["model"]["pretrained"] = str(run.checkpoint / "artifacts")
    assert build_picker(PickingConfig.model_validate(again)).own.head.weight.shape == (3, 3)


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


def test_records_with_p_alone_train_a_picker_that_is_scored_on_p(shared_data, tmp_path):
    settings = {
        "data": {"dataset": str(shared_data / "real_data/nc_deepdenoiser_p_only"), "cache_dir": tmp_path / "stores"},
        "model": {"architecture": "xiaonet"},
        "student": {"base_channels": 4, "pooling": 4},
        "training": {"epochs": 1, "steps_per_epoch": 3, "batch_size": 8},
    }
    config = PickingConfig.model_validate(settings)
    assert "S is not labelled in 88 of 88 traces" in preflight(config)["data_notice"]
    train(config, run := LocalRun(tmp_path / "run"))
    final = run.reports[-1]
    assert final["dev/f1"] == final["dev/p_f1"]
    assert "dev/s_f1" not in final
    assert final["int8/f1"] == final["int8/p_f1"]
