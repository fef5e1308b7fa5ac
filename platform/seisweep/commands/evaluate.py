"""`seisweep evaluate`: how well a picker picks, on a data set's dev split."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seisweep.commands.options import ProfileName, profile_of
from seisweep.screen.tables import Format, TableFormat, write
from seisweep.settings.home import Home
from seisweep.settings.overrides import build_config, parse_overrides
from seisweep.settings.paths import with_absolute_paths
from trainables.config import Config

if TYPE_CHECKING:
    from seisweep.artifacts.pickers import Picker
    from trainables.data.batches import DevWindows
    from trainables.evaluation.picks import PickConfig, PickCounts


def evaluate(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... [KEY=VALUE]...",
            help="An ONNX file, a SeisBench pair or weight name, a folder of them, or a trial of a sweep "
            "(distillation-1/3; without a number its best) or an MLflow run (runs:/ID). Of several, the mean of "
            "their probabilities too. Then settings, as data.dataset=ETHZ.",
        ),
    ],
    profile: ProfileName = "local",
    format: TableFormat = Format.TABLE,
) -> None:
    """Precision, recall, F1 and residuals on the dev split, at the best threshold of each phase."""
    names, settings = models_and_settings(words)
    base, vary = parse_overrides(settings)
    if vary:
        raise ValueError(f"{next(iter(vary))} has several values; evaluate takes one")
    home = Home.find()
    where = profile_of(profile)
    from seisweep.artifacts.pickers import find_pickers, means_of
    from trainables.data.batches import DevWindows
    from trainables.data.catalog import check_dataset, load_dataset
    from trainables.data.config import DataConfig
    from trainables.data.windows import cache_folder, open_store
    from trainables.evaluation.picks import PickConfig

    class EvaluationConfig(Config):
        data: DataConfig
        picks: PickConfig = PickConfig()

    config = build_config(EvaluationConfig, with_absolute_paths(base))
    if config.data.cache_dir is None and home.root.exists():  # without one, SeisBench's cache: looking makes no home
        config = build_config(EvaluationConfig, {**with_absolute_paths(base), "data.cache_dir": str(home.cache_dir)})
    models = [find_pickers(name, home, where) for name in names]
    if len(names) > 1:  # their files have the same names
        models = [
            [picker._replace(name=f"{name} {picker.name}" if len(pickers) > 1 else name) for picker in pickers]
            for name, pickers in zip(names, models, strict=True)
        ]
    if not cache_folder(config.data).exists():  # what cannot be used leaves no folder behind
        check_dataset(load_dataset(config.data.dataset), config.data.dataset, splits=("dev",))
    dev = DevWindows(open_store(config.data, "dev"), config.data)
    print(
        f"{len(dev)} windows of {len(dev.store)} dev traces of {config.data.dataset}, "
        f"true within {config.picks.tolerance_s:g} s",
        file=sys.stderr,
    )
    rows = score([picker for pickers in models for picker in pickers], dev, config.picks, means_of(models))
    write(rows, format)


def models_and_settings(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What was typed, parted: settings begin with a key and `=`. Raises ValueError where there is no model."""
    settings = [word for word in words if re.match(r"[A-Za-z_][\w.]*=", word)]
    models = [word for word in words if word not in settings]
    if not models:
        raise ValueError("evaluate wants a model: a file, a SeisBench name, a trial such as distillation-1/3, a run")
    twice = next((model for model in models if models.count(model) > 1), None)
    if twice:
        raise ValueError(f"{twice} is there twice: its mean with itself is itself")
    return models, settings


def score(
    pickers: Sequence[Picker], dev: DevWindows, config: PickConfig, means: Mapping[str, Sequence[Picker]]
) -> list[dict[str, Any]]:
    """Three rows a picker, then of each mean of several pickers' probabilities."""
    import numpy as np

    from trainables.evaluation.picks import PickCounts, count_picks

    counts = {name: PickCounts.zeros() for name in (*(picker.name for picker in pickers), *means)}
    for batch, arrivals in dev.batches(batch_size=32):
        answers = {picker.name: picker.probabilities(batch) for picker in pickers}
        for name, members in means.items():
            answers[name] = np.mean([answers[member.name] for member in members], axis=0)
        for name, probabilities_BCT in answers.items():
            counts[name] += count_picks(probabilities_BCT, arrivals, config)
    return [row for name, counted in counts.items() for row in _rows(name, counted)]


def _rows(name: str, counts: PickCounts) -> list[dict[str, Any]]:
    """One row for P, one for S, and their mean."""
    from trainables.evaluation.picks import scores

    found = scores(counts)
    names = ("f1", "precision", "recall", "threshold", "residual_mean_s", "residual_mae_s", "residual_std_s")
    rows: list[dict[str, Any]] = [
        {"model": name, "phase": phase, **{metric: found.get(f"dev/{phase.lower()}_{metric}") for metric in names}}
        for phase in ("P", "S")
    ]
    mean = dict.fromkeys(names) | {"f1": found["dev/f1"]}
    rows.append({"model": name, "phase": "both", **mean})
    per_hour = found["dev/false_picks_per_hour"]
    return [{**row, "false_per_hour": per_hour if row["phase"] == "both" else None} for row in rows]
