"""What a notebook asks of sweeps: typed tables, curves, the best, the front, importances, several sweeps at once."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import seisweep
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.cli import run
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.results import from_server
from seisweep.results.from_server import ServerReader
from seisweep.results.open_store import open_store
from seisweep.results.tables import trials_frame
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store
from seisweep.statistics.importances import FEWEST, importances
from seisweep.statistics.objective import Objective
from seisweep.statistics.pareto import on_the_front
from simulated import NUM_TRIALS, settings_of

from search_spaces.named import named_sweep

SCORE = Objective("score", "max")


@pytest.fixture
def store(recorded: Home) -> str:
    return recorded.mlflow_uri


SCORE = Objective("score", "max")


@pytest.fixture
def many(store: str) -> results.SweepResults:
    return seisweep.load("many-1", store)


def test_what_varied_comes_first_and_is_typed(many):
    trials = many.trials
    keys = sorted(settings_of(1))
    assert list(trials.columns[:5]) == [*sorted(settings_of(0)), "loss.temperature"]
    assert sorted(many.params) == keys
    assert list(trials.columns[5:10]) == ["state", "seed", "reason", "epoch", "seconds"]
    assert list(trials.columns[10:]) == ["dev/f1", "dev/loss", "int8/bytes"]
    assert trials["student.base_channels"].dtype == "int64"
    assert trials["loss.temperature"].dtype == "float64"
    assert trials["loss.temperature"].isna().sum() == 4
    assert trials["int8/bytes"].dtype == "Int64", "bytes are whole, and the failed trial has none"
    assert trials.loc[1, "int8/bytes"] is pd.NA
    assert trials["int8/bytes"].sum() == 1000 * sum(n % 3 + 1 for n in range(NUM_TRIALS) if n != 1)
    for number in range(NUM_TRIALS):
        assert {key: trials.loc[number, key] for key in settings_of(number)} == settings_of(number)
    trials["state"] = "mine"
    assert many.trials.loc[0, "state"] == "done", "a table belongs to who asked for it"


def test_columns_with_gaps_and_of_several_kinds():
    rows = [{"a": 1, "b": True, "c": "x", "d": 1, "e": None}, {"b": None, "c": None, "d": 0.5}, {"a": 3, "d": "auto"}]
    frame = trials_frame(rows, ["a"])
    kinds = {name: str(frame[name].dtype) for name in "abcd"}
    assert kinds == {"a": "Int64", "b": "boolean", "c": "str", "d": "object"}
    assert frame["a"].sum() == 4
    assert frame["e"].isna().all()


def test_curves_of_all_trials_at_once_are_those_of_mlflow(many):
    curves = many.curves()
    assert list(curves.columns) == ["dev/f1", "dev/loss", "int8/bytes"]
    assert curves.index.names == ["trial", "step"]
    assert len(curves) == 3 * NUM_TRIALS
    client = MlflowClient(tracking_uri=many.tracking_uri)
    for number, trial in many.runs.items():
        for metric in trial.data.metrics:
            expected = {p.step: p.value for p in client.get_metric_history(trial.info.run_id, metric)}
            if many.state(number) == "done":  # the final report is not an epoch; what it alone says is at the last one
                final = expected.pop(4, None)
                expected = expected or {3: final}
            assert curves.loc[number, metric].dropna().to_dict() == expected
    one = many.curves("dev/loss")
    assert list(one.columns) == ["dev/loss"]
    assert len(one) == 3 * NUM_TRIALS


SCORE = Objective("score", "max")


@pytest.fixture
def toy(engine_home, toy_sweep, tmp_path) -> str:
    """A sweep `toy-1` of two trials and one epoch."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    tracker = Tracker(own_store(engine_home), toy_sweep(), "toy-1", "id", {})
    tracker.begin("", {})
    for number in (0, 1):
        tracker.trial_begins(ledger.begin_trial(number, {"x": 1.0}, 0), {})
        tracker.report(ledger.report(number, {"epoch": 1, "dev/f1": 0.5 + number / 10}))
        ledger.end_trial(number, "done")
        tracker.trial_ends(ledger.trials[number], None)
    return engine_home.mlflow_uri


def test_of_two_values_at_one_step_the_later_one_counts(toy):
    trial = seisweep.load("toy-1", toy).runs[0]
    MlflowClient(tracking_uri=toy).log_metric(trial.info.run_id, "dev/f1", 0.7, timestamp=2**41, step=1)
    assert seisweep.load("toy-1", toy).curves().loc[(0, 1), "dev/f1"] == 0.7


