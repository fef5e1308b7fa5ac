"""What earlier versions did where there was no setting yet: what they have recorded is read as it was meant."""

from __future__ import annotations

from typing import Any

from search_spaces.sweep import Sweep

_PICKERS = "distillation", "picking"
_GROUP, _OF_PICKERS = "data", "sigma_samples"
"""Group of a recorded configuration, and a key that only that of a picker has in it."""

_THEN = {"missing_phase": "noise"}
"""Of that group: trials of one sweep stay comparable, and a picker is scored as it was trained."""


def as_it_began(sweep: Sweep) -> Sweep:
    """A sweep of an earlier version, with what was then no setting."""
    given = sweep.base.keys() | sweep.vary.keys() | {key for point in sweep.points or [] for key in point}
    then = {key: value for name, value in _THEN.items() if (key := f"{_GROUP}.{name}") not in given}
    return sweep.changed(base=sweep.base | then) if sweep.trainable in _PICKERS and then else sweep


def as_it_was(config: Any) -> Any:
    """The recorded configuration of a trial, with what was then no setting."""
    data = config.get(_GROUP) if isinstance(config, dict) else None
    return {**config, _GROUP: _THEN | data} if isinstance(data, dict) and _OF_PICKERS in data else config
