"""From the record of a sweep to the sweep that trains its best again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from seisweep import results
from seisweep.cli import run
from seisweep.engine.launch import launch, resume
from seisweep.record.ledger import Ledger
from seisweep.record.mlflow_server import base_url
from seisweep.record.tracker import Tracker
from seisweep.requested.confirmation import candidates, fresh_seeds, plan
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import own_store

from search_spaces.sweep import Sweep
from trainables.evaluation.bootstrap import paired_f1_difference
from trainables.evaluation.counts import EventCounts

X = [0.5, 0.2, 0.9, 0.4, 0.7]
F1 = [0.80, 0.95, 0.99, 0.90, 0.85]
STATES = ["done", "done", "stopped", "done", "failed"]


def written(home: Home, sweep: Sweep, name: str, trials: list[tuple[dict, int, float, str]], folder: Path, **changed):
    """A sweep in the store as its driver leaves it. `changed`: what every trial was configured with otherwise."""
    tracker = Tracker(own_store(home), sweep, name, f"id-{name}", {})
    ledger = Ledger(folder / f"{name}.jsonl")
    tracker.begin("", {"sweep": sweep.model_dump(mode="json")})
    for number, (params, seed, value, state) in enumerate(trials):
        config = {"x": 0.5, "size": 1, "training": {"epochs": 4, "batch_size": 8}, **params, **changed}
        tracker.trial_begins(ledger.begin_trial(number, params, seed), config)
        tracker.report(ledger.report(number, {"epoch": 4, "final": 1, "dev/f1": value}))
        ledger.end_trial(number, state)
        tracker.trial_ends(ledger.trials[number], None)
    tracker.end("finished", None)
    return results.load(name, home.mlflow_uri)


@pytest.fixture
def write(engine_home: Home, toy_sweep, tmp_path: Path, monkeypatch) -> Callable[..., results.SweepResults]:
    """Writes a sweep of the toy; by default five trials, three of which got to their end."""
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    usual = [({"x": x, "label": "1"}, 0, f1, state) for x, f1, state in zip(X, F1, STATES, strict=True)]

    def build(name: str = "toy-1", trials: list | None = None, fields: dict | None = None, **changed):
        sweep = toy_sweep(**{"samples": 5, "base": {"size": 1}, **(fields or {})})
        return written(engine_home, sweep, name, usual if trials is None else trials, tmp_path, **changed)

    return build


def test_the_best_finished_configurations_get_fresh_seeds(write):
    sweep, words = plan(write(), 2, 3, Overrides({}, {}))
    assert sweep.points == [{"label": "1", "x": 0.2}, {"label": "1", "x": 0.4}], "with their types: the label is text"
    assert sweep.seeds == [1, 2, 3]
    assert (sweep.sampler, sweep.scheduler, sweep.space, sweep.samples) == ("grid", "none", None, None)
    assert sweep.base == {"size": 1}
    assert sweep.confirms is not None
    assert (sweep.confirms.sweep, sweep.confirms.trials, sweep.confirms.values) == ("toy-1", [1, 3], [0.95, 0.9])
    assert words[0] == "the best 2 of toy-1 by dev/f1: trials 1 (0.95), 3 (0.9)"
    assert words[1].startswith("2 x 3 fresh seeds (1, 2, 3): 6 trials of at most 4 epochs, about ")
    assert len(words) == 2


def test_what_the_dev_events_can_show_is_said_before_anything_runs(write, monkeypatch):
    """Counts of trials that are recorded without files are not to be had: nothing is said then, as above."""
    found = [30, 34, 31, 36, 30, 33, 30]
    counts_NPF = {number: np.array([[[true + number, 0, 12]] * 2 for true in found]) for number in (1, 3)}
    events = {
        number: {"dev": EventCounts.of_events(list("abcdefg"), of_trial, ["P", "S"])}
        for number, of_trial in counts_NPF.items()
    }
    monkeypatch.setattr("seisweep.requested.confirmation.counts_of", lambda sweep, trial: events[trial])
    first = write()
    _, words = plan(first, 2, 3, Overrides({}, {}))
    difference, low, _ = paired_f1_difference(events[3]["dev"], events[1]["dev"])
    assert words[2] == (
        f"on its 7 dev events, the smallest difference in dev/f1 that can be shown is about {difference - low:.2g}, "
        "however many seeds there are"
    )
    assert len(plan(first, 1, 3, Overrides({}, {})).words) == 2, "there is nothing to compare"


def test_what_is_changed_is_changed_for_all(write):
    sweep, words = plan(write(), 2, 2, Overrides({"training.epochs": 2, "label": "b"}, {}))
    assert sweep.points == [{"x": 0.2}, {"x": 0.4}]
    assert sweep.base == {"size": 1, "training.epochs": 2, "label": "b"}
    assert sweep.confirms is not None
    assert sweep.confirms.settings == {"training.epochs": 2, "label": "b"}
    assert "of at most 2 epochs" in words[1]


def test_a_default_that_was_another_then_is_kept(write):
    sweep, words = plan(write(training={"epochs": 4, "batch_size": 16}), 1, 2, Overrides({}, {}))
    assert sweep.base == {"size": 1, "training.batch_size": 16}
    assert words[-1] == "as it was then, though the default is another today: training.batch_size=16"


def test_several_seeds_of_a_configuration_are_one_candidate_by_their_mean(write):
    trials = [({"x": x}, seed, value, "done") for x, seed, value in [(0.1, 0, 0.99), (0.1, 2, 0.5), (0.2, 0, 0.8)]]
    first = write(trials=trials, fields={"sampler": "grid", "seeds": [0, 2]})
    assert [(one.trial, one.value) for one in candidates(first)] == [(2, 0.8), (0, pytest.approx(0.745))]
    assert fresh_seeds(first, 3) == [1, 3, 4]


def test_smaller_is_better_where_the_sweep_says_so(write):
    first = write(fields={"objectives": {"dev/f1": "min"}})
    assert [one.trial for one in candidates(first)] == [0, 3, 1]


def test_a_confirmation_can_be_confirmed(write):
    sweep, _ = plan(write(), 2, 2, Overrides({}, {}))
    trials = [(point, seed, 0.9 - seed * point["x"], "done") for seed in (1, 2) for point in sweep.points or []]
    again, _ = plan(write("toy-1-confirm", trials, sweep.model_dump()), 1, 2, Overrides({}, {}))
    assert (again.points, again.seeds) == ([{"label": "1", "x": 0.2}], [0, 3])


WRONG_USE = {
    "toy-2": "no sweep named toy-2 in",
    "tyo-1": "did you mean toy-1?",
    "toy-1 --top 4": "--top 4: toy-1 has 3 finished configurations (of 5 trials",
    "toy-1 --top 0": "--top",
    "toy-1 --seeds 1": "a spread needs at least 2 seeds",
    "toy-1 --seeds few": "--seeds",
    "toy-1 x=0.1,0.2": "x has several values",
    "toy-1 x=0.1": "the trials 1 and 3 are one configuration",
    "toy-1 seed=3": "as many as --seeds says",
    "toy-1 training.epohcs=3": "unknown key training.epohcs; did you mean training.epochs",
    "toy-1 --name a/b": "--name a/b: a name is letters",
    "toy-1 --name taken": "a sweep named taken exists: go on with `seisweep resume taken`",
    "empty": "no trial of empty has finished",
    "population": "population is a population: its trials took over weights",
}


def test_wrong_use_is_one_line_and_starts_nothing(write, engine_home, capsys):
    write()
    write("empty", [({"x": 0.1}, 0, 0.5, "failed")])
    write("population", fields={"scheduler": "pbt"})
    engine_home.sweep_dir("taken").mkdir()
    for words, complaint in WRONG_USE.items():
        capsys.readouterr()
        assert run(["confirm", *words.split()]) == 2, words
        printed = capsys.readouterr()
        assert complaint in printed.err
        assert printed.err.count("\n") == 1, printed.err
        assert printed.out == ""
    assert [folder.name for folder in engine_home.sweeps_dir.iterdir()] == ["taken"]


def test_results_of_a_confirmation_answer_the_question(write, capsys):
    sweep, _ = plan(write(), 2, 3, Overrides({}, {}))
    f1 = {0.2: [0.90, 0.91, 0.92], 0.4: [0.95, 0.97, 0.96]}
    trials = [(point, seed, f1[point["x"]][seed - 1], "done") for seed in (1, 2, 3) for point in sweep.points or []]
    loaded = write("toy-1-confirm", trials, sweep.model_dump())
    assert loaded.confirms == sweep.confirms
    assert loaded.parent.data.tags["confirms"] == "toy-1"
    assert loaded.definition == sweep
    capsys.readouterr()
    assert run(["results", "toy-1-confirm", "--by", "condition"]) == 0
    heading, winner, other, _, answer, luck, few = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["trial", "in", "toy-1", "seeds"]
    assert (winner.split()[:4], other.split()[:4]) == (["1", "0.95", "3", "0.91"], ["3", "0.9", "3", "0.96"])
    assert answer.startswith("the winner does not stay the winner: trial 3 is better than trial 1 by 0.05 ")
    assert "had a dev/f1 of 0.95 there; with fresh seeds its mean is 0.91" in luck
    assert few.startswith("with 3 seeds, the smallest difference in dev/f1 that can be shown is ")
    assert run(["results", "toy-1-confirm", "--by", "condition", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["trial"] for row in rows] == [1, 3]
    assert rows[1]["p_holm"] == rows[1]["p"] < 0.05
    assert run(["results", "toy-1-confirm", "--baseline", "x=0.4"]) == 0
    assert "difference: from x=0.4" in capsys.readouterr().err, "a baseline of one's own gives the usual table"


@pytest.mark.integration
def test_a_confirmation_runs_and_is_resumed_like_any_sweep(local_ray, write, engine_home, capsys):
    sweep, _ = plan(write(), 2, 2, Overrides({"training.epochs": 2}, {}))
    outcome = launch(sweep, Profile(), engine_home, name="toy-1-confirm")
    assert [(row.params["x"], row.seed, row.epoch) for row in outcome.rows] == [
        (0.2, 1, 2), (0.4, 1, 2), (0.2, 2, 2), (0.4, 2, 2)
    ]  # fmt: skip
    again = resume("toy-1-confirm", None, engine_home)
    assert (again.state, len(again.rows), again.confirms) == ("finished", 4, sweep.confirms)
    table = pd.read_csv(engine_home.sweep_dir("toy-1-confirm") / "conditions" / "conditions.csv")
    assert list(table["trial"]) == [1, 3]
    assert run(["resume", "toy-1-confirm"]) == 0
    printed = capsys.readouterr()
    assert "the winner stays" in printed.out
    parent = results.load("toy-1", engine_home.mlflow_uri).parent
    place = f"/#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}?"
    assert f"first    {base_url(engine_home.mlflow_uri)}{place}" in printed.err
