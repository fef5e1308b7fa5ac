"""Charts of whole sweeps: what can be drawn is drawn, the rest says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import seisweep
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from seisweep import charts
from seisweep.charts import of_search
from seisweep.cli import run
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.home import Home

PICKERS = ["learning_curves", "parallel_coordinates", "importances", "pareto_front", "residuals"]
CLASSIFIERS = ["learning_curves", "conditions", "few_shot", "importances", "confusion_matrices"]


@pytest.fixture
def many(recorded: Home) -> SweepResults:
    return seisweep.load("many-1", recorded.mlflow_uri)


@pytest.fixture
def shots(recorded: Home) -> SweepResults:
    return seisweep.load("shots-1", recorded.mlflow_uri)


def texts(figure: Figure) -> str:
    """All words of a figure, as they are drawn."""
    FigureCanvasAgg(figure).draw()
    words = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return "\n".join(word.get_text() for word in words)


def test_each_sweep_has_the_charts_of_its_kind(many, shots):
    assert list(charts.available(many)) == PICKERS
    assert list(charts.available(shots)) == CLASSIFIERS
    assert isinstance(charts.available(many)["pareto_front"](many), Figure)


def test_nothing_is_drawn_to_find_out_what_can_be(many, shots, monkeypatch):
    for kind in charts.CHARTS.values():
        monkeypatch.setattr(kind, "draw", lambda sweep: pytest.fail("this draws"))
    assert list(charts.available(many)) == PICKERS
    assert [name for name, kind in charts.CHARTS.items() if not kind.applicable(shots)] == [
        "pareto_front",
        "residuals",
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
    assert max(max(line.get_xdata(), default=0) for line in axes.lines) == 3, "the final report is no epoch"
    assert "trial 8: 0.908" in texts(axes.figure)
    assert "7 other trials" in texts(axes.figure), "the failed one among them"
    assert "pretrained" in texts(charts.learning_curves(shots))


def test_every_line_passes_its_settings(many):
    figure = charts.parallel_coordinates(many)
    words = texts(figure)
    for expected in ("learning_rate", "alpha", "base_channels", "none", "trial 8", "11 finished trials"):
        assert expected in words
    scale = of_search._scale("x", [1, 16, 4, None], log=False)
    assert scale.places.tolist() == pytest.approx([0, 2 / 3, 1 / 3, 1])
    assert list(scale.ticks.values()) == ["1", "4", "16", "none"]
    scale = of_search._scale("x", [0.5, None, 2.5], log=False)
    assert scale.places.tolist() == pytest.approx([0.15, 0, 1])
    assert list(scale.ticks.values()) == ["none", "0.5", "1.17", "1.83", "2.5"]
    assert of_search._scale("x", [0.001, 0.01, 0.1], log=True).places.tolist() == pytest.approx([0, 0.5, 1])


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
        (charts.confusion_matrices, many, "has left a confusion_matrix.csv: that is of classifiers"),
        (charts.residuals, shots, "has left a residuals.csv: that is of pickers"),
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


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("many-1 paretofront", "no kind of chart is named paretofront; did you mean pareto_front?"),
        ("mayn-1", "no sweep named mayn-1"),
        ("many-1 few_shot", "many-1 has one seed: conditions want several"),
        ("none-1 importances", "no trial of none-1 has finished (2 failed)"),
        ("many-1 --output file", "--output file is a file"),
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
