"""`Sweep`: everything that a sweep is, as plain data. A named sweep is a function that returns one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from trainables.config import Config


class Choice(Config):
    """A list given for a key: `student.base_channels=4,8`."""

    values: list[Any] = Field(min_length=1)
    """What may be taken, in this order."""


class Range(Config):
    """A range given for a key, ends included: `loss.alpha=0.2..0.6`."""

    low: int | float
    """Smallest value."""

    high: int | float
    """Largest value."""

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"a range goes from a smaller to a larger number, this one from {self.low} to {self.high}")
        return self


Narrowing = Choice | Range
"""What a user may put in the place of a dimension of a space."""

Direction = Literal["max", "min"]


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Names are folders, tags and parts of addresses."""

LONGEST_NAME = 200
"""Characters of a new sweep's name: files and folders of it have longer ones, which a disk takes up to 255."""


class Confirms(Config):
    """Whose trials the points of a sweep are, and what they had there: luck of the seed included."""

    sweep: str
    """Name of the sweep that found them."""

    trials: list[int] = Field(min_length=1)
    """The trial of each point, the best first."""

    values: list[float]
    """What each had there by the first objective; over several seeds the mean."""

    settings: dict[str, Any] = Field({})
    """What all of them have otherwise than there."""


class Sweep(Config):
    """What is trained, what varies, what counts, how long. Survives a round trip through JSON.

    A variant is a copy with a few fields changed: `sweep.changed(samples=8)`.
    """

    name: str = Field(pattern=NAME_PATTERN)
    """Name of the kind of sweep. All sweeps of this kind share one MLflow experiment of this name."""

    trainable: str
    """A trainable of this package (distillation, picking) or your own as `module:attribute`."""

    base: dict[str, Any] = Field({})
    """Settings that every trial has instead of the trainable's defaults, by dotted key. A key that the space searches
    is fixed by being here."""

    required: list[str] = Field([])
    """Settings that must be given when the sweep is run, because it makes no sense without them."""

    space: str | None = None
    """Function that suggests the settings of a trial (Optuna's define-by-run), as `module:attribute`; None: only `vary`
    varies."""

    vary: dict[str, Narrowing] = Field({})
    """Lists and ranges to search, by key. They replace those of the space; a key that the space does not have is
    searched too."""

    points: list[dict[str, Any]] | None = Field(None, min_length=1)
    """Instead of a space: exactly these settings, each with every seed. The sampler must be `grid`."""

    confirms: Confirms | None = None
    """The sweep and trials that `points` come from, if trials of another sweep are trained again."""

    objectives: dict[str, Direction] = Field({"dev/f1": "max"}, min_length=1)
    """Metrics to optimize and their directions, the most important first: early stopping looks at the first alone."""

    samples: int | None = Field(20, ge=1)
    """Number of trials. A grid ignores it: it has as many trials as combinations times seeds."""

    time_budget_s: float | None = Field(None, gt=0)
    """Seconds after which running trials are stopped, over all sessions of the sweep."""

    sampler: Literal["tpe", "random", "nsgaii", "grid"] = "tpe"
    """How the settings of the next trial are chosen. `grid` runs every combination once and needs lists, not ranges."""

    scheduler: Literal["asha", "hyperband", "pbt", "none"] = "asha"
    """How trials are stopped early. `hyperband` is `asha` with several grace periods, one of which is the whole
    training. `pbt` (population based training) stops none: several times in a training, the worst trials take over the
    weights of the best and their settings, slightly changed."""

    grace_epochs: int | None = Field(None, ge=1)
    """Epochs that every trial gets before it may be stopped early; default an eighth of `epochs_key`."""

    reduction_factor: float = Field(3.0, gt=1)
    """One of this many trials that reach a rung goes on; the others are stopped."""

    perturbation_epochs: int | None = Field(None, ge=1)
    """pbt: epochs between two comparisons of all trials; default an eighth of `epochs_key`."""

    perturb: list[str] | None = Field(None, min_length=1)
    """pbt: searched keys that may change during training; default: every range of real numbers. Keys that decide the
    shape of the model cannot be among them, since the model has to fit the weights that it takes over."""

    epochs_key: str = "training.epochs"
    """Key of the trainable's setting for the largest number of epochs."""

    seeds: list[int] = Field([0], min_length=1)
    """Seeds of the trials (the config's `seed`). The first also seeds the sampler; several want a grid."""

    baseline: dict[str, Any] = Field({})
    """With several seeds: settings of the condition that the others are compared with, seed by seed. If several
    conditions have these settings, each of the others is compared with the one that has the same other settings.
    Default: the first condition."""

    defaults_first: bool = True
    """Whether the first trial has the trainable's documented defaults, as far as narrowing allows: a baseline."""

    workers: int | None = Field(None, ge=1)
    """Processes that train one trial together; default the profile's."""

    cpus_per_worker: float | None = Field(None, gt=0)
    """Processor cores of each worker; default the profile's."""

    gpus_per_worker: float | None = Field(None, ge=0)
    """Graphics cards of each worker, fractions allowed; default the profile's."""

    memory_gb_per_worker: float | None = Field(None, gt=0)
    """Memory (GiB) that each worker may take; default the profile's."""

    description: str = ""
    """What the sweep does, in one line; `seisweep sweeps` shows it."""

    @field_validator("vary", mode="before")
    @classmethod
    def _lists_are_choices(cls, vary: Any) -> Any:
        if isinstance(vary, dict):
            return {key: {"values": value} if isinstance(value, list) else value for key, value in vary.items()}
        return vary

    @model_validator(mode="after")
    def _consistent(self) -> Sweep:
        both = sorted(self.base.keys() & self.vary.keys())
        if both:
            raise ValueError(f"{both[0]} is both fixed and varied")
        if self.points is not None and (self.sampler != "grid" or self.space or self.vary):
            raise ValueError("points make a grid of their own: give sampler grid, and neither space nor vary")
        given = {key for point in self.points or [] for key in point}
        if both := sorted(given & self.base.keys()):
            raise ValueError(f"{both[0]} is both fixed and a setting of the points")
        if self.confirms is not None and len(self.confirms.trials) != len(self.points or []):
            raise ValueError("confirms needs one trial for each point")
        if len(self.seeds) > 1 and self.sampler != "grid":
            raise ValueError(f"{len(self.seeds)} seeds need the sampler grid; this sweep has {self.sampler}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed is given twice: {self.seeds}")
        if self.sampler != "grid" and self.samples is None and self.time_budget_s is None:
            raise ValueError("neither samples nor time_budget_s: the sweep would never end")
        if self.scheduler == "pbt" and self.sampler == "grid":
            raise ValueError("pbt changes the settings of its trials, and a grid keeps them: choose one of the two")
        if self.scheduler == "pbt" and (self.samples is None or self.samples < 2):
            raise ValueError("pbt trains a population: it needs samples, at least 2")
        return self

    def changed(self, **fields: Any) -> Sweep:
        """A copy with other values in these fields, checked like any sweep."""
        return Sweep.model_validate(self.model_dump() | fields)

    @property
    def shares_seeds(self) -> bool:
        """Whether several trials have the same seed, and so the same windows in the same order."""
        if self.sampler == "grid":
            return bool(self.space or self.vary) or len(self.points or []) > 1
        return self.samples != 1

    @property
    def first_objective(self) -> tuple[str, Direction]:
        """Metric and direction that early stopping follows."""
        return next(iter(self.objectives.items()))


def single_run(trainable: str, base: dict[str, Any], objectives: dict[str, Direction] | None = None) -> Sweep:
    """A sweep of one trial: training is the smallest sweep, so that there is one path for everything."""
    name = trainable.rpartition(":")[2].replace(".", "-")
    return Sweep(
        name=name,
        trainable=trainable,
        base=base,
        samples=1,
        sampler="random",
        scheduler="none",
        description="one run",
        **({"objectives": objectives} if objectives else {}),
    )
