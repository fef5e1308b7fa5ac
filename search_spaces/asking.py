"""What a space may ask of the trial that it is handed, besides values: Optuna's own trials know nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna


def is_decided(trial: optuna.Trial, key: str) -> bool:
    """Whether the user has fixed or narrowed the key."""
    asked = getattr(trial, "is_decided", None)
    return bool(asked and asked(key))


def leave_out(trial: optuna.Trial) -> None:
    """The settings that were drawn do not go together: a grid has no such point. A search finds that they fail."""
    if left_out := getattr(trial, "leave_out", None):
        left_out()