def test_a_value_that_is_no_number_stays_none(toy):
    trial = seisweep.load("toy-1", toy).runs[1]
    MlflowClient(tracking_uri=toy).log_metric(trial.info.run_id, "dev/f1", math.nan, timestamp=2**41, step=1)
    loaded = seisweep.load("toy-1", toy)
    assert math.isnan(loaded.trials.loc[1, "dev/f1"])
    assert math.isnan(loaded.curves().loc[(1, 1), "dev/f1"])
    assert loaded.best() == 0


def test_nothing_is_read_before_it_is_asked_for(store, monkeypatch):
    asked = []
    for name in ("trials", "points"):
        method = getattr(open_store(store).__class__, name)
        monkeypatch.setattr(
            open_store(store).__class__,
            name,
            lambda self, *given, _name=name, _method=method: asked.append(_name) or _method(self, *given),
        )
    loaded = seisweep.load("many-1", store)
    assert (loaded.objectives, asked) == ({"dev/f1": "max", "int8/bytes": "min"}, [])
    assert len(loaded.trials) == len(loaded.trials) == NUM_TRIALS
    assert asked == ["trials"]
    loaded.curves("dev/f1")
    loaded.curves("dev/f1")
    assert asked == ["trials", "points"]


def test_the_best_by_each_metric(many):
    assert many.best() == 8, "the failed trial is none"
    assert many.best("int8/bytes") == 0
    assert many.best("dev/loss") == 0
    assert many.best("dev/loss:max") == 11
    with pytest.raises(ValueError, match="no trial of many-1 has a metric dev/f2; did you mean dev/f1"):
        many.best("dev/f2")
    assert Objective.named("dev/f1", {"dev/f1": "min"}).direction == "min", "the sweep knows better"
    assert Objective.named("int8/f1_loss", {}).direction == "min"
    with pytest.raises(ValueError, match="is more of dev/magic better, or less"):
        Objective.named("dev/magic", {})


def test_the_front_is_what_nothing_dominates(many):
    front = many.pareto()
    trials = many.trials.query("state == 'done'")
    points = trials[["dev/f1", "int8/bytes"]].astype(float)

    def dominated(number: int) -> bool:
        mine = points.loc[number]
        better = (points["dev/f1"] >= mine["dev/f1"]) & (points["int8/bytes"] <= mine["int8/bytes"])
        return bool((better & (points != mine).any(axis=1)).any())

    assert sorted(front.index) == [number for number in points.index if not dominated(number)]
    assert front["dev/f1"].is_monotonic_decreasing
    assert many.pareto("dev/loss").index.tolist() == [0]
    assert many.pareto("dev/loss:max", "dev/f1").index.tolist() == [11, 10, 9, 8]


def test_equal_points_stand_together():
    assert on_the_front([(1, 2), (2, 1), (1, 2), (2, 2)]).tolist() == [True, True, True, False]
    rng = np.random.default_rng(0)
    points = rng.integers(0, 6, (200, 3))
    slow = [not any((other <= point).all() and (other < point).any() for other in points) for point in points]
    assert on_the_front(points).tolist() == slow


def test_importances_find_the_setting_that_matters(many):
    found = many.importances()
    assert found.idxmax() == "training.learning_rate"
    assert found.sum() == pytest.approx(1)
    assert list(found) == sorted(found, reverse=True)
    assert set(found.index) == set(settings_of(1)), "also settings that only some trials have"


def test_importances_without_a_space_and_with_words():
    rng = np.random.default_rng(0)
    params = [{"x": rng.random(), "norm": "ab"[rng.integers(2)]} for _ in range(40)]
    values = [one["x"] ** 2 for one in params]
    found = importances(params, values, SCORE)
    assert found.idxmax() == "x"
    assert found["x"] > 0.6
    with pytest.raises(ValueError, match=f"at least {FEWEST} finished trials with a score, there are 2"):
        importances(params[:2], values[:2], SCORE)
    with pytest.raises(ValueError, match="the same score"):
        importances(params, [1.0] * 40, SCORE)
    with pytest.raises(ValueError, match="39 of 40 trials share the best values of score"):
        importances(params, [1.0] * 39 + [0.5], SCORE)
    with pytest.raises(ValueError, match="a setting that varies"):
        importances([{"x": 1}] * 40, values, SCORE)
    with pytest.raises(ValueError, match="8 of 8 trials share the best values of score"):
        importances(params[:8], [0.1] * 7 + [0.2], SCORE)


def test_several_sweeps_as_one_table(store, many):
    table = seisweep.join(many, "none-1", "shots-1", tracking_uri=store)
    assert list(table.columns[:2]) == ["sweep", "trial"]
    assert table["sweep"].value_counts().to_dict() == {"many-1": NUM_TRIALS, "none-1": 2, "shots-1": 12}
    assert table["student.base_channels"].dtype == "Int64"
    part = table[table["sweep"] == "many-1"].set_index("trial")[list(many.trials.columns)]
    pd.testing.assert_frame_equal(part, many.trials, check_dtype=False)
    assert set(seisweep.sweeps(store)["name"]) == {"many-1", "none-1", "shots-1"}


