"""Population based training: the worst really go on from the best one's weights, and a killed sweep knows it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from seisweep import results
from seisweep.engine.launch import launch, resume
from seisweep.engine.population import Population, check_population
from seisweep.record.ledger import Ledger
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile

TESTS = Path(__file__).resolve().parents[2]
LOCAL = Profile()


@pytest.fixture
def climbing(toy_sweep):
    """Builds a population of four that climb for six epochs, compared every two."""

    def build(**fields):
        defaults = {
            "trainable": "toy_trainable:climb",
            "space": "toy_trainable:climbing_space",
            "objectives": {"value": "max"},
            "scheduler": "pbt",
            "sampler": "random",
            "samples": 4,
            "epochs_key": "epochs",
            "perturbation_epochs": 2,
            "base": {"epochs": 6},
        }
        return toy_sweep(**{**defaults, **fields})

    return build


def read_ledger(home: Home) -> Ledger:
    ledger = Ledger(home.sweep_dir("toy-1") / "ledger.jsonl")
    ledger.close()
    return ledger


def by_epoch(ledger: Ledger) -> dict[tuple[int, int], tuple[float, float]]:
    """Value and rate of each trial at each epoch."""
    reports = [report for report in ledger.reports() if not report.final]
    return {(r.trial, r.epoch): (r.metrics["value"], r.metrics["pbt/rate"]) for r in reports}


def assert_values_are_what_was_taken_over(ledger: Ledger) -> None:
    """Every epoch adds its rate to the value before: the trial's own, or the donor's where it took over."""
    seen = by_epoch(ledger)
    donors = {(exploit.trial, exploit.epoch): exploit.donor for exploit in ledger.exploits}
    for (trial, epoch), (value, rate) in seen.items():
        if epoch > 1:
            before = donors.get((trial, epoch - 1), trial)
            assert value == pytest.approx(seen[before, epoch - 1][0] + rate), f"trial {trial}, epoch {epoch}"


@pytest.mark.integration
@pytest.mark.parametrize("concurrency", [1, 2])
def test_the_worst_go_on_from_the_best(local_ray, engine_home, climbing, concurrency):
    outcome = launch(climbing(), LOCAL, engine_home, name="toy-1", concurrency=concurrency)
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 6)] * 4
    ledger = read_ledger(engine_home)
    assert {exploit.epoch for exploit in ledger.exploits} <= {2, 4}
    seen = by_epoch(ledger)
    for epoch in (2, 4):
        values = {trial: seen[trial, epoch][0] for trial in range(4)}
        (exploit,) = [exploit for exploit in ledger.exploits if exploit.epoch == epoch]
        assert exploit.trial == min(values, key=values.__getitem__)
        assert exploit.donor == max(values, key=values.__getitem__)
        assert exploit.params["rate"] != seen[exploit.donor, epoch][1]
        assert seen[exploit.trial, epoch + 1][1] == exploit.params["rate"]
    assert_values_are_what_was_taken_over(ledger)

    loaded = results.load("toy-1", outcome.tracking_uri)
    assert list(loaded.trials["state"]) == ["done"] * 4
    assert list(loaded.exploits["trial"]) == [exploit.trial for exploit in ledger.exploits]
    assert {run.info.status for run in [loaded.parent, *loaded.runs.values()]} == {"FINISHED"}
    last = ledger.exploits[-1]
    assert f"epoch 4 from trial {last.donor}" in loaded.tags(last.trial)["pbt/exploits"]
    assert float(loaded.runs[last.trial].data.params["rate"]) == ledger.trials[last.trial].proposed["rate"]
    schedule = loaded.schedule(last.trial)["pbt/rate"]
    assert list(schedule.index) == [1, 2, 3, 4, 5, 6]
    assert schedule[4] == seen[last.donor, 4][1]
    assert schedule[5] == seen[last.trial, 5][1]
    kept = list(engine_home.sweep_dir("toy-1").glob("tune/session-*/trial-*/checkpoint_*"))
    assert len(kept) == 4, "the last checkpoint of each trial"


DRIVER = """
import sys
from pathlib import Path
from search_spaces.sweep import Sweep
from seisweep.engine.launch import launch
from seisweep.screen.live import PlainLines
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile

if __name__ == "__main__":
    sweep = Sweep.model_validate_json(Path(sys.argv[2]).read_text())
    launch(sweep, Profile(), Home(Path(sys.argv[1])), name="toy-1", concurrency=2, watch=PlainLines())
