"""`seisweep evaluate`: how well a picker picks, on a data set's dev split."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seisweep.commands.options import ProfileName
from seisweep.screen.tables import Format, TableFormat, write
from seisweep.settings.home import Home
from seisweep.settings.overrides import build_config, parse_overrides
from seisweep.settings.paths import with_absolute_paths
from seisweep.settings.which_profile import profile_of

if TYPE_CHECKING:
    from seisweep.artifacts.pickers import Picker
    from seisweep.artifacts.trained_with import ScoringConfig, TrainedWith
    from trainables.data.batches import DevWindows
    from trainables.evaluation.picks import PickConfig, PickCounts


class Thresholds(StrEnum):
    """From where each phase's threshold comes."""

    STORED = "stored"
    BEST = "best"


def evaluate(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... [KEY=VALUE]...",
            help="An ONNX file, a SeisBench pair or weight name, a folder of them, or a trial of a sweep "
            "(distillation-1/3; without a number its best), an MLflow run (runs:/ID) or a registered model "
            "(models:/NAME@ALIAS). Of several, the mean of their probabilities too. Then settings, as "
            "data.dataset=ETHZ; without them a trial is scored on what it was trained with.",
        ),
    ],
    thresholds: Annotated[
        Thresholds,
        typer.Option(help="Those stored with each model, or the best on these windows, which flatter its F1."),
    ] = Thresholds.STORED,
    profile: ProfileName = "local",
    format: TableFormat = Format.TABLE,
) -> None:
    """Precision, recall, F1 and residuals on the dev split, at the thresholds that are stored with each model."""
    names, settings = models_and_settings(words)
    base, vary = parse_overrides(settings)
    if vary:
        raise ValueError(f"{next(iter(vary))} has several values; evaluate takes one")
    home = Home.find()
    where = profile_of(profile)
    from seisweep.artifacts.pickers import find_pickers, means_of
    from seisweep.artifacts.trained_with import DATASET, ScoringConfig, scoring

    build_config(ScoringConfig, {DATASET: "", **base})  # what was typed is looked at first
    found = {name: find_pickers(name, home, where) for name in names}
    trained = {name: one.trained_with for name, one in found.items()}
    if home.root.exists():
        home.check()
    cache = home.cache_dir if home.root.exists() else None  # else SeisBench's: looking makes no home
    config, origin = scoring(with_absolute_paths(base), trained, cache)
    models = [one.pickers for one in found.values()]
    lengths = list(dict.fromkeys(picker.window_samples for pickers in models for picker in pickers))
    windows = _dev_windows(config, trained, base, lengths)
    for length, dev in windows.items():
        of = f" of {length} samples" if len(lengths) > 1 else ""
        print(f"{len(dev)} windows{of} of {dev.num_traces} dev traces of {config.data.named}", end="", file=sys.stderr)
        print(f", true within {config.picks.tolerance_s:g} s", file=sys.stderr)
    print(origin, file=sys.stderr)
    if len(names) > 1:  # their files have the same names
        models = [
            [picker._replace(name=f"{name} {picker.name}" if len(pickers) > 1 else name) for picker in pickers]
            for name, pickers in zip(names, models, strict=True)
        ]
    pickers, means = [picker for of_model in models for picker in of_model], {}
    if len(lengths) == 1:
        means = means_of(models)
    elif len(models) > 1:
        print("no mean of several: their windows are of different lengths", file=sys.stderr)
    print(_in_words(thresholds, pickers, bool(means)), file=sys.stderr)
    chosen = None if thresholds is Thresholds.BEST else stored_thresholds(pickers, means)
    rows = [
        row
        for length, dev in windows.items()
        for row in score([one for one in pickers if one.window_samples == length], dev, config.picks, means, chosen)
    ]
    write(rows, format)


