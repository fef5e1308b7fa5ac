"""Table and figures that a sweep with several seeds leaves in its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from seisweep.charts import conditions_folder, over_seeds
from seisweep.charts.style import style_of
from seisweep.record.ledger import Ledger
from seisweep.statistics.conditions import Baseline, Measured, group
from seisweep.statistics.objective import Objective

from search_spaces.named import named_sweep
from search_spaces.narrowing import enumerate_space
from search_spaces.sweep import Sweep
from trainables.export import drawing
from trainables.export.drawing import save

METRIC = "dev/macro_f1"
LOSS = Objective("dev/loss", "min")


def ledger_of(folder: Path, sweep: Sweep, seeds: int = 3, failed: tuple[int, ...] = ()) -> Ledger:
    """A grid that has run: four epochs a trial, the best one said again at the end."""
    rng = np.random.default_rng(0)
    ledger = Ledger(folder / "ledger.jsonl")
    points = [(seed, point) for seed in range(seeds) for point in enumerate_space(sweep)]
    for number, (seed, point) in enumerate(points):
        ledger.begin_trial(number, point, seed)
        reached = 0.5 + 0.3 * (point.get("model.start") == "pretrained") * (1 - point.get("freezing.fraction", 0))
        values = reached * (1 - np.exp(-np.arange(1, 5))) + rng.normal(0, 0.02, 4)
        for epoch, value in enumerate(values, start=1):
            ledger.report(number, {"epoch": epoch, METRIC: value})
        ledger.report(number, {"epoch": 4, "final": 1, METRIC: max(values)})
        ledger.end_trial(number, "failed" if number in failed else "done")
    return ledger


def dark(picture: Path, colour: str) -> int:
    """Pixels of this colour."""
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])
    return int((np.abs(imread(picture)[:, :, :3] * 255 - rgb).max(axis=2) < 12).sum())


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("foreshock-ablation", ["conditions.csv", "conditions.png", "learning_curves.png"]),
        ("foreshock-fewshot", ["conditions.csv", "conditions.png", "few_shot.png", "learning_curves.png"]),
    ],
)
def test_a_suite_leaves_its_conditions_and_figures(tmp_path, name, files):
    sweep = named_sweep(name)
    folder = conditions_folder.write_conditions(sweep, ledger_of(tmp_path, sweep, failed=(1,)), tmp_path / "conditions")
    assert folder == tmp_path / "conditions"
    assert sorted(file.name for file in folder.iterdir()) == files
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    table = pd.read_csv(folder / "conditions.csv")
    assert len(table) == len(enumerate_space(sweep))
    assert list(table["missing"]) == [0, 1, *[0] * (len(table) - 2)]
    baselines = table["model.start"] == "random"
    assert table.loc[~baselines, "baseline"].str.contains("model.start=random").all()
    assert list(table.loc[baselines, "pairs"]) == [0] * baselines.sum()
    assert (table.loc[~baselines, "difference_low"] > 0).all()
    for figure in folder.glob("*.png"):
        assert dark(figure, drawing.BLUE) > 50, "the first condition is drawn"
        assert dark(figure, drawing.VERMILION) > 50, "and the second, or the differences"


def test_written_again_it_replaces_the_old(tmp_path):
    sweep = named_sweep("foreshock-ablation")
    (tmp_path / "conditions").mkdir()
    (tmp_path / "conditions" / "few_shot.png").touch()
    (tmp_path / ".conditions.arriving").mkdir()  # of a driver that was killed
    (tmp_path / ".conditions.arriving" / "few_shot.png").touch()
    conditions_folder.write_conditions(sweep, ledger_of(tmp_path, sweep), tmp_path / "conditions")
    assert not (tmp_path / "conditions" / "few_shot.png").exists()


def test_without_two_seeds_of_a_condition_there_is_nothing_to_show(tmp_path):
    sweep = named_sweep("foreshock-classes")
    ledger = ledger_of(tmp_path, sweep, seeds=2, failed=(0, 1, 2, 3))
    assert conditions_folder.write_conditions(sweep, ledger, tmp_path / "conditions") is None
    assert not (tmp_path / "conditions").exists()


def test_a_metric_that_is_small_when_good_and_more_conditions_than_a_figure_holds(tmp_path):
    found = group(Measured({"x": x}, seed, x + seed) for seed in (0, 1) for x in range(30))
    shown, which = over_seeds._best(found, LOSS)
    assert [condition.params["x"] for condition in shown] == list(range(over_seeds.MOST_DRAWN))
    assert which == "; the best 24 of 30"
    assert over_seeds._best(found, Objective("dev/loss", "max"))[0][0].params["x"] == 6
    save(over_seeds.conditions(found, Baseline(found), LOSS), tmp_path / "conditions.png")
    assert dark(tmp_path / "conditions.png", drawing.BLUE) > 50


def test_lines_of_a_figure_differ_without_colour():
    styles = [style_of(number) for number in range(over_seeds.MOST_DRAWN)]
    assert len(set(styles)) == len(styles)
    assert len({style[1:] for style in styles[:8]}) == 8
