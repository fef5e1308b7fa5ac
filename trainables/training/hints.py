"""What the losses of a run say about its settings, in words a user can act on."""

from __future__ import annotations

from collections.abc import Sequence

from trainables import metrics

DIAGNOSE_AFTER_EPOCHS = 10
HIGH_TASK_LOSS = 0.5
FAR_OVER = 1.5
"""A loss this many times another one is far over it."""
FLAT = 0.02
"""Relative improvement over five epochs below which a loss is flat."""


def hints(history: Sequence[dict[str, float]], alpha: float | None = None) -> list[str]:
    """Advice from the reports of a run so far; `alpha` is the teacher's share where there is a teacher."""
    if len(history) < DIAGNOSE_AFTER_EPOCHS:
        return []
    last = history[-1]
    task, dev, train = last[metrics.TASK_LOSS], last[metrics.DEV_LOSS], last[metrics.TRAIN_LOSS]
    advice = []
    if alpha is not None and task > HIGH_TASK_LOSS:
        advice.append(
            f"task loss {task:.2f} after {len(history)} epochs: the student does not learn the labels; lower loss.alpha"
        )
    elif alpha is not None and task > FAR_OVER * train:
        advice.append(f"task loss {task:.3f} far above train loss {train:.3f}: lower loss.alpha")
    if dev > FAR_OVER * task:
        remedy = "raise loss.alpha, dropout" if alpha is not None else "raise dropout"
        advice.append(f"dev loss {dev:.3f} far above task loss {task:.3f}: overfitting; {remedy} or use fewer channels")
    if _flat(history, metrics.TRAIN_LOSS) and _flat(history, metrics.DEV_LOSS):
        advice.append("train and dev loss both flat: raise training.learning_rate or base_channels")
    return advice


def _flat(history: Sequence[dict[str, float]], name: str) -> bool:
    earlier, now = history[-6][name], history[-1][name]
    return abs(earlier - now) < FLAT * abs(earlier)
