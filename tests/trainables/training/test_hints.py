from __future__ import annotations

import pytest

from trainables.training.hints import hints


def history(task: float, dev: float, train: float, epochs: int = 10, falls: float = 0.1) -> list[dict[str, float]]:
    """Losses that end at the given values and fell by `falls` an epoch before."""
    return [
        {name: value + falls * (epochs - epoch) for name, value in losses.items()}
        for epoch in range(1, epochs + 1)
        for losses in [{"train/task_loss": task, "dev/loss": dev, "train/loss": train}]
    ]


@pytest.mark.parametrize(
    ("losses", "alpha", "advice"),
    [
        ({"task": 0.6, "dev": 0.6, "train": 0.6}, 0.5, ["lower loss.alpha"]),
        ({"task": 0.3, "dev": 0.3, "train": 0.1}, 0.5, ["lower loss.alpha"]),
        ({"task": 0.2, "dev": 0.4, "train": 0.2}, 0.5, ["raise loss.alpha"]),
        ({"task": 0.2, "dev": 0.4, "train": 0.2}, None, ["raise dropout"]),
        ({"task": 0.2, "dev": 0.2, "train": 0.2}, 0.5, []),
        ({"task": 0.2, "dev": 0.2, "train": 0.2, "falls": 0.0}, None, ["learning_rate"]),
        ({"task": 0.6, "dev": 0.6, "train": 0.6, "epochs": 9}, 0.5, []),
    ],
)
def test_advice_follows_the_losses(losses, alpha, advice):
    given = hints(history(**losses), alpha)
    assert len(given) == len(advice)
    assert all(expected in hint for expected, hint in zip(advice, given, strict=True))
