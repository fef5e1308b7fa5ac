from __future__ import annotations

import numpy as np
import pytest

from trainables.export.figures import Example, example_picks, residual_histograms
from trainables.export.history import training_history

PNG = b"\x89PNG\r\n"
NONE = {"P": np.empty(0), "S": np.empty(0)}


def epoch(number: int) -> dict[str, float]:
    return {"train/loss": 1 / number, "train/task_loss": 0.8 / number, "dev/loss": 1 / number, "dev/f1": 0.1 * number}


@pytest.mark.parametrize("epochs", [1, 5])
@pytest.mark.filterwarnings("error")
def test_history_of_any_length(tmp_path, epochs):
    training_history([epoch(number + 1) for number in range(epochs)], tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(PNG)
    assert [file.name for file in tmp_path.iterdir()] == ["history.png"]


@pytest.mark.filterwarnings("error")
def test_residuals_where_one_phase_has_none(tmp_path):
    found = {"FP32": {"P": np.array([0.1, -0.2]), "S": np.empty(0)}, "INT8": NONE}
    residual_histograms(found, tmp_path / "residuals.png", tolerance_s=0.5)
    assert (tmp_path / "residuals.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("picks", [NONE, {"P": np.array([500, 2900]), "S": np.array([900])}])
@pytest.mark.filterwarnings("error")
def test_example_with_and_without_picks(tmp_path, picks):
    arrivals = {"P": np.array([510.5]), "S": np.array([910.0])}
    probabilities = {name: np.full((3, 3001), 0.2) for name in ("FP32", "INT8")}
    example = Example(np.zeros((3, 3001)), probabilities, arrivals, picks, {"P": 0.3, "S": 0.25})
    example_picks(example, tmp_path / "example.png")
    assert (tmp_path / "example.png").read_bytes().startswith(PNG)
