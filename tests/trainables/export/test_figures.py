from __future__ import annotations

import numpy as np
import pytest

from trainables.export.figures import residual_histograms
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
