"""`seisweep evaluate`: how well a picker picks, on a data set's dev split."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seisweep.commands.launch import ProfileName, Settings
from seisweep.config import build_config, load_profile, parse_overrides
from seisweep.home import Home
from seisweep.paths import with_absolute_paths
from seisweep.tables import Format, TableFormat, write
from trainables.config import Config

if TYPE_CHECKING:
    from seisweep.models import Picker
    from trainables.data.batches import DevWindows
    from trainables.evaluation.picks import PickConfig


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file, a SeisBench pair or weight name, a folder of them, or a trial of a sweep "
            "(distillation-1/3; without a number its best) or an MLflow run (runs:/ID)."
        ),
    ],
    settings: Settings = None,
    profile: ProfileName = "local",
    format: TableFormat = Format.TABLE,
) -> None:
    """Precision, recall, F1 and residuals on the dev split, at the best threshold of each phase."""
    base, vary = parse_overrides(settings or [])
    if vary:
        raise ValueError(f"{next(iter(vary))} has several values; evaluate takes one")
    home = Home.find()
    where = load_profile(profile, home.profiles_dir)
    from seisweep.models import find_pickers
    from trainables.data.batches import DevWindows
    from trainables.data.config import DataConfig
    from trainables.data.windows import open_store
    from trainables.evaluation.picks import PickConfig

    class EvaluationConfig(Config):
        data: DataConfig
        picks: PickConfig = PickConfig()

    config = build_config(EvaluationConfig, with_absolute_paths(base))
    if config.data.cache_dir is None:
        config = build_config(EvaluationConfig, {**with_absolute_paths(base), "data.cache_dir": str(home.cache_dir)})
    pickers = find_pickers(model, home, where)
    home.prepare()
    dev = DevWindows(open_store(config.data, "dev"), config.data)
    print(
        f"{len(dev)} windows of {len(dev.store)} dev traces of {config.data.dataset}, "
        f"true within {config.picks.tolerance_s:g} s",
        file=sys.stderr,
    )
    rows = [row for picker in pickers for row in score(picker, dev, config.picks)]
    write(rows, format)


def score(picker: Picker, dev: DevWindows, config: PickConfig) -> list[dict[str, Any]]:
    """One row for P, one for S, and their mean."""
    from trainables.evaluation.picks import PickCounts, count_picks, scores

    counts = PickCounts.zeros()
    for batch, arrivals in dev.batches(batch_size=32):
        counts += count_picks(picker.probabilities(batch), arrivals, config)
    found = scores(counts)
    names = ("f1", "precision", "recall", "threshold", "residual_mean_s", "residual_mae_s", "residual_std_s")
    rows: list[dict[str, Any]] = [
        {"model": picker.name, "phase": phase, **{name: found.get(f"dev/{phase.lower()}_{name}") for name in names}}
        for phase in ("P", "S")
    ]
    mean = dict.fromkeys(names) | {"f1": found["dev/f1"]}
    rows.append({"model": picker.name, "phase": "both", **mean})
    per_hour = found["dev/false_picks_per_hour"]
    return [{**row, "false_per_hour": per_hour if row["phase"] == "both" else None} for row in rows]
