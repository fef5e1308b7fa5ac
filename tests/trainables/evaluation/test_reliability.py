from __future__ import annotations

import numpy as np
import pytest

from trainables.evaluation.picks import PickConfig
from trainables.evaluation.reliability import Reliability, reliability_table
from trainables.export.reliability import UNCALIBRATED, reliability_figure
from trainables.metrics import direction

PNG = b"\x89PNG\r\n"


def picked(*heights: float) -> np.ndarray:
    """A window with an S peak of each height at 300, 600 ..."""
    window_CT = np.zeros((3, 3001), dtype=np.float32)
    window_CT[1, 300 * np.arange(1, len(heights) + 1)] = heights
    return window_CT


def test_the_error_is_how_far_probabilities_are_from_how_often_there_is_an_arrival():
    arrivals = [{"P": np.empty(0), "S": np.array([300.0, 1200.0])}]
    found = Reliability.of(picked(0.85, 0.85, 0.21, 0.21)[None], arrivals, PickConfig())
    # Of two peaks at 0.85 one is true, of two at 0.21 one: (2 |0.5 - 0.85| + 2 |0.5 - 0.21|) / 4.
    assert found.error("S") == pytest.approx((0.7 + 0.58) / 4, abs=1e-6)
    assert found.error("P") is None
    assert found.metrics("fp32") == {"fp32/s_calibration_error": found.error("S")}
    assert direction("fp32/s_calibration_error") == "min"
    assert direction("dev/s_f1_at_0.3") == "max"


def test_batches_add_up_and_what_nobody_looked_for_does_not_count():
    windows_BCT = np.stack([picked(0.95, 0.4), picked(0.95), picked(0.6)])
    arrivals = [{"P": np.empty(0), "S": of} for of in (np.array([310.0]), np.array([900.0]), None)]
    whole = Reliability.of(windows_BCT, arrivals, PickConfig())
    parts = Reliability.zeros()
    for window in range(3):
        parts += Reliability.of(windows_BCT[window : window + 1], arrivals[window : window + 1], PickConfig())
    np.testing.assert_allclose(parts.counts_PHF, whole.counts_PHF)
    rows = reliability_table({"FP32": whole}).query("phase == 'S' and peaks > 0")
    assert rows[["from", "peaks", "arrivals"]].to_numpy().tolist() == [[0.4, 1, 0], [0.9, 2, 1]]


@pytest.mark.filterwarnings("error")
def test_the_figure_is_drawn_where_a_phase_has_no_peak(tmp_path):
    found = Reliability.of(picked(0.85, 0.3)[None], [{"P": np.empty(0), "S": np.array([300.0])}], PickConfig())
    reliability_figure(reliability_table({UNCALIBRATED: found, "FP32": found, "INT8": found}), tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(PNG)
