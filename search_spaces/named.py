"""Named sweeps: what `seisweep run NAME` knows, and how a user's own sweep is found."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from search_spaces import adaptation, distillation, foreshock, picking, pretraining
from search_spaces.sweep import Direction, Sweep
from trainables.attribute import load_attribute

NAMED: dict[str, Callable[[], Sweep]] = {
    "distillation": distillation.distillation,
    "distillation-pareto": distillation.pareto,
    "distillation-fewshot": distillation.fewshot,
    "distillation-ablation": distillation.ablation,
    "distillation-wide": distillation.wide,
    "adaptation": adaptation.adaptation,
    "picking": picking.picking,
    "pretraining": pretraining.pretraining,
    "foreshock": foreshock.foreshock,
    "foreshock-ablation": foreshock.ablation,
    "foreshock-fewshot": foreshock.fewshot,
    "foreshock-classes": foreshock.classes,
}


def named_sweep(name: str) -> Sweep:
    """The sweep of this name, or what a user's `module:attribute` returns. Raises ValueError."""
    if name in NAMED:
        return NAMED[name]()
    if ":" in name:
        sweep = _built(name)
        if not isinstance(sweep, Sweep):
            raise ValueError(f"{name} returns {type(sweep).__name__}, not a search_spaces.sweep.Sweep")
        return sweep
    near = difflib.get_close_matches(name, NAMED, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMED)}, and module:function for your own"
    raise ValueError(f"no sweep named {name}: {hint}")


def _built(path: str) -> Any:
    """What a user's function returns. Raises ValueError where it is none, or cannot be called without arguments."""
    build = load_attribute(path, "sweep")
    if not callable(build) or inspect.isbuiltin(build):  # a built-in one (sys.exit, os.abort) is not even tried
        raise ValueError(f"sweep {path} is {_kind(build)}: name a function that returns a search_spaces.sweep.Sweep")
    try:
        return build()
    except ValueError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's own function does
        raise ValueError(f"sweep {path} cannot be built: {type(error).__name__}: {error}") from error


def _kind(found: Any) -> str:
    is_builtin = inspect.isbuiltin(found)
    return "a built-in function of Python" if is_builtin else f"not a function, but {type(found).__name__}"


def descriptions() -> dict[str, str]:
    """One line for each named sweep."""
    return {name: build().description for name, build in NAMED.items()}


def objectives_of(trainable: str) -> dict[str, Direction]:
    """What counts for a trainable: what its first named sweep looks at; empty where none trains it."""
    return next((sweep.objectives for build in NAMED.values() if (sweep := build()).trainable == trainable), {})