"""


@pytest.mark.integration
def test_a_population_that_is_killed_goes_on_as_if_nothing_had_happened(local_ray, engine_home, climbing, tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    sweep = climbing(base={"epochs": 6, "sleep_s": 0.2})
    (tmp_path / "sweep.json").write_text(sweep.model_dump_json())
    driver = subprocess.Popen(
        [sys.executable, str(tmp_path / "driver.py"), str(engine_home.root), str(tmp_path / "sweep.json")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ledger = engine_home.sweep_dir("toy-1") / "ledger.jsonl"
    for _ in range(1200):
        assert driver.poll() is None, driver.communicate()
        if ledger.exists() and '"epoch": 3' in ledger.read_text():
            break
        time.sleep(0.05)
    driver.kill()
    driver.communicate()
    assert len(read_ledger(engine_home).exploits) == 1

    outcome = resume("toy-1", None, engine_home, concurrency=1)
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 6)] * 4
    resumed = read_ledger(engine_home)
    assert_values_are_what_was_taken_over(resumed)
    undisturbed = launch(sweep, LOCAL, engine_home, name="toy-2")
    assert [row.metrics["value"] for row in outcome.rows] == [row.metrics["value"] for row in undisturbed.rows]
    loaded = results.load("toy-1", outcome.tracking_uri)
    steps = loaded.curves("value").reset_index().groupby("trial")["step"].apply(list)
    assert steps.tolist() == [[1, 2, 3, 4, 5, 6]] * 4
    assert len(loaded.exploits) == 2


@pytest.mark.integration
def test_ray_train_trials_take_over_too(local_ray, engine_home, climbing):
    profile = Profile(name="here", runner="ray-train")
    sweep = climbing(samples=2, base={"epochs": 3})
    outcome = launch(sweep, profile, engine_home, name="toy-1", concurrency=1)
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 3)] * 2
    ledger = read_ledger(engine_home)
    assert len(ledger.exploits) == 1
    assert_values_are_what_was_taken_over(ledger)


@pytest.mark.integration
def test_without_checkpoints_there_is_nothing_to_take_over(local_ray, engine_home, climbing):
    outcome = launch(climbing(samples=2, base={"epochs": 4, "saves": False}), LOCAL, engine_home, name="toy-1")
    assert {row.reason for row in outcome.rows} == {
        "pbt needs a checkpoint with the report of epoch 2, but there was none"
    }


def at_epoch_two(ledger: Ledger, values: list[float]) -> None:
    for number, value in enumerate(values):
        ledger.begin_trial(number, {"rate": 0.1 * (number + 1), "size": 1}, seed=0)
        ledger.report(number, {"epoch": 2, "value": value})
        ledger.checkpoint(number, 2, f"/checkpoints/{number}")


def test_a_barrier_holds_until_all_are_there(climbing, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    at_epoch_two(ledger, [0.1, 0.4, 0.2])
    population = Population(climbing(), {"epochs": 6}, ledger)
    assert (population.barrier, population.pass_barrier(), population.take()) == (2, [], None)
    at_epoch_two(ledger, [0.1, 0.4, 0.2, 0.3])
    (exploit,) = population.pass_barrier()
    assert (exploit.trial, exploit.donor, exploit.epoch, exploit.place) == (0, 1, 2, "/checkpoints/1")
    assert ledger.trials[0].params == exploit.params
    assert ledger.trials[0].proposed == {"rate": 0.1, "size": 1}
    assert population.barrier == 4
    assert population.take() is ledger.trials[0]


def test_a_trial_that_failed_is_not_waited_for(climbing, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    at_epoch_two(ledger, [0.1, 0.4, 0.2])
    ledger.begin_trial(3, {"rate": 0.5, "size": 1}, seed=0)
    population = Population(climbing(), {"epochs": 6}, ledger)
    assert population.pass_barrier() == []
    ledger.end_trial(3, "failed", "it was told to")
    assert [exploit.trial for exploit in population.pass_barrier()] == [0]


def test_half_written_exploits_are_completed_and_not_repeated(climbing, tmp_path):
    values = [0.1, 0.8, 0.2, 0.7, 0.3, 0.4, 0.5, 0.6]
    whole, cut = Ledger(tmp_path / "whole.jsonl"), tmp_path / "cut.jsonl"
    at_epoch_two(whole, values)
    expected = Population(climbing(samples=8), {"epochs": 6}, whole).pass_barrier()
    assert [exploit.trial for exploit in expected] == [0, 2]
    lines = whole.path.read_text().splitlines(keepends=True)
    cut.write_text("".join(lines[:-2]))  # the driver died between the two
    ledger = Ledger(cut)
    assert ledger.exploits == expected[:1]
    assert Population(climbing(samples=8), {"epochs": 6}, ledger).pass_barrier() == expected[1:]
    assert ledger.exploits == expected


def test_a_checkpoint_that_was_lent_is_kept_while_anybody_needs_it(climbing, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    at_epoch_two(ledger, [0.1, 0.4, 0.2, 0.3])
    Population(climbing(), {"epochs": 6}, ledger).pass_barrier()
    for epoch in (3, 4):
        ledger.checkpoint(1, epoch, f"/checkpoints/1-{epoch}")
    assert "/checkpoints/1" not in ledger.trials[1].kept
    assert ledger.shared("/checkpoints/1", ledger.trials[1]), "trial 0 begins there"
    for epoch in (3, 4):
        ledger.checkpoint(0, epoch, f"/checkpoints/0-{epoch}")
    assert not ledger.shared("/checkpoints/1", ledger.trials[0])
    assert not ledger.shared("/checkpoints/1", ledger.trials[1])


def test_no_trial_takes_over_from_its_equal(climbing, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    at_epoch_two(ledger, [0.3] * 4)
    assert Population(climbing(), {"epochs": 6}, ledger).pass_barrier() == []
    assert ledger.barrier == 2


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"space": None, "vary": {"rate": [0.1, 0.2]}}, "no range of real numbers is searched"),
        ({"base": {}, "vary": {"epochs": [3, 6]}}, "epochs cannot be searched"),
        ({"base": {"epochs": 2}}, "compares trials every 2 epochs and each has 2"),
    ],
)
def test_what_makes_no_sense_is_refused(climbing, fields, complaint):
    sweep = climbing(**fields)
    with pytest.raises(ValueError, match=complaint):
        check_population(sweep, sweep.base)


def test_a_population_cannot_grow(engine_home, climbing):
    from seisweep.engine.sweep_folder import Launch

    Launch(
        folder=engine_home.sweep_dir("toy-1"), id="id", name="toy-1", sweep=climbing(), profile=LOCAL, note="",
        created="", tags={},
    ).write()  # fmt: skip
    with pytest.raises(ValueError, match="toy-1 is a population, which was compared as a whole"):
        resume("toy-1", None, engine_home, extend=2)
