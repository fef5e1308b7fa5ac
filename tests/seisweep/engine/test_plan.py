"""The configuration of a trial: what the engine adds to what the sweep says."""

from __future__ import annotations

import pytest
from seisweep.engine.plan import Plan
from seisweep.engine.sweep_folder import Launch
from seisweep.record.ledger import TrialRecord
from seisweep.requested.trainable import Trainable
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import own_store

from search_spaces.distillation import distillation
from search_spaces.picking import picking


@pytest.fixture
def outputs_gb(tmp_path):
    """The room that a trial of a sweep gets for what its teacher answers."""

    def outputs_gb(sweep, asks_once=True) -> float:
        home = Home(tmp_path)
        sweep = sweep.changed(base=sweep.base | {"data.dataset": "ETHZ"})
        begun = Launch(home.sweep_dir("a-1"), "id", "a-1", sweep, Profile(), "", "", {}, asks_once=asks_once)
        plan = Plan(begun, home, own_store(home), Trainable.find(sweep.trainable), Profile())
        config, error = plan.configure(TrialRecord(0, {}, 0, 0))
        assert not error
        return config.get("teacher", {}).get("outputs_gb")

    return outputs_gb


def test_trials_that_share_a_seed_keep_what_their_teacher_answers(outputs_gb):
    assert outputs_gb(distillation()) == 4
    assert outputs_gb(distillation().changed(samples=1)) == 0, "there is nobody to keep it for"
    assert outputs_gb(distillation().changed(base={"teacher.outputs_gb": 0.5})) == 0.5
    assert outputs_gb(distillation().changed(base={"teacher.outputs_gb": 0})) == 0
    assert outputs_gb(picking()) is None


def test_a_sweep_of_an_earlier_version_goes_on_as_it_began(outputs_gb):
    assert outputs_gb(distillation(), asks_once=False) == 0
