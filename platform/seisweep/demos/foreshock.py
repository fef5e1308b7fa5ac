"""`seisweep demo foreshock`: from a sequence to what pretraining is worth, as the commands that a user would type."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from seisweep.demos.tour import Command, free_stem, name_option, say
from seisweep.engine.outcome import Outcome
from seisweep.screen.tables import as_table
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from trainables import metrics
from trainables.foreshock_extra import require_foreshock
from trainables.models.representation_config import cpu_sized

PRETRAINING_SUMMARY = (metrics.DEV_ACCURACY, metrics.pretraining("dev", "perplexity"), metrics.DEV_LOSS)


@dataclass(frozen=True)
class Size:
    """How much of everything: enough to see the whole in minutes on two cores, or hardly anything for a test."""

    events: tuple[str, ...]
    """Of the sequence."""
    earthquakes: tuple[str, ...]
    """Of the data set for pretraining."""
    model: tuple[str, ...]
    pretraining: tuple[str, ...]
    tuning: tuple[str, ...]
    seeds: str


def _model(**changes: int) -> tuple[str, ...]:
    """The small model as settings."""
    return tuple(f"model.{key}={value}" for key, value in cpu_sized(**changes).model_dump(exclude_unset=True).items())


FULL = Size(
    events=(),
    earthquakes=(),
    model=_model(),
    # Few codes and short masks: with those of the published model, 800 traces teach a small one hardly anything.
    pretraining=(
        "data.window_samples=2560",
        "contrast.mask_length=2",
        "contrast.codes=64",
        "training.epochs=8",  # two windows of each trace in every one
        "training.batch_size=16",
        "training.learning_rate=0.01",
    ),
    tuning=("training.epochs=8", "freezing.unfreeze_at_epoch=3", "training.learning_rate=0.002"),
    seeds="0,1",
)
TINY = Size(
    events=("--events", "200"),
    earthquakes=("--events", "12"),
    model=_model(d_model=8, conv_width=8, qkv_proj_blocksize=2),
    pretraining=(
        "data.window_samples=2048",
        "contrast.mask_length=4",
        "contrast.codes=16",
        "training.epochs=2",
        "training.batch_size=4",
        "training.limit_train_batches=4",
        "training.limit_dev_batches=1",
    ),
    tuning=(
        "training.epochs=2",
        "freezing.unfreeze_at_epoch=2",
        "training.batch_size=8",
        "training.limit_train_batches=2",
        "training.limit_dev_batches=1",
    ),
    seeds="0,1",
)


def play(command: Command, home: Home, tiny: bool) -> None:
    """Run every step, printing its command first, and say at the end what there is and what comes next."""
    require_foreshock()
    size, suffix = (TINY, "-tiny") if tiny else (FULL, "")
    home.prepare()
    stem = free_stem(home)
    sequence, earthquakes = (home.data_dir / f"{name}{suffix}" for name in ("nrca-synthetic", "local-earthquakes"))

    if not sequence.is_dir():
        say("1. A synthetic foreshock/aftershock sequence at one station, in the form of the published one.")
        command("data", "synth", "nrca", from_here(sequence), *size.events)
    if not earthquakes.is_dir():
        say("2. Other earthquakes at other stations, to pretrain on.")
        command("data", "synth", from_here(earthquakes), *size.earthquakes)

    say("3. Contrastive pretraining: a small xLSTM U-Net learns from waveforms without labels.")
    waveforms = f"data.dataset={from_here(earthquakes)}"
    words = [waveforms, *size.model, *size.pretraining, *name_option(stem, "pretraining")]
    pretraining = command("train", "pretraining", *words)
    _show(pretraining)

    say("4. How much that helps: four classes of time, fine-tuned under three freezing schedules, or from nothing.")
    begin = [f"data.dataset={from_here(sequence)}", "data.num_classes=4", f"model.pretrained={pretraining.name}"]
    words = [*begin, *size.model, *size.tuning, "--seed", size.seeds, *name_option(stem, "ablation")]
    ablation = command("run", "foreshock-ablation", *words)
    _close(pretraining, ablation, begin, size)


def _show(pretraining: Outcome) -> None:
    """How well the model tells a masked token from others, on held-out windows."""
    assert pretraining.best is not None
    found = pretraining.best.metrics
    print(as_table([{"sweep": pretraining.name, **{name: found.get(name) for name in PRETRAINING_SUMMARY}}]))
    sys.stdout.flush()
    print("accuracy: share of masked tokens found among 100 others, 0.0099 by chance", file=sys.stderr)


def _close(pretraining: Outcome, ablation: Outcome, begin: list[str], size: Size) -> None:
    """What can be done next."""
    say("Done. In the last table, `difference` is how much starting from pretrained weights gains, seed by seed.")
    say("Next:")
    same = " ".join([*begin[:1], *begin[2:], *size.model])
    for line, why in (
        ("seisweep ui", "every trial, its confusion matrix, curves and activation maps, in MLflow"),
        (f"seisweep results {ablation.name}", "the tables again; --by condition --format csv for a spreadsheet"),
        (f"seisweep run foreshock-fewshot {same}", "5 to 100 % of the events"),
        ("seisweep train pretraining data.dataset=ETHZ", "pretraining on real data (downloads it), of the full size"),
        ("seisweep data import-nrca FOLDER", "the published Norcia sequence, from its three files"),
    ):
        print(f"  {line}\n      {why}", file=sys.stderr)
