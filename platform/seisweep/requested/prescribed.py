"""Settings whose defaults are prescribed: whether somebody has changed one, and the question why."""

from __future__ import annotations

from search_spaces.narrowing import searched_keys
from search_spaces.sweep import Sweep
from seisweep.requested.trainable import Trainable
from seisweep.settings.fields import walk
from seisweep.settings.overrides import Overrides
from seisweep.text import show_value


def question(sweep: Sweep, given: Overrides) -> str:
    """What to ask of whoever runs `sweep` with these settings, in one line; empty where no prescribed default is
    changed. A key that the sweep searches by itself may be narrowed."""
    trainable = Trainable.find(sweep.trainable)
    if trainable.config_class is None or not trainable.prescribed:
        return ""
    fields = dict(walk(trainable.config_class))
    defaults = {key: fields[key].get_default(call_default_factory=True) for key in trainable.prescribed}
    changed = {
        key: show_value(given.base[key]) for key in defaults if given.base.get(key, defaults[key]) != defaults[key]
    }
    varied = defaults.keys() & given.vary.keys()
    if varied:
        changed |= dict.fromkeys(sorted(varied - set(searched_keys(sweep.changed(required=[])))), "varied")
    if not changed:
        return ""
    said = ", ".join(f"{key} ({show_value(defaults[key])}) is {value} here" for key, value in changed.items())
    return f"prescribed: {said}. Why? A line for the record, or Enter for none:"