def test_what_was_asked_for_is_in_the_record(many, engine_home):
    assert many.definition == named_sweep("distillation").changed(objectives=many.objectives)


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        (lambda s: s.best(), r"no trial of none-1 has finished \(2 failed\)"),
        (lambda s: s.pareto(), "no trial of none-1 has"),
        (lambda s: s.importances("dev/loss"), r"no trial of none-1 has finished \(2 failed\)"),
        (lambda s: s.curves("dev/lss"), "no trial of none-1 has a metric dev/lss; did you mean dev/loss"),
    ],
)
def test_a_sweep_without_finished_trials(store, ask, complaint):
    with pytest.raises(ValueError, match=complaint):
        ask(seisweep.load("none-1", store))


def test_wrong_questions_are_one_line_and_exit_code_2(store, monkeypatch, capsys):
    monkeypatch.setenv("SEISWEEP_HOME", str(Path(store.removeprefix("sqlite:///")).parent))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for words, complaint in [
        ("results mayn-1", "no sweep named mayn-1"),
        ("results mayn-1", "did you mean many-1"),
        ("results many-1 --sort dev/f2", "--sort dev/f2: no trial has it; did you mean dev/f1"),
    ]:
        assert run(words.split()) == 2
        printed = capsys.readouterr()
        assert complaint in printed.err
        assert printed.err.count("\n") == 1
        assert printed.out == ""


SCORE = Objective("score", "max")


@pytest.fixture
def silent_server():
    """Takes calls and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_server_that_does_not_answer_is_one_line_within_seconds(silent_server, home, monkeypatch, capsys):
    monkeypatch.setattr(from_server, "ANSWER_S", 0.3)
    with pytest.raises(ValueError, match=rf"server {silent_server} does not answer: nothing came within 0.3 s"):
        seisweep.load("many-1", silent_server)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
    (home / "profiles").mkdir(parents=True)
    (home / "profiles" / "gone.toml").write_text(f'tracking_uri = "{gone}"\n')
    for words in ("results many-1 --profile gone", "sweeps --profile gone"):
        assert run(words.split()) == 2
        assert capsys.readouterr().err == f"seisweep: the tracking server {gone} does not answer: Connection refused\n"


def test_stores_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        seisweep.load("many-1", f"sqlite:///{tmp_path / 'absent.db'}")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text.db").write_text("no database, and long enough that sqlite looks at it twice" * 20)
    with pytest.raises(ValueError, match="does not answer"):
        seisweep.load("many-1", f"sqlite:///{tmp_path / 'text.db'}")
    (tmp_path / "empty.db").touch()
    with pytest.raises(ValueError, match="no such table"):
        seisweep.sweeps(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(ValueError, match="cannot be opened"):
        seisweep.load("many-1", "postgresql+nodriver://host/db")


@pytest.mark.integration
def test_a_server_tells_the_same(many, tmp_path, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", many.tracking_uri, "--workers", "1"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)], env=os.environ | quiet, stdout=log, stderr=log, cwd=tmp_path
        )
        try:
            wait_for(port)
            remote = seisweep.load("many-1", f"http://127.0.0.1:{port}")
            pd.testing.assert_frame_equal(remote.trials, many.trials)
            pd.testing.assert_frame_equal(remote.curves(), many.curves())
            monkeypatch.setattr(from_server, "RUNS_A_CALL", 5)
            monkeypatch.setattr(from_server, "POINTS_A_CALL", 4)  # no room: run by run
            again = seisweep.load("many-1", f"http://127.0.0.1:{port}")
            pd.testing.assert_frame_equal(again.curves("dev/f1"), many.curves("dev/f1"))
            with pytest.raises(ValueError, match=r"no sweep named mayn-1 in .*; did you mean many-1"):
                seisweep.load("mayn-1", f"http://127.0.0.1:{port}")
            assert ServerReader(f"http://127.0.0.1:{port}").sweeps("it's none") == []
        finally:
            server.terminate()
            server.wait()


def wait_for(port: int, patience_s: float = 120) -> None:
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError("the server does not start")


def test_reading_results_needs_neither_torch_nor_ray_nor_mlflow(store):
    code = (
        f"import seisweep, sys; sweep = seisweep.load('many-1', {store!r})\n"
        "sweep.trials, sweep.curves(), sweep.best(), sweep.pareto()\n"
        "print({'torch', 'ray', 'mlflow', 'optuna', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
