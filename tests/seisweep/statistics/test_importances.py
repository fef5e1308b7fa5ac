"""Which setting matters for being among the best, whatever "best" means of a metric."""

from __future__ import annotations

import numpy as np
from seisweep.statistics.importances import importances
from seisweep.statistics.objective import Objective


def test_the_best_of_a_residual_are_those_nearest_to_zero():
    rng = np.random.default_rng(0)
    near, far = rng.random(60), rng.random(60)
    residuals = (near - 0.5) + (far > 0.5) * -10.0  # `near` decides who is nearest to zero, `far` who is most negative
    params = [{"near": float(a), "far": float(b)} for a, b in zip(near, far, strict=True)]
    found = importances(params, list(residuals), Objective("dev/p_residual_mean_s", "zero"))
    mirrored = importances(params, list(-residuals), Objective("dev/p_residual_mean_s", "zero"))
    assert found.equals(mirrored)
    best = sorted(range(60), key=lambda place: abs(residuals[place]))[:6]
    assert all(far[place] <= 0.5 for place in best)


def test_a_direction_and_its_mirror_image_give_the_same():
    rng = np.random.default_rng(1)
    params = [{"x": float(a), "y": float(b)} for a, b in rng.random((40, 2))]
    values = [one["x"] + 0.1 * one["y"] for one in params]
    most = importances(params, values, Objective("m", "max"))
    least = importances(params, [-value for value in values], Objective("m", "min"))
    assert most.equals(least)
    assert most.idxmax() == "x"