def models_and_settings(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What was typed, parted: settings begin with a key and `=`. Raises ValueError where there is no model."""
    settings = [word for word in words if re.match(r"[A-Za-z_][\w.]*=", word)]
    models = [word for word in words if word not in settings]
    if not models:
        raise ValueError("give a model: a file, a SeisBench name, a trial such as distillation-1/3, a run")
    twice = next((model for model in models if models.count(model) > 1), None)
    if twice:
        raise ValueError(f"{twice} is named twice")
    return models, settings


def stored_thresholds(pickers: Sequence[Picker], means: Mapping[str, Sequence[Picker]]) -> dict[str, dict[str, float]]:
    """Of each picker its own; of a mean the mean of its members'."""
    found = {picker.name: picker.thresholds for picker in pickers}
    for name, members in means.items():
        phases = members[0].thresholds
        found[name] = {phase: sum(one.thresholds[phase] for one in members) / len(members) for phase in phases}
    return found


def score(
    pickers: Sequence[Picker],
    dev: DevWindows,
    config: PickConfig,
    means: Mapping[str, Sequence[Picker]],
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
) -> list[dict[str, Any]]:
    """Three rows a picker, then of each mean of several pickers' probabilities. `thresholds`: of each of them by its
    name and by phase; None: the best on these windows."""
    import numpy as np

    from trainables.data.config import PHASES
    from trainables.evaluation.picks import THRESHOLDS, PickCounts, count_picks
    from trainables.training.picker import EVALUATION_BATCH

    every = [*(picker.name for picker in pickers), *means]
    heights = {name: tuple(sorted(set(thresholds[name].values()))) if thresholds else THRESHOLDS for name in every}
    counts = {name: PickCounts.zeros(heights[name]) for name in every}
    for batch, arrivals in dev.batches(EVALUATION_BATCH):
        answers = {picker.name: picker.probabilities(batch) for picker in pickers}
        for name, members in means.items():
            answers[name] = np.mean([answers[member.name][:, : len(PHASES)] for member in members], axis=0)
        for name, probabilities_BCT in answers.items():
            counts[name] += count_picks(probabilities_BCT, arrivals, config, heights[name])
    return [row for name in every for row in _rows(name, counts[name], thresholds[name] if thresholds else None)]


def _dev_windows(
    config: ScoringConfig,
    trained: Mapping[str, TrainedWith | None],
    given: Mapping[str, Any],
    lengths: Sequence[int],
) -> dict[int, DevWindows]:
    """Of each length. Raises ValueError in one line where the data cannot be read; data that have changed since are
    named."""
    from seisweep.artifacts.trained_with import DATASET, changed_since
    from trainables.data.batches import DevWindows
    from trainables.data.catalog import check_each
    from trainables.data.windowing import Windowing
    from trainables.data.windows import cache_folder, open_stores

    try:
        if not cache_folder(config.data).exists():  # what cannot be used leaves no folder behind
            check_each(config.data, splits=("dev",))
        stores = {length: open_stores(config.data, "dev", windowing=Windowing(length)) for length in lengths}
    except ValueError as error:
        if DATASET in given:
            raise
        names = ", ".join(name for name, one in trained.items() if one is not None)
        raise ValueError(f"{error} (what {names} was trained on; {DATASET}=... names other data)") from None
    if changed := changed_since(trained, config.data.dataset):
        print(f"{config.data.named} has changed since {', '.join(changed)} was trained on it", file=sys.stderr)
    return {length: DevWindows(its, config.data) for length, its in stores.items()}


def _in_words(thresholds: Thresholds, pickers: Sequence[Picker], has_means: bool) -> str:
    if thresholds is Thresholds.BEST:
        return "thresholds: the best on these windows (--thresholds best), which flatter the F1"
    without = [picker.name for picker in pickers if not picker.stored]
    parts = ["as stored with each model"] if len(without) < len(pickers) else []
    if without:
        default = ", ".join(f"{phase} {value:g}" for phase, value in pickers[0]._replace(stored={}).thresholds.items())
        parts.append(f"{default} of {', '.join(without)}, with which none are stored, as `pick` takes them")
    if has_means:
        parts.append("of a mean the mean of its members'")
    return f"thresholds: {'; '.join(parts)}"


def _rows(name: str, counts: PickCounts, thresholds: Mapping[str, float] | None) -> list[dict[str, Any]]:
    """One row for P, one for S, and their mean."""
    from trainables.evaluation.picks import scores

    found = scores(counts, thresholds)
    names = ("f1", "precision", "recall", "threshold", "residual_mean_s", "residual_mae_s", "residual_std_s")
    rows: list[dict[str, Any]] = [
        {"model": name, "phase": phase, **{metric: found.get(f"dev/{phase.lower()}_{metric}") for metric in names}}
        for phase in ("P", "S")
    ]
    mean = dict.fromkeys(names) | {"f1": found["dev/f1"]}
    rows.append({"model": name, "phase": "both", **mean})
    per_hour = found["dev/false_picks_per_hour"]
    return [{**row, "false_per_hour": per_hour if row["phase"] == "both" else None} for row in rows]
