from __future__ import annotations

import json

import pandas as pd
import pytest
import torch
from gloo_workers import train_together
from public_checkpoint import lightning

from trainables import finetuning, metrics, pretraining
from trainables.data.sequence_batches import SequenceData
from trainables.data.synthetic_sequence import write_synthetic_sequence
from trainables.evaluation.counts import read_counts
from trainables.finetuning import FinetuningConfig
from trainables.models.classifier import HeadConfig
from trainables.models.pretrained import WEIGHTS
from trainables.models.representation import Representation
from trainables.models.representation_config import RepresentationConfig
from trainables.pretraining import PretrainingConfig
from trainables.run import ARTIFACTS, LocalRun

TINY = {
    "d_model": 8,
    "n_layers": 1,
    "num_heads": 2,
    "conv_width": 8,
    "conv_layers": 4,
    "qkv_proj_blocksize": 2,
}


class KilledError(Exception):
    pass


class StoppingRun(LocalRun):
    """Dies after the report of one epoch, as a killed process does."""

    last_epoch: int = 10**9

    def report(self, reported, checkpoint=None):
        super().report(reported, checkpoint)
        if reported[metrics.EPOCH] >= self.last_epoch:
            raise KilledError


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequence") / "nrca"
    write_synthetic_sequence(folder, num_events=200)
    return folder


