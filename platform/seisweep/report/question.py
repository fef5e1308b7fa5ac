"""What was asked: the sweep as it was launched, what varied and within what, and the line that runs it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from search_spaces.named import named_sweep, objectives_of
from search_spaces.narrowing import dimensions
from search_spaces.sweep import Choice, Narrowing, Range, Sweep, single_run
from seisweep.record import tags
from seisweep.report.again import replaceable
from seisweep.report.cells import Facts, in_text
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.earlier import SPACES_THEN, with_the_space_of
from seisweep.settings.overrides import parse_overrides
from seisweep.text import show_seconds

_OPTIONS = {
    "samples": "--samples",
    "seeds": "--seed",
    "sampler": "--sampler",
    "scheduler": "--scheduler",
    "grace_epochs": "--grace-epochs",
    "time_budget_s": "--time-budget",
    "workers": "--workers",
    "cpus_per_worker": "--cpus",
    "gpus_per_worker": "--gpus",
    "memory_gb_per_worker": "--memory",
}
"""Fields of a sweep that the command line can change."""

_OF_A_SEARCH = {"sampler", "scheduler", "grace_epochs", "samples"}
"""Those that a single training has no options for."""

_SAMPLERS = {
    "grid": "every combination once (grid)",
    "tpe": "Optuna, tree-structured Parzen estimator (tpe)",
    "nsgaii": "Optuna, NSGA-II (nsgaii)",
    "random": "at random",
}
_SCHEDULERS = {
    "asha": "asynchronous successive halving (asha)",
    "hyperband": "successive halving with several grace periods (hyperband)",
    "pbt": "none; population based training (pbt)",
    "none": "none, every trial runs to its end",
}


@dataclass(frozen=True)
class Asked:
    """The first part of the page. Where the record does not hold the sweep's definition, most of it is empty."""

    plan: Facts
    searched: Facts = field(default_factory=list)
    """Key and what it may be."""
    fixed: Facts = field(default_factory=list)
    """Settings that every trial has, over the trainable's defaults."""
    again: list[str] = field(default_factory=list)
    """Lines that run it again: its paths as variables, then the command. Empty where no command line leads to it."""
    own_code: bool = False
    """The sweep is a function of the user's own."""


def asked(sweep: SweepResults) -> Asked:
    """What the record says about the launch."""
    facts, wanted = sweep.parent.data.tags, sweep.definition
    plan = [("trainable", facts.get(tags.TRAINABLE, "")), ("objectives", objectives_in_words(sweep.objectives))]
    if wanted is None:
        return Asked(plan)
    plan += plan_of(wanted, facts.get(tags.NUM_TRIALS, ""))
    command = command_of(wanted, facts.get(tags.PROFILE, "local"))
    return Asked(
        plan,
        list(_searched(wanted, sweep.params).items()),
        [(key, in_text(value)) for key, value in sorted(wanted.base.items())],
        replaceable(command, wanted) if command else [],
        own_code=not command,
    )


def plan_of(wanted: Sweep, num_trials: str = "") -> Facts:
    """How a sweep goes about it. `num_trials`: how many it wants by now, if it was extended."""
    plan = [("proposed by", _SAMPLERS[wanted.sampler])] if wanted.space or wanted.vary else []
    plan += [
        ("early stopping", _early_stopping(wanted)),
        ("budget", _budget(wanted, num_trials)),
        ("seeds" if len(wanted.seeds) > 1 else "seed", ", ".join(map(str, wanted.seeds))),
    ]
    if wanted.confirms is not None:
        trials = ", ".join(map(str, wanted.confirms.trials))
        plan.append(("trains again", f"of {wanted.confirms.sweep} the trials {trials}, the best first"))
    if wanted.baseline:
        plan.append(("baseline", " ".join(f"{key}={in_text(value)}" for key, value in wanted.baseline.items())))
    return plan


def command_of(wanted: Sweep, profile: str = "local") -> str | None:
    """The line that launches such a sweep again; None where it takes more than the command line can say."""
    if wanted.confirms is not None:
        return _confirming(wanted)
    known = _named(wanted)
    if known is None:
        return None
    is_single, start = known
    words_of_space = _of_earlier_space(wanted, start)
    wanted = _with_the_choices_of(wanted, start)
    start = with_the_space_of(wanted, start)
    now, then = start.model_dump(), wanted.model_dump()
    differing = {key for key in now if now[key] != then[key]} - {"base", "vary", "description"}
    if differing - _OPTIONS.keys() or (is_single and (wanted.vary or differing & _OF_A_SEARCH)):
        return None
    gone = (start.base.keys() | start.vary.keys()) - (wanted.base.keys() | wanted.vary.keys())
    settings = [_typed(key, value) for key, value in wanted.base.items() if start.base.get(key, ...) != value]
    settings += [_narrowed(key, value) for key, value in wanted.vary.items() if start.vary.get(key) != value]
    if gone or None in settings:
        return None
    words = ["seisweep", *(["train", wanted.trainable] if is_single else ["run", wanted.name])]
    words += [*words_of_space, *(word for word in settings if word)]
    for name in (name for name in _OPTIONS if name in differing):
        if then[name] is None:
            return None
        words += [_OPTIONS[name], _option(name, then[name])]
    words += ["--profile", profile] if profile != "local" else []
    return shlex.join(words)


