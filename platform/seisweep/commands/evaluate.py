"""`seisweep evaluate`: how well a picker picks, on a data set's dev split."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seisweep.commands.options import ProfileName
from seisweep.screen.tables import Format, TableFormat, write
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides, build_config, parse_overrides
from seisweep.settings.paths import with_absolute_paths
from seisweep.settings.which_profile import profile_of
from trainables.evaluation.task_names import Task

if TYPE_CHECKING:
    from seisweep.artifacts.pickers import Picker
    from seisweep.artifacts.trained_with import ScoringConfig, TrainedWith
    from trainables.data.batches import DevWindows


class Thresholds(StrEnum):
    """From where each phase's threshold comes."""

    STORED = "stored"
    BEST = "best"


def evaluate(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... [KEY=VALUE]...",
            help="An ONNX file, a SeisBench pair or weight name, a folder of them, a trial of a sweep "
            "(distillation-1/3; without a number the best), an MLflow run (runs:/ID) or a registered model "
            "(models:/NAME@ALIAS). With several, the mean of their probabilities is scored too. Then settings, as "
            "data.dataset=ETHZ (A,B: one table of both); without them a trial is scored on its own data.",
        ),
    ],
    thresholds: Annotated[
        Thresholds,
        typer.Option(
            help="stored: the thresholds stored with each model. best: the best on these windows, which flatter its F1."
        ),
    ] = Thresholds.STORED,
    tasks: Annotated[
        bool,
        typer.Option(
            "--tasks",
            help="The three tasks of pick-benchmark instead: event detection, phase identification, onset time.",
        ),
    ] = False,
    task: Annotated[list[Task] | None, typer.Option(help="Only this task; may be given twice.")] = None,
    targets: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for the windows of the tasks, task1.csv and task23.csv: read if they exist, else written.",
        ),
    ] = None,
    profile: ProfileName = "local",
    format: TableFormat = Format.TABLE,
) -> None:
    """Score models on the dev split: precision, recall, F1 and residuals, at the thresholds stored with each model."""
    names, settings = models_and_settings(words)
    base, vary = parse_overrides(settings)
    if tasks or task or targets is not None:
        if thresholds is Thresholds.BEST:
            raise ValueError("--thresholds best does not go with --tasks, which choose their own thresholds")
        _evaluate_tasks(names, Overrides(base, vary), task or list(Task), targets, profile, format)
        return
    home, where = Home.find(), profile_of(profile)
    from seisweep.artifacts.pickers import find_pickers, means_of, named_apart
    from seisweep.artifacts.trained_with import DATASET, ScoringConfig, scoring
    from seisweep.commands.evaluate_scores import beside_each_other, in_full, score
    from seisweep.commands.interval_cells import as_words

    given = _of_each_dataset(base, vary, DATASET)
    for one in given:
        build_config(ScoringConfig, {DATASET: "", **one})  # what was typed is looked at first
    found = {name: find_pickers(name, home, where) for name in names}
    trained = {name: one.trained_with for name, one in found.items()}
    if home.root.exists():
        home.check()
    cache = home.cache_dir if home.root.exists() else None  # else SeisBench's: looking makes no home
    models = named_apart(found)
    lengths = list(dict.fromkeys(picker.window_samples for pickers in models for picker in pickers))
    settled = [scoring(with_absolute_paths(one), trained, cache) for one in given]
    windows = _dev_windows_of_each([config for config, _ in settled], trained, given, lengths)
    for (config, origin), those in zip(settled, windows, strict=True):
        _say_what_is_scored(config, those)
        print(origin, file=sys.stderr)
    pickers, means = [picker for of_model in models for picker in of_model], {}
    if len(lengths) == 1:
        means = means_of(models)
    elif len(models) > 1:
        print("the mean of these models is not scored: their windows have different lengths", file=sys.stderr)
    print(_in_words(thresholds, pickers, bool(means)), file=sys.stderr)
    chosen = None if thresholds is Thresholds.BEST else stored_thresholds(pickers, means)
    scored = {
        config.data.named: [
            one
            for length, dev in those.items()
            for one in score([one for one in pickers if one.window_samples == length], dev, config.picks, means, chosen)
        ]
        for (config, _), those in zip(settled, windows, strict=True)
    }
    if len(given) == 1:
        write(in_full(next(iter(scored.values()))), format)
        return
    rows = beside_each_other({_short(name, scored): those for name, those in scored.items()})
    write(as_words(rows) if format is Format.TABLE else rows, format)


def _say_what_is_scored(config: ScoringConfig, windows: Mapping[int, DevWindows]) -> None:
    for length, dev in windows.items():
        of = f" of {length} samples" if len(windows) > 1 else ""
        traces = f"{dev.num_traces} dev traces of {config.data.named}"
        print(f"{len(dev)} windows{of} of {traces}, true within {config.picks.tolerance_s:g} s", file=sys.stderr)


def _of_each_dataset(base: Mapping[str, Any], vary: Mapping[str, Any], dataset: str) -> list[dict[str, Any]]:
    """The settings with each of several data sets. Raises ValueError where another setting has several values."""
    if other := next((key for key in vary if key != dataset), None):
        raise ValueError(f"{other} has several values; evaluate takes several values only for {dataset}")
    names = vary.get(dataset, [])
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{dataset}: {twice} is named twice")
    return [{**base, dataset: name} for name in names] or [dict(base)]


def _short(name: str, others: Collection[str]) -> str:
    """Of a folder its own name, where no other one has it."""
    short = Path(name).name
    return name if sum(Path(other).name == short for other in others) > 1 else short


def _evaluate_tasks(
    names: Sequence[str],
    settings: Overrides,
    wanted: Sequence[Task],
    targets: Path | None,
    profile: str,
    format: Format,
) -> None:
    from seisweep.artifacts.pickers import find_pickers
    from seisweep.commands.evaluate_tasks import check_settings, evaluate_tasks

    check_settings(settings)
    home, where = Home.find(), profile_of(profile)
    if home.root.exists():
        home.check()
    evaluate_tasks({name: find_pickers(name, home, where) for name in names}, settings, wanted, targets, format)


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


def _dev_windows_of_each(
    configs: Sequence[ScoringConfig],
    trained: Mapping[str, TrainedWith | None],
    given: Sequence[Mapping[str, Any]],
    lengths: Sequence[int],
) -> list[dict[int, DevWindows]]:
    """Of each data set. Of several, none is worked on where another cannot be used."""
    from trainables.data.catalog import check_each

    for config in configs if len(configs) > 1 else ():
        check_each(config.data, splits=("dev",))
    return [_dev_windows(config, trained, one, lengths) for config, one in zip(configs, given, strict=True)]


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
        raise ValueError(f"{error} (the data that {names} was trained on; {DATASET}=... names other data)") from None
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
        parts.append(f"{default} for {', '.join(without)} without stored ones, as in `pick`")
    if has_means:
        parts.append("for a mean of models the mean of their thresholds")
    return f"thresholds: {'; '.join(parts)}"
