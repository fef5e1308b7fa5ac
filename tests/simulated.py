"""Sweeps that nobody ran, in a record that the real tracker wrote: for tests of whatever reads results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

from search_spaces.named import named_sweep
from search_spaces.narrowing import enumerate_space
from search_spaces.sweep import Sweep
from trainables.evaluation.reliability import Reliability, reliability_table
from trainables.export.figures import residual_table
from trainables.export.files import CONFUSIONS_FILE, RELIABILITY_FILE, RESIDUALS_FILE

NUM_TRIALS = 12


def settings_of(number: int) -> dict[str, object]:
    """Of each trial of `many-1`: the rate alone matters. A third of them has no temperature."""
    one: dict[str, object] = {
        "training.learning_rate": 10 ** -(2.6 + number % 4 / 3),
        "loss.alpha": 0.0 if number % 3 == 0 else 0.1 * (number % 5 + 1),
        "student.base_channels": (4, 8, 16)[number % 3],
        "student.pooling": 2 + 2 * (number % 2),
    }
    return one if number % 3 == 0 else one | {"loss.temperature": 1.0 + number / 4}


def value_of(number: int) -> float:
    return 0.9 - 0.2 * (number % 4) + 0.001 * number


def write_sweeps(home: Home) -> Home:
    """Into the home's store, which is there.

    `many-1`: a dozen pickers, the second of which failed; `none-1`: two that failed; `shots-1`: classifiers at three
    shares of the training events, from pretrained and from random weights, with two seeds.
    """
    pickers = named_sweep("distillation").changed(objectives={"dev/f1": "max", "int8/bytes": "min"})
    settings = [settings_of(number) for number in range(NUM_TRIALS)]
    _record(home, "many-1", pickers, [(one, 0) for one in settings], _picker_reports, failed=(1,))
    _record(home, "none-1", pickers, [(one, 0) for one in settings[:2]], _picker_reports, failed=(0, 1))
    shots = named_sweep("foreshock-fewshot").changed(vary={"data.few_shot_fraction": [0.05, 0.2, 1.0]}, seeds=[0, 1])
    points = [(point, seed) for seed in shots.seeds for point in enumerate_space(shots)]
    _record(home, "shots-1", shots, points, _classifier_reports)
    return home


Reports = Callable[[int, dict[str, Any], Path], list[dict[str, float]]]


def _record(
    home: Home, name: str, sweep: Sweep, points: Sequence[tuple[dict[str, Any], int]], reports: Reports,
    failed: Sequence[int] = (),
) -> None:  # fmt: skip
    folder = home.sweep_dir(name)
    folder.mkdir()
    ledger = Ledger(folder / "ledger.jsonl")
    tracker = Tracker(own_store(home), sweep, name, f"id-{name}", {})
    tracker.begin("", {"sweep": sweep.model_dump(mode="json")})
    for number, (point, seed) in enumerate(points):
        checkpoint = folder / str(number)
        (checkpoint / "artifacts").mkdir(parents=True)
        config = {"number": number, "data": {"dataset": "/data/simulated"}}
        tracker.trial_begins(ledger.begin_trial(number, point, seed), config)
        epochs, final = (made := reports(number, point | {"seed": seed}, checkpoint / "artifacts"))[:-1], made[-1]
        for epoch, values in enumerate(epochs, start=1):
            tracker.report(ledger.report(number, {"epoch": epoch, **values}))
        if number not in failed:
            tracker.report(ledger.report(number, {"epoch": len(epochs), "final": 1, **final}))
        ledger.end_trial(number, "failed" if number in failed else "done", "bad luck" if number in failed else "")
        tracker.trial_ends(ledger.trials[number], None if number in failed else checkpoint)
    tracker.end("finished", None)


def _picker_reports(number: int, point: dict[str, Any], files: Path) -> list[dict[str, float]]:
    rng, value = np.random.default_rng(number), value_of(number)
    found = {name: {phase: rng.normal(0.01 * number, 0.1, 200) for phase in "PS"} for name in ("FP32", "INT8")}
    residual_table(found, 0.5).to_csv(files / RESIDUALS_FILE, index=False)
    peaks = Reliability(rng.uniform(1, 9, (2, 10, 3)))
    reliability_table({"FP32": peaks, "INT8": peaks}).to_csv(files / RELIABILITY_FILE, index=False)
    epochs = [{"dev/f1": value * epoch / 3, "dev/loss": 1 / epoch + number} for epoch in (1, 2, 3)]
    return [*epochs, {"dev/f1": value, "int8/bytes": 1000.0 * (number % 3 + 1)}]


def _classifier_reports(number: int, point: dict[str, Any], files: Path) -> list[dict[str, float]]:
    share, is_pretrained = point["data.few_shot_fraction"], point["model.start"] == "pretrained"
    value = 0.5 + 0.2 * is_pretrained + 0.1 * share + 0.02 * point["seed"] * (1 + is_pretrained)
    right = round(100 * value)
    names = ["before", "after"]
    table = pd.DataFrame([[right, 100 - right], [100 - right, right]], index=names, columns=names)
    table.rename_axis(index="true", columns="predicted").to_csv(files / CONFUSIONS_FILE)
    return [{"dev/macro_f1": value / 2}, {"dev/macro_f1": value}, {"dev/macro_f1": value}]


def write_documented(home: Home) -> Home:
    """Sweeps under the names that README and the pages of docs/ use, into the home's store, which is there."""
    settings = [settings_of(number) for number in range(NUM_TRIALS)]
    for name, number in {"distillation-1": NUM_TRIALS, "distillation-2": 4, "adaptation-1": 3}.items():
        points = [(one, 0) for one in settings[:number]]
        _record(home, name, named_sweep("distillation"), points, _picker_reports, failed=(1,))
    shots = named_sweep("foreshock-fewshot").changed(vary={"data.few_shot_fraction": [0.05, 1.0]}, seeds=[0, 1])
    points = [(point, seed) for seed in shots.seeds for point in enumerate_space(shots)]
    _record(home, "foreshock-fewshot-1", shots, points, _classifier_reports)
    both = named_sweep("distillation-ablation").changed(seeds=[0, 1])
    points = [(point, seed) for seed in both.seeds for point in enumerate_space(both)]
    _record(home, "distillation-ablation-1", both, points, _picker_reports)
    ablation = named_sweep("foreshock-ablation").changed(seeds=[0, 1])
    points = [
        (point | {"data.few_shot_fraction": 1.0}, s) for s in ablation.seeds for point in enumerate_space(ablation)
    ]
    _record(home, "foreshock-ablation-1", ablation, points, _classifier_reports)
    return home
