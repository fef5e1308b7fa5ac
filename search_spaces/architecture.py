"""Which network a trial trains, in spaces that vary the size of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.asking import is_decided

if TYPE_CHECKING:
    import optuna


def architecture_of(trial: optuna.Trial, key: str, default: str) -> str:
    """What the user has fixed `key` to, or one of several that they compare. Else the default, which is not a dimension
    of the search: sweeps that began without the key go on as they are."""
    return trial.suggest_categorical(key, [default]) if is_decided(trial, key) else default
