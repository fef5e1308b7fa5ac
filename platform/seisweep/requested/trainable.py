"""From a trainable's name to its function, its configuration and its checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from search_spaces.sweep import Choice, Sweep
from seisweep.settings.fields import nearest, walk
from seisweep.settings.interrupts import interrupts_wait
from seisweep.settings.overrides import build_config, check_narrowing, flatten, nest
from seisweep.settings.paths import STUDENT_WEIGHTS, WEIGHTS
from trainables.attribute import load_attribute
from trainables.run import Run

OWN = ("distillation", "picking", "pretraining", "finetuning")
"""Trainables of this package; the short name stands for `trainables.NAME:train`."""

SEED_KEY = "seed"
BATCH_KEY = "training.batch_size"
ACCUMULATION_KEY = "training.accumulation"
"""What a trial that ran out of memory goes on with: half the one, twice the other."""

LOOKED_AT = ("data.", "model.", "teacher", "student.")
"""Before the keys of what preflight looks at."""

WAVEFORMS = ("data.dataset", "data.streams")
"""Either may be left out where the other is given: what is varied of them is not in the base."""

CACHE_KEY = "data.cache_dir"
"""Where trainables on window stores keep them; the engine puts them into the home."""

OUTPUTS_KEY = "teacher.outputs_gb"
OUTPUTS_GB = 4.0
"""Room for what a teacher answered, which the engine gives to trials that share a seed."""


@dataclass(frozen=True)
class Trainable:
    """A training function `train(config, run)` and what its module says about it."""

    name: str
    train: Callable[[Any, Run], None]
    config_class: type[BaseModel] | None
    """The model that its first parameter is annotated with; None: it takes a plain nested dict."""
    preflight: Callable[[Any], dict[str, str]] | None
    """`preflight(config)` beside the function, for the same config: checks before any work, facts for the record."""

    @classmethod
    def find(cls, name: str) -> Trainable:
        """By short name, or `module:attribute`. Raises ValueError."""
        if ":" not in name and name not in OWN:
            raise ValueError(f"no trainable named {name}{nearest(name, OWN)}; your own is module:function")
        path = name if ":" in name else f"trainables.{name}:train"
        with interrupts_wait():
            train = load_attribute(path, "trainable")
        if not callable(train):
            raise ValueError(f"trainable {path} is not a function, but {type(train).__name__}")
        if not _takes_two(train):
            how = "name one that is called as train(config, run)"
            raise ValueError(f"trainable {path} is not a training function: {how}")
        config_class = _config_class(train)
        return cls(name, train, config_class, _beside(train, "preflight", config_class))

    def beside(self, name: str) -> Callable[..., Any] | None:
        """A function of the same module for the same config (`network`, `rehearse`); None where there is none."""
        return _beside(self.train, name, self.config_class) if self.config_class else None

    @property
    def prescribed(self) -> Sequence[str]:
        """Keys whose defaults its module calls fixed (`PRESCRIBED`): who changes one is asked why."""
        return getattr(inspect.getmodule(self.train), "PRESCRIBED", ())

    def configure(self, settings: Mapping[str, Any]) -> Any:
        """The config with these dotted keys over its defaults. Raises ValueError in one line."""
        return build_config(self.config_class, settings) if self.config_class else nest(settings)

    def dump(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The same as plain data, every default written out."""
        config = self.configure(settings)
        return config.model_dump(mode="json") if isinstance(config, BaseModel) else config

    def load(self, dumped: Mapping[str, Any]) -> Any:
        """From plain data what `train` takes: the inverse of `dump`."""
        return self.config_class.model_validate(dumped) if self.config_class else dict(dumped)

    def has(self, key: str) -> bool:
        """Whether the configuration knows this dotted key (a plain dict knows every one)."""
        if self.config_class is None:
            return True
        fields = self.config_class.model_fields
        group, _, rest = key.partition(".")
        if group not in fields:
            return False
        inner = fields[group].annotation
        return not rest or (inspect.isclass(inner) and issubclass(inner, BaseModel) and rest in inner.model_fields)

    def smaller_batch(self, config: Mapping[str, Any], workers: int) -> dict[str, int]:
        """What halves the batch of a dumped configuration at the same effective batch, rounded down to what
        the workers can share; empty where there is nothing left to halve.
        """
        settings = dict(flatten(config))
        smaller = int(settings[BATCH_KEY]) // 2 // workers * workers
        return {BATCH_KEY: smaller, ACCUMULATION_KEY: 2 * int(settings.get(ACCUMULATION_KEY, 1))} if smaller else {}

    def check_retry_oom(self) -> None:
        """Its batch can be made smaller. Raises ValueError."""
        if not (self.config_class and self.has(BATCH_KEY) and self.has(ACCUMULATION_KEY)):
            raise ValueError(f"--retry-oom: the configuration of {self.name} has no {BATCH_KEY} and {ACCUMULATION_KEY}")

    def check(self, sweep: Sweep) -> None:
        """Every setting and every end of every narrowing is allowed. Raises ValueError in one line."""
        settings = self._example(sweep)
        self.configure(settings)
        if self.config_class:
            varied = {
                key: narrowing.values if isinstance(narrowing, Choice) else narrowing.model_dump()
                for key, narrowing in sweep.vary.items()
            }
            check_narrowing(self.config_class, settings, varied)

    def check_points(self, sweep: Sweep, points: Sequence[dict[str, Any]]) -> None:
        """Every point of a grid is a configuration that makes sense as a whole. Raises ValueError in one line."""
        for point in points:
            try:
                self.configure(sweep.base | point)
            except ValueError as error:
                where = " ".join(f"{key}={value}" for key, value in point.items())
                raise ValueError(f"{error} (a point of the grid: {where})" if where else str(error)) from None

    def facts_of_points(self, sweep: Sweep, points: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
        """What preflight says of each combination of data and model that a grid has, where it has several.

        Raises ValueError: a share of the data that is too small, weights that do not fit a model.
        """
        first: dict[str, dict[str, Any]] = {}
        for point in points:
            first.setdefault(repr([(key, point[key]) for key in sorted(point) if key.startswith(LOOKED_AT)]), point)
        if self.preflight is not None and len(first) > 1:
            for point in first.values():
                yield self.preflight(self.configure(sweep.base | point))

    def facts(self, sweep: Sweep) -> dict[str, str]:
        """What preflight says, which looks at the data and whatever else a trial needs. Raises ValueError.

        It looks at each of several names or paths: they lead to different things. So do several sizes of a student
        that begins with the weights of another. Of several of both the first stands in the place of the default, which
        nobody asked for and which may have to be fetched.
        """
        if self.preflight is None:
            return {}
        begun = STUDENT_WEIGHTS in {*sweep.base, *sweep.vary}
        several = {
            key: narrowing.values if isinstance(narrowing, Choice) else [narrowing.low, narrowing.high]
            for key, narrowing in sweep.vary.items()
        }
        named = {
            key: values
            for key, values in several.items()
            if isinstance(values[0], str | list) or (begun and key.startswith("student."))
        }
        instead = (*WEIGHTS, "student.") if begun else WEIGHTS
        settings = self._example(sweep) | {key: values[0] for key, values in named.items() if key.startswith(instead)}
        facts = self.preflight(self.configure(settings))
        for key, values in named.items():
            for value in values:
                if value != settings.get(key):
                    self.preflight(self.configure(settings | {key: value}))
        return facts

    def defaults(self, sweep: Sweep) -> dict[str, Any]:
        """Dotted keys of the configuration that `base` gives, defaults written out."""
        return dict(flatten(self.dump(self._example(sweep))))

    def _example(self, sweep: Sweep) -> dict[str, Any]:
        """The base; where a setting without a default is varied, with its first value."""
        required: set[str] = (
            {key for key, field in walk(self.config_class) if field.is_required() or key in WAVEFORMS}
            if self.config_class
            else set()
        )
        first = {
            key: narrowing.values[0] if isinstance(narrowing, Choice) else narrowing.low
            for key, narrowing in sweep.vary.items()
            if key in required
        }
        points = {key: value for key, value in (sweep.points or [{}])[0].items() if key in required}
        return sweep.base | first | points


def _takes_two(train: Callable[..., Any]) -> bool:
    """Whether it can be called as `train(config, run)`. A function of Python's own (`sys.exit`) is none."""
    try:
        inspect.signature(train).bind(None, None)
    except (TypeError, ValueError):
        return False
    return not inspect.isbuiltin(train)


def _beside(train: Callable[..., Any], name: str, config_class: type[BaseModel] | None) -> Callable[..., Any] | None:
    found = getattr(inspect.getmodule(train), name, None)
    return found if callable(found) and _config_class(found) is config_class else None


def _config_class(train: Callable[..., Any]) -> type[BaseModel] | None:
    try:
        annotation = next(iter(inspect.signature(train).parameters.values())).annotation
        if isinstance(annotation, str):  # only this one: others may be importable for type checkers alone
            annotation = eval(annotation, getattr(train, "__globals__", {}))
    except (StopIteration, TypeError, ValueError):
        return None
    except NameError as error:
        raise ValueError(f"{train.__module__}:{train.__name__}: its configuration cannot be found ({error})") from None
    return annotation if inspect.isclass(annotation) and issubclass(annotation, BaseModel) else None
