"""Charts of whole sweeps: what can be drawn is drawn, the rest says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import seisweep
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from seisweep import charts
from seisweep.charts import of_search, over_epochs
from seisweep.cli import run
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.home import Home

from trainables.export.drawing import VERMILION

PICKERS = ["learning_curves", "parallel_coordinates", "importances", "pareto_front", "residuals", "reliability"]
CLASSIFIERS = ["learning_curves", "conditions", "few_shot", "importances", "confusion_matrices"]


@pytest.fixture
def many(recorded: Home) -> SweepResults:
    return seisweep.load("many-1", recorded.mlflow_uri)


@pytest.fixture
def shots(recorded: Home) -> SweepResults:
    return seisweep.load("shots-1", recorded.mlflow_uri)


def set_bytes(sweep: SweepResults, bytes_of: Callable[[int], float], and_latency: bool = False) -> None:
    """As if the INT8 files of its trials were of this size."""
    for number, trial in sweep.runs.items():
        trial.data.metrics["int8/bytes"] = bytes_of(number)
        if and_latency:
            trial.data.metrics["int8/latency_ms"] = 1.0 + number


def texts(figure: Figure) -> str:
    """All words of a figure, as they are drawn."""
    FigureCanvasAgg(figure).draw()
    words = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return "\n".join(word.get_text() for word in words)


def test_each_sweep_has_the_charts_of_its_kind(many, shots):
    assert list(charts.available(many)) == PICKERS
    assert list(charts.available(shots)) == CLASSIFIERS
    assert charts.left_out(many) == charts.left_out(shots) == []
    assert isinstance(charts.available(many)["pareto_front"](many), Figure)


def test_nothing_is_drawn_to_find_out_what_can_be(many, shots, monkeypatch):
    for kind in charts.CHARTS.values():
        monkeypatch.setattr(kind, "draw", lambda sweep: pytest.fail("this draws"))
    assert list(charts.available(many)) == PICKERS
    assert [name for name, kind in charts.CHARTS.items() if not kind.applicable(shots)] == [
        "pareto_front",
        "residuals",
        "reliability",
    ]


def test_the_front_is_filled_and_the_others_are_open(many):
    figure = charts.pareto_front(many)
    (axes,) = figure.axes
    others, stairs, front = axes.lines
    expected = many.pareto()
    assert sorted(front.get_xdata()) == sorted(expected["int8/bytes"])
    assert sorted(front.get_ydata()) == sorted(expected["dev/f1"])
    assert len(others.get_xdata()) == 11 - len(expected)
    assert np.all(np.diff(stairs.get_ydata()) >= 0), "more bytes never buy less"
    assert f"dominated by none ({len(expected)})" in texts(figure)


def test_curves_end_with_the_last_epoch_and_name_the_best(many, shots):
    axes = charts.learning_curves(many).axes[0]
    assert max(max(line.get_xdata(), default=0) for line in axes.lines) == 3, "the final report is not an epoch"
    assert "trial 8: 0.908" in texts(axes.figure)
    assert "7 other trials" in texts(axes.figure), "the failed one among them"
    assert "pretrained" in texts(charts.learning_curves(shots))


def test_a_trial_that_lies_below_the_picture_is_named():
    curves = {0: [(1, 0.8), (2, 0.9)], 1: [(1, 0.0), (2, 0.0)], 2: [(1, 0.0), (2, 0.85)]}
    assert over_epochs._outside(curves, 0.7, 0.95) == "trial 1"
    assert over_epochs._outside(curves, 0.0, 0.95) == ""


def test_every_line_passes_its_settings(many):
    figure = charts.parallel_coordinates(many)
    words = texts(figure)
    titles = [tick.get_text().replace("\n", " ") for tick in figure.axes[0].get_xticklabels()]
    assert titles == [
        "teacher's share (alpha)",
        "channels of the first level",
        "pooling factor",
        "learning rate",
        "temperature",
        "F1 on dev, mean of P and S",
    ]
    for expected in ("none", "best: trial 8", "11 finished trials"):
        assert expected in words
    scale = of_search._scale("x", [1, 16, 4, None], log=False)
    assert scale.places.tolist() == pytest.approx([0, 2 / 3, 1 / 3, 1])
    assert list(scale.ticks.values()) == ["1", "4", "16", "none"]
    scale = of_search._scale("x", [0.5, None, 2.5], log=False)
    assert scale.places.tolist() == pytest.approx([0.15, 0, 1])
    assert list(scale.ticks.values()) == ["none", "0.5", "1.17", "1.83", "2.5"]
    assert of_search._scale("x", [0.001, 0.01, 0.1], log=True).places.tolist() == pytest.approx([0, 0.5, 1])


def test_the_best_stands_out_among_parallel_lines(many):
    (axes,) = charts.parallel_coordinates(many).axes
    through_all = [line for line in axes.lines if len(line.get_xdata()) == 6]
    best = [line for line in through_all if line.get_color() == VERMILION]
    assert len(through_all) == 11
    assert len(best) == 1
    assert best[0].get_marker() == "o"
    assert best[0].get_linewidth() > max(line.get_linewidth() for line in through_all if line is not best[0])
    assert best[0].get_ydata()[-1] == 1, "it ends at the top of the objective"


def test_ticks_have_as_many_digits_as_tell_them_apart():
    assert list(of_search._numbers("x", [0.92071, 0.92074], log=False).ticks.values()) == [
        "0.92071",
        "0.92072",
        "0.92073",
        "0.92074",
    ]
    assert list(of_search._numbers("x", [0.1, 0.4], log=False).ticks.values()) == ["0.1", "0.2", "0.3", "0.4"]


def test_a_cost_that_hardly_differs_gets_no_axis(many):
    """Files of one architecture differ by a few bytes, which say nothing."""
    set_bytes(many, lambda number: 54981 + number)
    assert "pareto_front" not in charts.available(many)
    (line,) = charts.left_out(many)
    assert line == (
        "accuracy against cost (pareto_front) is left out: the 11 finished trials cost the same "
        "(size of the INT8 file (bytes) 54,981 to 54,992)"
    )
    with pytest.raises(ValueError, match=r"the 11 finished trials cost the same"):
        charts.pareto_front(many)


def test_beside_a_cost_that_differs_the_others_are_said(many, monkeypatch):
    set_bytes(many, lambda number: 54981 + number, and_latency=True)
    objectives = {"dev/f1": "max", "int8/bytes": "min", "int8/latency_ms": "min"}
    monkeypatch.setattr(SweepResults, "objectives", objectives)
    figure = charts.pareto_front(many)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "INT8 file: time of a window (ms)"
    assert axes.get_ylabel() == "F1 on dev, mean of P and S"
    assert "alike in all trials: size of the INT8 file (bytes) 54,981 to 54,992" in texts(figure)


def test_confusions_are_added_over_seeds(shots):
    figure = charts.confusion_matrices(shots)
    words = texts(figure)
    best = shots.conditions().sort_values("mean", ascending=False).iloc[0]
    right = 2 * round(100 * best["mean"])
    assert f"{right / 200:.1%} right" in words
    assert "pretrained" in words
    assert str(right) in words.split()


def test_residuals_are_those_of_the_tables(many):
    words = texts(charts.residuals(many))
    assert "trial 8: mean +0.08" in words
    assert "200 picks" in words


def test_a_chart_that_cannot_be_says_why(many, shots, recorded):
    for chart, sweep, complaint in [
        (charts.conditions, many, "many-1 has one seed"),
        (charts.few_shot, many, "many-1 has one seed"),
        (charts.confusion_matrices, many, "has left a confusion_matrix.csv, which is left by classifiers"),
        (charts.residuals, shots, "has left a residuals.csv, which is left by pickers"),
        (charts.reliability, shots, "has left a reliability.csv, which is left by pickers"),
        (charts.pareto_front, shots, "shots-1 has one objective"),
        (charts.importances, seisweep.load("none-1", recorded.mlflow_uri), "no trial of none-1 has finished"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            chart(sweep)


def test_plot_writes_files_and_names_them(recorded, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEISWEEP_HOME", str(recorded.root))
    monkeypatch.chdir(tmp_path)
    assert run(["plot", "many-1"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == [f"many-1-charts/{kind}.png" for kind in PICKERS]
    for file in map(Path, printed):
        picture = imread(file)
        assert picture.shape[0] > 300
        assert (picture[:, :, :3].min(axis=2) < 0.5).mean() > 0.003, "something is drawn"
    assert run(["plot", "shots-1", "few_shot", "--output", "here"]) == 0
    assert [file.name for file in (tmp_path / "here").iterdir()] == ["few_shot.png"]


@pytest.mark.parametrize(("format", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_plot_writes_what_is_asked_for(recorded, tmp_path, monkeypatch, capsys, format, begins):
    monkeypatch.setenv("SEISWEEP_HOME", str(recorded.root))
    monkeypatch.chdir(tmp_path)
    assert run(["plot", "many-1", "importances", "--format", format]) == 0
    assert capsys.readouterr().out.split() == [f"many-1-charts/importances.{format}"]
    (file,) = (tmp_path / "many-1-charts").iterdir()
    assert file.name == f"importances.{format}"
    assert file.read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("many-1 paretofront", "no kind of chart is named paretofront; did you mean pareto_front?"),
        ("mayn-1", "no sweep named mayn-1"),
        ("many-1 few_shot", "many-1 has one seed: conditions need several"),
        ("none-1 importances", "no trial of none-1 has finished (2 failed)"),
        ("many-1 --output file", "--output file is a file"),
        ("many-1 --format gif", "'gif' is not one of 'png', 'svg', 'pdf'"),
    ],
)
def test_wrong_use_of_plot(recorded, tmp_path, monkeypatch, capsys, words, complaint):
    monkeypatch.setenv("SEISWEEP_HOME", str(recorded.root))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run(["plot", *words.split()]) == 2
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is written"


def test_files_that_cannot_be_had_cost_their_chart_alone(many, monkeypatch):
    def away(number: int) -> Path:
        raise ValueError("the artifact store does not answer")

    monkeypatch.setattr(many, "artifacts", away)
    assert "residuals" not in charts.available(many)
    assert "learning_curves" in charts.available(many)
    with pytest.raises(ValueError, match="does not answer"):
        charts.residuals(many)
