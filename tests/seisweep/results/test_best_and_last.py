"""Best and last are told apart: curves by epoch, `best/` for the weights that a trial ends with, and one column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from html_page import Page
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.cli import run
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.report import render
from seisweep.results import best_and_last
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

BEST_OF = {0: 0.8, 1: 0.6, 2: 0.7, 3: 0.5, 4: 0.3}
CURVES = {0: [0.4, 0.8, 0.5], 1: [0.6, 0.2], 2: [0.1, 0.7, 0.6], 3: [0.5, 0.4], 4: [0.2, 0.3]}
STATES = {0: "done", 1: "stopped", 2: "failed", 3: "interrupted", 4: "running"}


def best_so_far(values: list[float]) -> int:
    return max(range(len(values)), key=values.__getitem__) + 1


Write = Callable[..., MlflowClient]


@pytest.fixture
def write(engine_home: Home, toy_sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """A sweep with a trial in each state; `best_apart` as it is now, or as older sweeps go on."""
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))

    def written(best_apart: bool, says_best_epoch: bool = True) -> MlflowClient:
        sweep = toy_sweep(objectives={"dev/f1": "max"})
        ledger = Ledger(tmp_path / "ledger.jsonl")
        tracker = Tracker(own_store(engine_home), sweep, "toy-1", "id", {}, best_apart=best_apart)
        tracker.begin("", {})
        for number, curve in CURVES.items():
            tracker.trial_begins(ledger.begin_trial(number, {"x": number / 10}, 0), {})
            for epoch, value in enumerate(curve, start=1):
                metrics = {"epoch": epoch, "dev/f1": value, "train/loss": 1 / epoch, "fp32/bytes": 1000}
                metrics |= {"best_epoch": best_so_far(curve[:epoch])} if says_best_epoch else {}
                tracker.report(ledger.report(number, metrics))
            if STATES[number] == "done":
                final = {"final": 1, "dev/f1": max(curve), "int8/f1": 0.7, "fp32/bytes": 1001, "best_epoch": 2}
                tracker.report(ledger.report(number, {"epoch": len(curve)} | final))
            if STATES[number] in ("done", "stopped", "failed"):
                ledger.end_trial(number, STATES[number], "" if STATES[number] == "done" else "because")
                tracker.trial_ends(ledger.trials[number], None)
            if STATES[number] == "interrupted":
                tracker.end("interrupted", ledger.trials[0])
        tracker.end("finished", ledger.trials[0])
        return tracker.client

    return written


def history(client: MlflowClient, trial: int, metric: str) -> list[tuple[int, float]]:
    run = results.load("toy-1").run(trial)
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric)]


def test_the_final_report_is_no_epoch_of_mlflows_curves(write):
    client = write(best_apart=True)
    assert history(client, 0, "dev/f1") == [(1, 0.4), (2, 0.8), (3, 0.5)]
    assert history(client, 0, "best/dev/f1") == [(3, 0.8)]
    assert history(client, 0, "int8/f1") == [(3, 0.7)]
    assert [step for step, _ in history(client, 0, "fp32/bytes")] == [1, 3]
    assert history(client, 0, "best_epoch") == [(3, 2)]
    assert history(client, 0, "best/train/loss") == []


def test_a_trial_that_did_not_finish_has_the_scores_of_its_best_epoch(write):
    client = write(best_apart=True)
    assert [history(client, number, "best/dev/f1") for number in (1, 2, 3)] == [[(2, 0.6)], [(3, 0.7)], [(2, 0.5)]]
    assert results.load("toy-1").trials["epoch"].tolist()[:4] == [3, 2, 3, 2]


def test_where_nobody_says_the_best_epoch_the_last_report_counts(write):
    write(best_apart=True, says_best_epoch=False)
    assert results.load("toy-1").trials["dev/f1"].tolist() == [0.8, 0.2, 0.6, 0.4, 0.3]


def test_older_sweeps_go_on_as_they_began(write):
    client = write(best_apart=False)
    assert history(client, 0, "dev/f1") == [(1, 0.4), (2, 0.8), (3, 0.5), (4, 0.8)]
    assert history(client, 0, "best/dev/f1") == []


@pytest.mark.parametrize("best_apart", [True, False])
def test_a_trials_column_means_its_best_weights_in_both_forms(write, best_apart):
    write(best_apart)
    loaded = results.load("toy-1")
    found = loaded.trials["dev/f1"].tolist()
    assert found == (list(BEST_OF.values()) if best_apart else [0.8, 0.2, 0.6, 0.4, 0.3])
    assert not [name for name in loaded.metrics if name.startswith("best/")]
    assert loaded.ranked("dev/f1")[0] == 0
    assert loaded.trials.loc[0, "fp32/bytes"] == 1001
    assert results.sweeps()["best"].tolist() == [0.8]
    assert results.join("toy-1")["dev/f1"].tolist() == found


@pytest.mark.parametrize("best_apart", [True, False])
def test_curves_end_with_the_last_epoch_in_both_forms(write, best_apart):
    write(best_apart)
    loaded = results.load("toy-1")
    assert {number: loaded.curves("dev/f1").loc[number, "dev/f1"].tolist() for number in CURVES} == CURVES
    everything = loaded.curves()
    assert "best/dev/f1" not in everything
    assert everything.loc[0, "int8/f1"].dropna().to_dict() == {3: 0.7}


def test_tables_say_whose_scores_they_show(write, capsys):
    write(best_apart=True)
    run(["results", "toy-1"])
    assert "scores are of each trial's best weights" in capsys.readouterr().err
    assert "Scores are of each trial's best weights" in Page(render(results.load("toy-1"))).text


def test_costs_of_trials_without_files_are_those_of_their_architecture(write):
    write(best_apart=True)
    loaded = results.load("toy-1")
    assert best_and_last.whose_files(loaded, ["dev/f1", "int8/f1"]) == []
    (words,) = best_and_last.whose_files(loaded, ["dev/f1", "fp32/bytes"])
    assert words == "bytes and latencies of trials that did not finish are those of their architecture"


def test_of_older_sweeps_too(write, capsys):
    write(best_apart=False)
    run(["results", "toy-1"])
    whose = "scores are of the best weights of trials that finished, of the last epoch of all others"
    assert whose in capsys.readouterr().err


def test_mlflows_own_table_is_sorted_by_the_best_weights(write):
    import json

    client = write(best_apart=True)
    parent = results.load("toy-1").parent
    assert client.get_run(parent.info.run_id).data.metrics["best/dev/f1"] == 0.8
    view = json.loads(client.get_experiment(parent.info.experiment_id).tags["mlflow.sharedViewState.toy-1"])
    assert view["orderByKey"] == "metrics.`best/dev/f1`"
    assert "metrics.`best/dev/f1`" in view["selectedColumns"]
