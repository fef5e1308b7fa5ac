"""Does a student of labels and teacher get the best of both? What the conditions of `distillation-ablation` say of it.

The combination is compared with either alone, seed by seed. It is called better where both differences are: each of
the two has to leave zero outside its 95 % interval, so that no correction for their number is wanted (an
intersection-union test, Berger 1982, Technometrics 24, 295-300).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seisweep.statistics.conditions import RANGE, Condition, Estimate, differences
from seisweep.statistics.objective import Objective
from seisweep.text import show_number

ALPHA, STREAMS_SHARE = "loss.alpha", "data.streams_share"
"""The teacher's share of the loss, and that of streams of the windows."""


def best_of_both(found: Sequence[Condition], objective: Objective) -> list[str]:
    """The answer in one sentence; nothing where these are not conditions of such an ablation."""
    if not all(ALPHA in one.params and one.params.keys() <= {ALPHA, STREAMS_SHARE} for one in found):
        return []
    labels = next((one for one in found if one.params[ALPHA] == 0), None)
    taught = {_share(one.params): one for one in found if one.params[ALPHA] == 1}
    both = [one for one in found if 0 < one.params[ALPHA] < 1 and _share(one.params) in taught]
    if labels is None or not both:
        return []
    clauses = [_clause(one, labels, taught[_share(one.params)], objective, both) for one in both]
    return [f"that the combination of labels and teacher gets the best of both {'; '.join(clauses)}"]


def _share(params: Mapping[str, Any]) -> float:
    return float(params.get(STREAMS_SHARE, 0))


def _clause(
    both: Condition, labels: Condition, teacher: Condition, objective: Objective, all_both: Sequence[Condition]
) -> str:
    over = {"labels alone": _gain(both, labels, objective), "the teacher alone": _gain(both, teacher, objective)}
    worse = [name for name, gain in over.items() if gain.high < 0]
    if all(gain.low > 0 for gain in over.values()):
        answer = "holds"
    elif worse:
        answer = f"does not hold, {' and '.join(worse)} {'is' if len(worse) == 1 else 'are'} better"
    else:
        answer = "is not shown by these seeds"
    sizes = ", ".join(f"over {name} {_in_words(gain)}" for name, gain in over.items())
    return f"{answer}{_which(both, all_both)}: its gain in {objective.metric} is {sizes}"


def _gain(both: Condition, alone: Condition, objective: Objective) -> Estimate:
    """By how much the combination is better, seed by seed."""
    return Estimate.of(objective.gain(value) for value in differences(both, alone).values())


def _in_words(gain: Estimate) -> str:
    if gain.size < 2:
        return f"{gain.mean:+.3g} (one seed)" if gain.size else "nothing known yet"
    return f"{gain.mean:+.3g} ({RANGE} {show_number(gain.low)} .. {show_number(gain.high)}, {gain.size} seeds)"


def _which(both: Condition, all_both: Sequence[Condition]) -> str:
    """Which combination it is, where there are several."""
    share = _share(both.params)
    words = []
    if len({_share(one.params) for one in all_both}) > 1:
        words.append(f"with {share:.0%} of the windows from streams" if share else "without streams")
    if len({one.params[ALPHA] for one in all_both}) > 1:
        words.append(f"at {ALPHA}={both.params[ALPHA]:g}")
    return "".join(f" {word}" for word in words)
