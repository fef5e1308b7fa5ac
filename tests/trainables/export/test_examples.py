"""Example picks: which windows are shown, what stands in them, and what the figure says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from trainables.data.batches import Batch, normalise
from trainables.evaluation.picks import PickConfig, fields_of_windows
from trainables.export import examples
from trainables.export.examples import Example, Examples, Marks, example_picks

THRESHOLDS = {"P": 0.3, "S": 0.3}
CONFIG = PickConfig()
NONE = np.empty(0)


def curve(*peaks: int) -> np.ndarray:
    """A probability with peaks at these samples."""
    time_T = np.arange(3001)
    return sum((0.8 * np.exp(-0.5 * ((time_T - peak) / 10) ** 2) for peak in peaks), np.zeros(3001))


def window(p: tuple[int, ...], s: tuple[int, ...]) -> np.ndarray:
    """Probabilities (C, T) with picks there."""
    return np.stack([curve(*p), curve(*s), 1 - curve(*p, *s).clip(0, 1)])


def seen(probabilities_BCT: np.ndarray, arrivals: list[dict], raw_BXT: torch.Tensor | None = None) -> Examples:
    found = Examples(THRESHOLDS, CONFIG)
    if raw_BXT is None:
        raw_BXT = 1000 * torch.randn(len(arrivals), 3, 3001, generator=torch.Generator().manual_seed(0))
    batch = Batch(raw_BXT, normalise(raw_BXT), torch.zeros(len(arrivals), 3, 3001))
    counted = fields_of_windows(probabilities_BCT, arrivals, THRESHOLDS, CONFIG)[..., :3]
    found.look(batch, arrivals, {"FP32": probabilities_BCT, "INT8": probabilities_BCT}, counted)
    return found


ARRIVALS = {"P": np.array([1000.0]), "S": np.array([1400.0])}
HIT, MISS, FALSE = window((1005,), (1410,)), window((1005,), ()), window((1005, 2200), (1410,))


def drawn(by_kind: dict[str, Example], tmp_path, monkeypatch: pytest.MonkeyPatch) -> Figure:
    """The figure as it is saved."""
    kept: list[Figure] = []

    def keep(figure: Figure, path) -> None:
        kept.append(figure)
        save(figure, path)

    save = examples.save
    monkeypatch.setattr(examples, "save", keep)
    example_picks(by_kind, tmp_path / "example_picks.png")
    assert (tmp_path / "example_picks.png").read_bytes().startswith(b"\x89PNG\r\n")
    return kept[0]


def words(figure: Figure) -> str:
    return "\n".join(word.get_text() for word in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_marks_say_what_became_of_each_arrival_and_pick():
    marks = Marks.of(curve(1005, 2200), np.array([1000.0, 1800.0]), 0.3, CONFIG)
    assert [list(samples) for samples in marks] == [[1005], [2200], [], [1000], [1800]]
    assert [list(samples) for samples in Marks.of(curve(1005), None, 0.3, CONFIG)] == [[], [], [1005], [], []]
    assert [len(samples) for samples in Marks.of(curve(1005), np.array([1000.0]), 0.9, CONFIG)] == [0, 0, 0, 0, 1]


def test_a_hit_a_miss_and_a_false_pick_are_found_whatever_their_order():
    found = seen(np.stack([FALSE, MISS, HIT]), [ARRIVALS] * 3).by_kind
    assert {kind: example.title for kind, example in found.items()} == {
        "a hit": "P and S found",
        "a miss": "P found; S missed",
        "a false pick": "P and S found; false pick of P",
    }


def test_what_there_is_not_is_not_shown_and_no_window_twice():
    assert list(seen(HIT[None], [ARRIVALS]).by_kind) == ["a hit"]
    both = window((1005, 2200), ())
    assert list(seen(both[None], [ARRIVALS]).by_kind) == ["a hit"], "its title says the rest"
    assert seen(window((), ())[None], [{"P": NONE, "S": NONE}]).by_kind == {}
    noise = seen(window((500,), ())[None], [{"P": NONE, "S": NONE}]).by_kind
    assert [example.title for example in noise.values()] == ["false pick of P"]


def test_a_phase_that_nobody_looked_for_is_neither_right_nor_wrong():
    found = seen(HIT[None], [{"P": np.array([1000.0]), "S": None}]).by_kind
    assert found["a hit"].title == "P found; pick of S"


@pytest.mark.filterwarnings("error")
def test_the_figure_has_units_and_says_what_is_dead(tmp_path, monkeypatch):
    raw_BXT = 1000 * torch.randn(3, 3, 3001, generator=torch.Generator().manual_seed(0))
    raw_BXT[:, 1] = 7.0
    figure = drawn(seen(np.stack([HIT, MISS, FALSE]), [ARRIVALS] * 3, raw_BXT).by_kind, tmp_path, monkeypatch)
    said = words(figure)
    assert len(figure.axes) == 3 * 4
    assert said.count("dead: no signal") == 3, "N, in each of the windows"
    for expected in ("time in window (s)", "probability", "share of", "peaks in the unit of the data set", "peak 3,"):
        assert expected in said
    (legend,) = figure.legends
    entries = [text.get_text() for text in legend.get_texts()]
    assert entries[:7] == [
        "P arrival", "P pick", "false P pick", "S arrival", "S pick", "arrival missed", "P probability, FP32",
    ]  # fmt: skip
    assert "probabilities, INT8" in entries


@pytest.mark.filterwarnings("error")
def test_one_example_of_one_file_is_a_figure_too(tmp_path, monkeypatch):
    example = Example(
        np.zeros((3, 3001)), np.zeros(3), {"FP32": window((), ())}, dict.fromkeys("PS", Marks(*[NONE] * 5)), THRESHOLDS
    )
    figure = drawn({"a hit": example}, tmp_path, monkeypatch)
    assert len(figure.axes) == 4
    assert "arrival missed" not in words(figure)