def _of_earlier_space(wanted: Sweep, start: Sweep) -> list[str]:
    """What a sweep that began with a space of earlier versions says of it today; nothing of others."""
    words = SPACES_THEN.get(start.space or "", {}).get(wanted.space or "", [])
    return [word for word in words if word.partition("=")[0] not in wanted.base | wanted.vary]


def _with_the_choices_of(wanted: Sweep, start: Sweep) -> Sweep:
    """Where an earlier space had choices of what is a range today, a range that narrowed them is those inside it."""
    choices = parse_overrides(SPACES_THEN.get(start.space or "", {}).get(wanted.space or "", [])).vary
    vary: dict[str, Any] = dict(wanted.vary)
    for key, then in choices.items():
        if isinstance(then, list) and isinstance(given := vary.get(key), Range):
            vary[key] = [value for value in then if given.low <= value <= given.high]
    return wanted.changed(vary=vary)


def _confirming(wanted: Sweep) -> str | None:
    """What trains the best of another sweep again; its seeds are those that are fresh then."""
    assert wanted.confirms is not None
    words = ["seisweep", "confirm", wanted.confirms.sweep]
    for key, value in wanted.confirms.settings.items():
        if (word := _typed(key, value)) is None:
            return None
        words.append(word)
    return shlex.join([*words, "--top", str(len(wanted.confirms.trials)), "--seeds", str(len(wanted.seeds))])


def _named(wanted: Sweep) -> tuple[bool, Sweep] | None:
    """Whether it is a single training, and what its name alone would launch."""
    single = single_run(wanted.trainable, {}, objectives_of(wanted.trainable))
    if wanted.space is None and single.name == wanted.name and wanted.description == single.description:
        return True, single
    try:
        return False, named_sweep(wanted.name)
    except ValueError:
        return None


def _typed(key: str, value: Any) -> str | None:
    """`key=value` as the command line reads it; None where no text is read as this value."""
    texts = [value] if isinstance(value, str) else ["none" if value is None else json.dumps(value)]
    texts.append(json.dumps(value))
    return next((f"{key}={text}" for text in texts if _reads_as(key, text, value)), None)


def _reads_as(key: str, text: str, value: Any) -> bool:
    try:
        return parse_overrides([f"{key}={text}"]) == ({key: value}, {})
    except ValueError:
        return False


def _narrowed(key: str, narrowing: Narrowing) -> str | None:
    if not isinstance(narrowing, Choice):
        return f"{key}={narrowing.low}..{narrowing.high}"
    single = [_typed(key, value) for value in narrowing.values]
    word = f"{key}={','.join(one.partition('=')[2] for one in single if one)}"
    return word if None not in single and parse_overrides([word]).vary == {key: narrowing.values} else None


def _option(name: str, value: Any) -> str:
    if name == "seeds":
        return ",".join(map(str, value))
    return f"{value:g}s" if name == "time_budget_s" else str(value)


def _searched(wanted: Sweep, varied: list[str]) -> Mapping[str, str]:
    """Ranges and choices in words. Where the space is code that is not to be had here, only the names."""
    try:
        return dimensions(wanted)
    except (ValueError, ImportError, AttributeError, TypeError):
        return {key: "" for key in varied if key != tags.SEED}


def objectives_in_words(objectives: Mapping[str, str]) -> str:
    words = {"max": "as large as possible", "min": "as small as possible"}
    return ", ".join(f"{metric} {words[direction]}" for metric, direction in objectives.items())


def _early_stopping(wanted: Sweep) -> str:
    words = _SCHEDULERS[wanted.scheduler]
    if wanted.scheduler in ("asha", "hyperband"):
        words += f", of {wanted.reduction_factor:g} trials at a rung one goes on"
        words += f", from epoch {wanted.grace_epochs} on" if wanted.grace_epochs else ""
    return words


def _budget(wanted: Sweep, num_trials: str) -> str:
    return " or ".join(_budgets(wanted, num_trials)) or "no bound"


def _budgets(wanted: Sweep, num_trials: str) -> Iterator[str]:
    number = num_trials or ("" if wanted.sampler == "grid" else str(wanted.samples or ""))
    if number:
        yield f"{number} trial{'s' if number != '1' else ''}"
    elif wanted.sampler == "grid":
        yield "every point of the grid"
    if wanted.time_budget_s:
        yield show_seconds(wanted.time_budget_s)