@pytest.fixture(scope="module")
def pretrained(earthquakes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    pretraining.train(pretraining_config(earthquakes, folder), LocalRun(folder / "run"))
    return folder / "run" / "checkpoint"


def pretraining_config(dataset, folder, **training):
    return PretrainingConfig.model_validate(
        {
            "data": {"dataset": str(dataset), "window_samples": 2048, "cache_dir": str(folder / "cache")},
            "model": TINY,
            "contrast": {"groups": 2, "codes": 16, "code_width": 16, "negatives": 10, "mask_length": 4},
            "training": {"epochs": 3, "batch_size": 4, "limit_train_batches": 4} | training,
        }
    )


def finetuning_config(sequence, pretrained=None, schedule="full", **training):
    return FinetuningConfig.model_validate(
        {
            "data": {"dataset": str(sequence), "num_classes": 2},
            "model": TINY | {"pretrained": str(pretrained) if pretrained else None},
            "freezing": {"schedule": schedule, "unfreeze_at_epoch": 3},
            "training": {"epochs": 4, "batch_size": 8, "limit_train_batches": 2, "precision": "fp32"} | training,
        }
    )


def losses(run):
    return [
        (report[metrics.EPOCH], report.get(metrics.TRAIN_LOSS, 0.0), report[metrics.DEV_LOSS]) for report in run.reports
    ]


def interrupted(train, config, folder, after_epoch):
    first = StoppingRun(folder)
    first.last_epoch = after_epoch
    with pytest.raises(KilledError):
        train(config, first)
    second = LocalRun(folder)
    train(config, second)
    return losses(first) + losses(second)


def test_pretraining_leaves_an_encoder_and_reports_what_it_found(pretrained, tmp_path):
    assert (pretrained / ARTIFACTS / WEIGHTS).exists()
    assert (pretrained / ARTIFACTS / "training_history.png").exists()
    last = json.loads((pretrained / "history.json").read_text())[-1]
    assert 0 <= last[metrics.DEV_ACCURACY] <= 1
    assert 1 <= last["dev/perplexity"] <= 32
    assert last[metrics.TRAIN_LOSS] == pytest.approx(
        last[metrics.CONTRASTIVE_LOSS] + 0.1 * last[metrics.DIVERSITY_LOSS], rel=1e-3
    )


def test_interrupted_pretraining_equals_uninterrupted(earthquakes, tmp_path):
    config = pretraining_config(earthquakes, tmp_path)
    whole = LocalRun(tmp_path / "whole")
    pretraining.train(config, whole)
    assert interrupted(pretraining.train, config, tmp_path / "parts", after_epoch=2) == losses(whole)


@pytest.mark.parametrize("after_epoch", [1, 3])
def test_interrupted_progressive_tuning_equals_uninterrupted(sequence, pretrained, tmp_path, after_epoch):
    config = finetuning_config(sequence, pretrained, "progressive")
    whole = LocalRun(tmp_path / "whole")
    finetuning.train(config, whole)
    assert interrupted(finetuning.train, config, tmp_path / "parts", after_epoch) == losses(whole)


def assert_same_reports(found, expected):
    """Within rounding, all but times."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {metrics.EPOCH_TIME_S}:
            assert one[name] == pytest.approx(other[name], rel=2e-4, abs=1e-6), (one[metrics.EPOCH], name)


@pytest.mark.integration
@pytest.mark.parametrize("schedule", ["frozen", "progressive"])
def test_two_workers_tune_like_one_with_the_joint_batch(sequence, pretrained, tmp_path, schedule):
    """No dropout, group normalisation. The dev split is odd: the workers' parts differ, and each window counts once."""
    config = finetuning_config(sequence, pretrained, schedule, l2_to_pretrained=0.01)
    config = config.model_copy(update={"head": HeadConfig(dropout=0.0)})
    assert len(SequenceData.open(config.data, torch.device("cpu")).dev) % 2
    one = LocalRun(tmp_path / "one")
    finetuning.train(config, one)
    assert_same_reports(train_together(finetuning.train, config, tmp_path / "two"), one.reports)


@pytest.mark.integration
def test_two_workers_pretrain_like_one_with_the_joint_batch(earthquakes, tmp_path):
    config = pretraining_config(earthquakes, tmp_path, precision="fp32", accumulation=2)
    one = LocalRun(tmp_path / "one")
    pretraining.train(config, one)
    assert_same_reports(train_together(pretraining.train, config, tmp_path / "two"), one.reports)


def test_a_tuned_classifier_leaves_confusion_maps_and_weights(sequence, pretrained, tmp_path):
    run = LocalRun(tmp_path)
    finetuning.train(finetuning_config(sequence, pretrained), run)
    artifacts = run.checkpoint / ARTIFACTS
    assert {file.name for file in artifacts.iterdir()} == {
        "activation_maps.png",
        "classifier.pt",
        "confusion_matrix.csv",
        "confusion_matrix.png",
        "event_counts.json",
        "training_history.png",
    }
    table = pd.read_csv(artifacts / "confusion_matrix.csv", index_col=0)
    final = run.reports[-1]
    assert final[metrics.FINAL] == 1
    assert table.to_numpy().trace() / table.to_numpy().sum() == pytest.approx(final[metrics.DEV_ACCURACY])
    counts = read_counts(artifacts / "event_counts.json")["dev"]
    assert counts.f1() == pytest.approx(final[metrics.DEV_MACRO_F1])
    assert counts.pooled().f1() == pytest.approx(final[metrics.DEV_ACCURACY])
    assert final["dev/accuracy_low"] < final[metrics.DEV_ACCURACY] < final["dev/accuracy_high"]
    tags = json.loads((run.checkpoint / "tags.json").read_text())
    assert tags["schedule"] == "full"
    assert tags["pretrained"].startswith("loaded ")


def test_a_public_checkpoint_is_tuned_like_the_same_weights_of_ours(sequence, pretrained, tmp_path):
    ours = Representation(RepresentationConfig.model_validate(TINY))
    ours.load_state_dict(torch.load(pretrained / ARTIFACTS / WEIGHTS, weights_only=True)["state_dict"])
    torch.save(lightning(ours), tmp_path / "public.ckpt")
    runs = LocalRun(tmp_path / "public"), LocalRun(tmp_path / "ours")
    for run, weights in zip(runs, (tmp_path / "public.ckpt", pretrained), strict=True):
        finetuning.train(finetuning_config(sequence, weights), run)
    assert len(losses(runs[0])) == 5, "four epochs and the final report"
    assert losses(runs[0]) == losses(runs[1])
    tags = json.loads((runs[0].checkpoint / "tags.json").read_text())
    assert "trained on ZNE and brought to ENZ" in tags["pretrained"]


def test_kept_tokens_change_no_number(sequence, pretrained, tmp_path, monkeypatch):
    config = finetuning_config(sequence, pretrained, "frozen")
    kept, computed = LocalRun(tmp_path / "kept"), LocalRun(tmp_path / "computed")
    finetuning.train(config, kept)
    monkeypatch.setattr("trainables.training.classification.MAX_KEPT_BYTES", 0)
    finetuning.train(config, computed)
    for one, other in zip(losses(kept), losses(computed), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_the_pull_to_the_pretrained_weights_holds_them_back(sequence, pretrained, tmp_path):
    def distance(pull):
        folder = tmp_path / str(pull)
        finetuning.train(
            finetuning_config(sequence, pretrained, l2_to_pretrained=pull, learning_rate=0.01), LocalRun(folder)
        )
        tuned = torch.load(folder / "checkpoint" / "state.pt", weights_only=True)["model"]
        start = torch.load(pretrained / ARTIFACTS / WEIGHTS, weights_only=True)["state_dict"]
        return sum((tuned[name] - start[name]).square().sum().item() for name in start)

    assert distance(10.0) < 0.5 * distance(0.0)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"freezing": {"schedule": "frozen"}}, "freezing.schedule=frozen without pretrained weights"),
        ({"model": {"start": "pretrained"}}, "start=pretrained needs pretrained weights"),
        (
            {"freezing": {"schedule": "frozen"}, "model": {"start": "random", "pretrained": "x"}},
            "would freeze random ones",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(sequence, changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        FinetuningConfig.model_validate({"data": {"dataset": str(sequence)}} | changes)


def test_weights_of_another_size_are_refused_before_any_work(sequence, pretrained):
    config = finetuning_config(sequence, pretrained)
    config = config.model_copy(update={"model": config.model.model_copy(update={"d_model": 16})})
    with pytest.raises(ValueError, match=r"^model\.pretrained=.*another architecture"):
        finetuning.preflight(config)
