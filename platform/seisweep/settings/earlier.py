"""What earlier versions did where there was no setting yet: what they have recorded is read as it was meant."""

from __future__ import annotations

from typing import Any

from search_spaces.sweep import Sweep

_GROUP = "data"
"""Of a recorded configuration."""

_THEN = {
    "distillation": {"missing_phase": "noise"},
    "picking": {"missing_phase": "noise"},
    "pretraining": {"windows": "picks"},
}
"""By trainable, of that group: trials of one sweep stay comparable, and a picker is scored as it was trained."""

_OWN = {"sigma_samples": "picking", "window_samples": "pretraining"}
"""Keys that only the configuration of one kind has in it."""

_RATES_THEN = "training.learning_rate=0.0001..0.003"
SPACES_THEN = {
    "search_spaces.distillation:xiaonet_space": {
        "search_spaces.distillation:student_space": ["student.base_channels=4,8,12,16", _RATES_THEN],
        "search_spaces.distillation:space": ["student.base_channels=4,8,12,16,24,32", _RATES_THEN],
    },
    "search_spaces.adaptation:optimizer_space": {
        "search_spaces.adaptation:space": ["data.max_amplitude_scale=1.0..2.0"],
    },
}
"""By the name of a space of today those that a named sweep had before it, and what says of today's the same."""


def with_the_space_of(begun: Sweep, wanted: Sweep) -> Sweep:
    """A named sweep of today with the space that it had when `begun` began."""
    then = SPACES_THEN.get(wanted.space or "", {})
    return wanted.changed(space=begun.space) if begun.space in then else wanted


def as_it_began(sweep: Sweep) -> Sweep:
    """A sweep of an earlier version, with what was then no setting."""
    given = sweep.base.keys() | sweep.vary.keys() | {key for point in sweep.points or [] for key in point}
    settings = _THEN.get(sweep.trainable, {}).items()
    then = {key: value for name, value in settings if (key := f"{_GROUP}.{name}") not in given}
    return sweep.changed(base=sweep.base | then) if then else sweep


def as_it_was(config: Any) -> Any:
    """The recorded configuration of a trial, with what was then no setting."""
    data = config.get(_GROUP) if isinstance(config, dict) else None
    if not isinstance(data, dict):
        return config
    kind = next((kind for key, kind in _OWN.items() if key in data), None)
    return {**config, _GROUP: _THEN[kind] | data} if kind else config
