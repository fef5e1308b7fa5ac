"""`run --dry-run`: what would run, and nothing of it does."""

from __future__ import annotations

import pytest
from seisweep.cli import run


@pytest.fixture
def words(tiny) -> list[str]:
    fixed = {
        "data.dataset": tiny["data"]["dataset"],
        "data.dev_windows_per_trace": 1,
        "teacher.weights": tiny["teacher"]["weights"],
        "student.base_channels": "2,4",
        "student.pooling": 4,
        "training.batch_size": 4,
        "training.steps_per_epoch": 2,
        "training.epochs": 3,
    }
    return ["run", "distillation", *(f"{key}={value}" for key, value in fixed.items()), "--samples", "3"]


def test_it_shows_what_would_run_and_starts_and_writes_nothing(words, home, capsys):
    import ray

    was_there = ray.is_initialized()  # of another test in this process
    assert run([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("distillation: 3 trials of distillation, dev/f1 max; sampler tpe, scheduler asha, seed 0")
    assert "  student.base_channels   2 or 4\n" in said
    assert "  training.epochs             3\n" in said
    assert "the first 3 trials" in said
    assert "FP32 bytes" in said
    assert "a step took" in said
    assert "2 of them and dev make an epoch of" in said
    assert not home.exists()
    assert ray.is_initialized() == was_there


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["loss.alhpa=1"], "unknown key loss.alhpa"),
        (["data.sigma_samples=-1"], "data.sigma_samples = -1 is not allowed"),
        (["--extend", "3"], "leave out --extend"),
        (["--name", "a b"], "a name is letters"),
        (["teacher.temperature=2"], "unknown key teacher.temperature"),
    ],
)
def test_what_would_keep_the_sweep_from_beginning_is_said(more, line, words, home, capsys):
    assert run([*words, "--dry-run", *more]) == 2
    said = capsys.readouterr()
    assert line in said.err
    assert len(said.err.splitlines()) == 1
    assert not home.exists()
