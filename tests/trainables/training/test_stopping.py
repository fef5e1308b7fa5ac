from __future__ import annotations

import math

import pytest

from trainables.training.stopping import EarlyStopping


@pytest.mark.parametrize(("mode", "values"), [("max", [0.1, 0.5, 0.4, 0.5]), ("min", [0.5, 0.1, 0.2, 0.1])])
def test_stops_after_patience_epochs_without_improvement(mode, values):
    stopping = EarlyStopping(patience=2, mode=mode)
    improved = [stopping.update(value, epoch) for epoch, value in enumerate(values, start=1)]
    assert improved == [True, True, False, False]
    assert stopping.stop
    assert (stopping.best, stopping.best_epoch) == (values[1], 2)


def test_goes_on_from_its_state_with_the_configured_patience():
    first = EarlyStopping(patience=2, mode="max")
    first.update(0.5, 1)
    first.update(0.4, 2)
    again = EarlyStopping(patience=3, mode="max")
    again.load_state_dict(first.state_dict())
    again.update(0.4, 3)
    assert not again.stop
    assert again.best_epoch == 1


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_first_value_that_is_no_number_gives_way_to_any_number(mode):
    stopping = EarlyStopping(patience=3, mode=mode)
    improved = [
        stopping.update(value, epoch) for epoch, value in enumerate([math.nan, math.nan, 0.5, math.nan], start=1)
    ]
    assert improved == [True, False, True, False]
    assert (stopping.best, stopping.best_epoch, stopping.epochs_without) == (0.5, 3, 1)


def test_values_that_are_never_numbers_end_after_patience_epochs():
    stopping = EarlyStopping(patience=2, mode="min")
    assert [stopping.update(math.nan, epoch) for epoch in (1, 2, 3)] == [True, False, False]
    assert stopping.stop
