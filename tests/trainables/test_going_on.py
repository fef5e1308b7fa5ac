"""A student goes on from the weights of an earlier one, and a freezing schedule says what of it may change."""

from __future__ import annotations

import logging

import pytest
import torch

from trainables import metrics
from trainables.distillation import DistillationConfig, build_taught, preflight, train
from trainables.models.xiaonet import XiaoNet
from trainables.run import LocalRun, read_tags
from trainables.training.state import STATE


@pytest.fixture
def earlier(tmp_path) -> XiaoNet:
    torch.manual_seed(7)
    network = XiaoNet(base_channels=4, pooling=4)
    network.save(tmp_path / "earlier", version_str="1")
    return network


@pytest.fixture
def settings(tiny, earlier, tmp_path):
    """Of a student that goes on; `settings(schedule="frozen")`."""

    def of(**freezing):
        student = tiny["student"] | {"pretrained": str(tmp_path / "earlier")}
        return DistillationConfig.model_validate(tiny | {"student": student, "freezing": freezing})

    return of


class Watched(LocalRun):
    """Keeps the weights after the last epoch, before the best ones are restored."""

    def report(self, values, checkpoint=None):
        super().report(values, checkpoint)
        if not values[metrics.FINAL]:
            self.weights = torch.load(checkpoint / STATE, weights_only=True)["model"]


def moved(earlier: XiaoNet, run: Watched) -> set[str]:
    """Parts of which some parameter is another one than it was."""
    before = earlier.named_parameters()
    return {name.partition(".")[0] for name, one in before if not torch.equal(one, run.weights[name])}


def test_what_was_loaded_is_logged_and_a_tag_and_the_file_a_fact(settings, tmp_path, caplog):
    caplog.set_level(logging.INFO, "trainables")
    run = LocalRun(tmp_path / "run")
    train(settings(), run)
    said = read_tags(run.checkpoint)["pretrained"]
    file = tmp_path / "earlier.pt.v1"
    count = len(build_taught(settings()).state_dict())
    assert said == f"loaded {count} tensors from {file}\nkept fresh 0: none\nleft over 0: none"
    assert said in caplog.text
    assert preflight(settings())["pretrained"] == str(file)


def test_fresh_weights_are_those_of_the_seed_as_before(tiny, settings, tmp_path):
    runs = [LocalRun(tmp_path / name) for name in ("fresh", "goes on")]
    for run, config in zip(runs, (DistillationConfig.model_validate(tiny), settings()), strict=True):
        train(config, run)
    fresh, goes_on = (run.reports[0][metrics.TRAIN_LOSS] for run in runs)
    assert fresh != goes_on
    assert "pretrained" not in read_tags(runs[0].checkpoint)


@pytest.mark.parametrize(
    ("freezing", "expected"),
    [
        ({}, {"encoder", "bottleneck", "decoder", "head"}),
        ({"schedule": "encoder"}, {"bottleneck", "decoder", "head"}),
        ({"schedule": "frozen"}, {"head"}),
        ({"schedule": "progressive", "unfreeze_at_epoch": 4}, {"head"}),
        ({"schedule": "progressive", "unfreeze_at_epoch": 3}, {"encoder", "bottleneck", "decoder", "head"}),
    ],
)
def test_a_schedule_says_what_of_it_changes(settings, earlier, tmp_path, freezing, expected):
    run = Watched(tmp_path / "run")
    train(settings(**freezing), run)
    assert moved(earlier, run) == expected


def test_what_is_unfrozen_learns_at_its_own_rate(settings, earlier, tmp_path):
    distance = {}
    for factor in (0.01, 1.0):
        run = Watched(tmp_path / f"{factor:g}")
        train(settings(schedule="progressive", unfreeze_at_epoch=2, unfrozen_lr_mult=factor), run)
        now = run.weights["encoder.0.0.weight"]
        distance[factor] = (now - earlier.encoder[0][0].weight).norm().item()
    assert 0 < distance[0.01] < 0.1 * distance[1.0]


@pytest.mark.parametrize("schedule", ["frozen", "encoder", "progressive"])
def test_random_weights_do_not_rest(tiny, schedule):
    with pytest.raises(
        ValueError, match=f"freezing.schedule={schedule} without student.pretrained: random weights would be frozen"
    ):
        DistillationConfig.model_validate(tiny | {"freezing": {"schedule": schedule}})


@pytest.mark.parametrize(("schedule", "may"), [("full", True), ("encoder", True), ("frozen", False)])
def test_a_context_that_is_new_does_not_rest(tiny, settings, tmp_path, schedule, may):
    student = tiny["student"] | {"pretrained": str(tmp_path / "earlier"), "context": "wide"}
    config = DistillationConfig.model_validate(tiny | {"student": student, "freezing": {"schedule": schedule}})
    if may:
        assert preflight(config)["pretrained"]
        return
    with pytest.raises(ValueError, match=r"^freezing\.schedule=frozen: bottleneck\.6\..* is not in the pretrained"):
        preflight(config)


def test_another_size_is_known_before_any_work(tiny, settings, tmp_path):
    student = {"base_channels": 6, "pooling": 4, "pretrained": str(tmp_path / "earlier")}
    with pytest.raises(ValueError, match=r"they need student\.base_channels=4$"):
        preflight(DistillationConfig.model_validate(tiny | {"student": student}))


def test_a_phasenet_goes_on_from_a_phasenets_weights(tiny, teacher_file):
    student = {"architecture": "phasenet", "pretrained": str(teacher_file)}
    config = DistillationConfig.model_validate(tiny | {"student": student, "freezing": {"schedule": "encoder"}})
    assert preflight(config)["pretrained"] == str(teacher_file)
    found = []
    build_taught(config, found.append)
    assert f"tensors from {teacher_file}" in found[0].summary()
    assert found[0].fresh == []
