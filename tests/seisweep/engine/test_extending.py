"""More trials for a sweep that is there: the search goes on, the record is one, a killed extension is resumed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from seisweep import results
from seisweep.engine.launch import launch, resume
from seisweep.engine.sweep_folder import Launch
from seisweep.record.ledger import Ledger
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile

TESTS = Path(__file__).resolve().parents[2]
LOCAL = Profile()


def study(home: Home, name: str) -> optuna.Study:
    file = str(home.sweep_dir(name) / "study.journal")
    storage = optuna.storages.journal.JournalStorage(optuna.storages.journal.JournalFileBackend(file))
    return optuna.load_study(study_name=None, storage=storage)


def begun(home: Home, sweep, **fields) -> Launch:
    """A sweep on disk that has not run a trial."""
    made = Launch(
        folder=home.sweep_dir("toy-1"), id="id", name="toy-1", sweep=sweep, profile=LOCAL, note="", created="",
        tags={"data_fingerprint": "toy"},
    )  # fmt: skip
    made.write()
    return made


@pytest.mark.integration
def test_a_finished_sweep_gets_more_trials_of_the_same_search(local_ray, engine_home, toy_sweep):
    sweep = toy_sweep(samples=3, base={"training.epochs": 4}, scheduler="none")
    first = launch(sweep, LOCAL, engine_home, name="toy-1", concurrency=1)
    longer = resume("toy-1", None, engine_home, concurrency=1, extend=2, same_as=sweep.changed(samples=20))
    assert (longer.state, len(longer.rows)) == ("finished", 5)
    whole = launch(sweep.changed(samples=5), LOCAL, engine_home, name="toy-2", concurrency=1)
    assert [row.params for row in longer.rows] == [row.params for row in whole.rows], "one search, not a second one"
    assert [row.params for row in longer.rows[:3]] == [row.params for row in first.rows]

    loaded = results.load("toy-1", longer.tracking_uri)
    assert longer.parent_run_id == first.parent_run_id
    assert list(loaded.trials["state"]) == ["done"] * 5
    assert {run.info.status for run in [loaded.parent, *loaded.runs.values()]} == {"FINISHED"}
    listed = results.sweeps(longer.tracking_uri).set_index("name")
    assert listed.loc["toy-1", ["state", "trials"]].tolist() == ["finished", 5]
    from mlflow.artifacts import load_dict

    described = load_dict(f"{loaded.parent.info.artifact_uri}/sweep.json")
    assert described["sweep"]["samples"] == 5
    again = resume("toy-1", None, engine_home)
    assert (again.state, len(again.rows)) == ("finished", 5), "resuming it adds nothing"


@pytest.mark.integration
def test_rungs_of_the_first_trials_judge_the_new_ones(local_ray, engine_home, toy_sweep):
    fields = {"scheduler": "asha", "grace_epochs": 1, "reduction_factor": 2, "sampler": "random"}
    good = toy_sweep(samples=1, base={"training.epochs": 4}, vary={"x": [0.3]}, **fields)
    launch(good, LOCAL, engine_home, name="toy-1")
    # The same sweep as its file says it, but for where it searches now: every new trial is worse than the first.
    file = engine_home.sweep_dir("toy-1") / "sweep.json"
    kept = json.loads(file.read_text())
    kept["sweep"]["base"]["x"] = 0.9
    kept["sweep"]["vary"] = {}
    file.write_text(json.dumps(kept))
    outcome = resume("toy-1", None, engine_home, extend=1)
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 4), ("stopped", 1)]


EXTENDS = """
import sys
from pathlib import Path
from seisweep.engine.launch import resume
from seisweep.screen.live import PlainLines
from seisweep.settings.home import Home

if __name__ == "__main__":
    resume("toy-1", None, Home(Path(sys.argv[1])), concurrency=1, extend=2, watch=PlainLines())
"""


@pytest.mark.integration
def test_an_extension_that_is_killed_goes_on_and_takes_another(local_ray, engine_home, toy_sweep, tmp_path):
    sweep = toy_sweep(samples=2, base={"training.epochs": 4, "sleep_s": 0.3}, scheduler="none")
    launch(sweep, LOCAL, engine_home, name="toy-1")
    script = tmp_path / "extends.py"
    script.write_text(EXTENDS)
    driver = subprocess.Popen(
        [sys.executable, str(script), str(engine_home.root)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ledger = engine_home.sweep_dir("toy-1") / "ledger.jsonl"
    of_the_third = '"event": "report", "trial": 2'
    for _ in range(1200):
        assert driver.poll() is None, driver.communicate()
        if ledger.read_text().count(of_the_third) >= 2:
            break
        time.sleep(0.1)
    driver.kill()
    driver.communicate()

    outcome = resume("toy-1", None, engine_home, extend=1)
    assert outcome.state == "finished"
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 4)] * 5
    assert [trial.state.name for trial in study(engine_home, "toy-1").trials] == ["COMPLETE"] * 5
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert {run.info.status for run in [loaded.parent, *loaded.runs.values()]} == {"FINISHED"}
    assert results.sweeps(outcome.tracking_uri)["trials"].tolist() == [5]
    steps = loaded.curves("dev/f1").reset_index().groupby("trial")["step"].apply(list)
    assert steps.tolist() == [[1, 2, 3, 4]] * 5


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"sampler": "grid", "vary": {"x": [0.1, 0.2]}}, "toy-1 is a grid, which has all its points"),
        ({"samples": None, "time_budget_s": 60}, "toy-1 is bounded by its time"),
    ],
)
def test_what_cannot_grow(engine_home, toy_sweep, fields, complaint):
    begun(engine_home, toy_sweep(**fields))
    with pytest.raises(ValueError, match=complaint):
        resume("toy-1", None, engine_home, extend=2)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"scheduler": "none"}, 'scheduler was "asha" and is "none" here'),
        ({"base": {"training.epochs": 9}}, "training.epochs was 6 and is 9 here"),
        ({"base": {}}, "training.epochs was 6 and is not given here"),
        ({"vary": {"size": [1, 2]}}, "size was not given and is .* here"),
    ],
)
def test_another_sweep_does_not_extend_it(engine_home, toy_sweep, fields, complaint):
    begun(engine_home, toy_sweep(base={"training.epochs": 6}))
    other = toy_sweep(**{"base": {"training.epochs": 6}, **fields})
    with pytest.raises(ValueError, match=complaint) as caught:
        resume("toy-1", None, engine_home, extend=2, same_as=other)
    assert "\n" not in str(caught.value)
    assert not (engine_home.sweep_dir("toy-1") / "ledger.jsonl").exists()


@pytest.mark.integration
def test_a_budget_that_is_used_up_admits_no_more(local_ray, engine_home, toy_sweep):
    made = begun(engine_home, toy_sweep(time_budget_s=1))
    ledger = made.folder / "ledger.jsonl"
    events = [{"event": "session", "time_ms": 0}, {"event": "sweep_end", "state": "finished", "time_ms": 5000}]
    ledger.write_text("".join(json.dumps(event) + "\n" for event in events))
    with pytest.raises(ValueError, match=r"the time budget of toy-1 \(1 s\) is used up"):
        resume("toy-1", None, engine_home, extend=1)
    read = Ledger(ledger)
    read.close()
    assert (read.outcome, read.samples) == ("finished", None)
