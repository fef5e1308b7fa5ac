"""Conditions of a sweep with several seeds: what belongs together, mean and spread, paired differences."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import seisweep
from scipy import stats
from seisweep.cli import run
from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.screen import ending as closing
from seisweep.screen.ending import of_outcome
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store
from seisweep.statistics.conditions import Baseline, Estimate, Measured, as_frame, group, table_rows

from search_spaces.named import named_sweep
from search_spaces.narrowing import enumerate_space

RANDOM = {"model.start": "random"}
FULL = {"model.start": "pretrained", "freezing.schedule": "full"}
FROZEN = {"model.start": "pretrained", "freezing.schedule": "frozen"}


def trials(values: list[tuple[dict, list[float | None]]]) -> list[Measured]:
    """Of each condition its values with the seeds 0, 1, 2 ..., in the order of a grid: seed by seed."""
    num_seeds = max(len(of_condition) for _, of_condition in values)
    return [
        Measured(params | {"seed": seed}, seed, of_condition[seed])
        for seed in range(num_seeds)
        for params, of_condition in values
        if seed < len(of_condition)
    ]


def test_the_paired_interval_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.7, 0.1, 5), rng.normal(0.6, 0.1, 5)
    frame = as_frame(found := group(trials([(FULL, list(one)), (RANDOM, list(other))])), Baseline(found, RANDOM))
    row = frame.iloc[0]
    expected = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((expected.low, expected.high))
    assert row["difference"] == pytest.approx(np.mean(one - other))
    assert (row["mean"], row["sd"]) == pytest.approx((one.mean(), one.std(ddof=1)))
    expected = stats.t.interval(0.95, 4, loc=one.mean(), scale=stats.sem(one))
    assert (row["low"], row["high"]) == pytest.approx(expected)
    assert list(frame["pairs"]) == [5, 0]
    assert list(frame["baseline"]) == ["model.start=random", ""]
    assert math.isnan(frame.iloc[1]["difference"])


def test_only_seeds_that_both_have_are_compared():
    values = [(FULL, [0.9, 0.8, None, 0.6]), (RANDOM, [0.5, None, 0.1, 0.4])]
    frame = as_frame(found := group(trials(values)), Baseline(found, RANDOM))
    assert list(frame["seeds"]) == [3, 3]
    assert list(frame["missing"]) == [1, 1]
    assert frame.loc[0, "pairs"] == 2
    assert frame.loc[0, "difference"] == pytest.approx((0.4 + 0.2) / 2)


def test_one_seed_has_a_mean_and_no_spread():
    estimate = Estimate.of([0.5])
    assert (estimate.size, estimate.mean) == (1, 0.5)
    assert math.isnan(estimate.sd)
    assert math.isnan(estimate.low)
    assert math.isnan(Estimate.of([]).mean)


def test_conditions_are_what_varies_but_the_seed_in_the_order_of_the_grid():
    found = group(trials([(FULL, [1.0, 2.0]), (FROZEN, [3.0, 4.0]), (RANDOM, [5.0, math.nan])]))
    assert [condition.params for condition in found] == [FULL, FROZEN, RANDOM]
    assert found[1].values == {0: 3.0, 1: 4.0}
    assert found[1].trials == [1, 4]
    assert (found[2].values, found[2].missing) == ({0: 5.0}, 1)
    assert [condition.label() for condition in found] == ["pretrained, full", "pretrained, frozen", "random"]


def test_a_label_of_a_long_path_is_its_end():
    (one,) = group([Measured({"model.pretrained": f"/{'deep/' * 20}run-7/checkpoint", "norm": "group"}, 0, 0.5)])
    assert one.label().endswith("/deep/run-7/checkpoint, group")
    assert one.label().startswith("...")
    assert len(one.label()) == 40 + len(", group")


def test_an_ablation_has_one_baseline_and_a_few_shot_suite_one_for_each_share():
    for name in ("foreshock-ablation", "foreshock-fewshot", "distillation-fewshot"):
        sweep = named_sweep(name)
        found = group(Measured(point, 0, 0.5) for point in enumerate_space(sweep))
        baseline = Baseline.usual(found, sweep.baseline)
        for condition in found:
            other = baseline.of(condition)
            if sweep.baseline.items() <= condition.params.items():
                assert other is None
                continue
            assert other is not None
            assert sweep.baseline.items() <= other.params.items()
            if name == "foreshock-fewshot":
                assert other.params["data.few_shot_fraction"] == condition.params["data.few_shot_fraction"]


def test_a_baseline_agrees_in_what_it_has():
    """`freezing.schedule` is there only for pretrained weights: the random ones of the same share are the baseline."""
    points = [start | {"fraction": share} for share in (0.1, 1.0) for start in (FULL, FROZEN, RANDOM)]
    found = group(Measured(point, 0, 0.5) for point in points)
    baseline = Baseline(found, RANDOM)
    others = [baseline.of(condition) for condition in found]
    shares = [other.params["fraction"] if other else None for other in others]
    assert shares == [0.1, 0.1, None, 1.0, 1.0, None]
    assert "and else the same settings" in baseline.words


def test_the_first_condition_is_the_baseline_where_the_sweep_names_none_or_it_was_narrowed_away():
    found = group(trials([(FULL, [0.5]), (FROZEN, [0.4])]))
    assert Baseline.usual(found, {}).settings == FULL
    assert Baseline.usual(found, RANDOM).settings == FULL


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"model.start": "scratch"}, "baseline model.start=scratch: no trial has it; model.start is one of pretrained"),
        ({"model.strat": "random"}, "model.strat does not vary; did you mean model.start"),
        (RANDOM | {"freezing.schedule": "full"}, "no condition has all of these settings"),
    ],
)
def test_a_baseline_that_is_none(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        Baseline(group(trials([(FULL, [0.5]), (RANDOM, [0.4])])), settings)


def test_a_table_says_which_is_the_baseline_and_leaves_out_what_says_nothing():
    found = group(trials([(FULL, [0.9, 0.8]), (RANDOM, [0.5, 0.5])]))
    rows = table_rows(found, Baseline(found, RANDOM), "dev/macro_f1")
    assert "missing" not in rows[0]
    assert rows[1] | {"95 % interval": "baseline", "pairs": None, "sd": 0.0} == rows[1]
    assert rows[0]["dev/macro_f1"] == pytest.approx(0.85)
    assert rows[0]["95 % interval"] == "-0.2853 .. 0.9853"
    alone = group(trials([(FULL, [0.9, None])]))
    (row,) = table_rows(alone, Baseline(alone), "dev/macro_f1")
    assert row["missing"] == 1
    assert "difference" not in row


@pytest.fixture
def suite(engine_home: Home, toy_sweep, tmp_path: Path, monkeypatch) -> Outcome:
    """Two conditions with three seeds each, of which one trial failed."""
    sweep = toy_sweep(
        space=None, samples=None, sampler="grid", scheduler="none", seeds=[0, 1, 2], baseline={"x": 0.1},
        vary={"x": [0.2, 0.1]},
    )  # fmt: skip
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    ledger = Ledger(tmp_path / "ledger.jsonl")
    tracker = Tracker(own_store(engine_home), sweep, "toy-1", "id", {})
    tracker.begin("", {})
    rows = []
    for number in range(6):
        x, seed = (0.2, 0.1)[number % 2], number // 2
        tracker.trial_begins(ledger.begin_trial(number, {"x": x}, seed), {})
        tracker.report(ledger.report(number, {"epoch": 1, "dev/f1": x + seed * (1 + x), "dev/loss": 1.0}))
        ledger.end_trial(number, "failed" if number == 5 else "done")
        tracker.trial_ends(ledger.trials[number], None)
        record = ledger.trials[number]
        rows.append(TrialRow(number, "", record.state, metrics=record.metrics, params=record.params, seed=record.seed))
    files = tmp_path / "conditions"
    files.mkdir()
    (files / "conditions.png").write_bytes(b"figure")
    tracker.end("finished", ledger.trials[4], files)
    uri, parent = engine_home.mlflow_uri, tracker.parent_run_id
    return Outcome("toy-1", "finished", rows, rows[4], "", parent, uri, {"dev/f1": "max"}, baseline=sweep.baseline)


def test_conditions_of_a_sweep_in_the_store(suite):
    loaded = seisweep.load("toy-1", suite.tracking_uri)
    frame = loaded.conditions()
    assert list(frame["x"]) == [0.2, 0.1]
    assert list(frame["seeds"]) == [3, 2]
    assert list(frame["missing"]) == [0, 1]
    assert list(frame["mean"]) == pytest.approx([1.4, 0.65])
    assert frame.loc[0, ["baseline", "pairs"]].tolist() == ["x=0.1", 2]
    assert frame.loc[0, "difference"] == pytest.approx(0.15)
    assert loaded.conditions(baseline={"x": 0.2}).loc[1, "difference"] == pytest.approx(-0.15)
    assert list(loaded.conditions("dev/loss")["sd"]) == [0, 0]
    assert (loaded.files / "conditions" / "conditions.png").read_bytes() == b"figure"
    with pytest.raises(ValueError, match=r"no trial of toy-1 has a metric dev/f2; did you mean dev/f1"):
        loaded.conditions("dev/f2")


def test_results_show_conditions_below_the_trials(suite, capsys):
    assert run(["results", "toy-1", "--top", "1"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split() == ["trial", "state", "epoch", "dev/f1", "seed", "x"]
    assert lines[1].split() == ["4", "done", "1", "2.6", "2", "0.2"]
    assert lines[2] == ""
    assert lines[3].split("  ")[0] == "  x" or lines[3].split()[0] == "x"
    assert len(lines) == 6
    assert lines[5].split()[-1] == "baseline"
    assert "difference: from x=0.1, over the seeds of both" in printed.err


def test_results_write_conditions_for_programs(suite, capsys):
    assert run(["results", "toy-1", "--by", "condition", "--format", "json", "--baseline", "x=0.2"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[1]["difference"] == pytest.approx(-0.15)
    assert rows[0]["difference"] is None
    assert run(["results", "toy-1", "--by", "condition", "--format", "csv"]) == 0
    table = pd.read_csv(pd.io.common.StringIO(capsys.readouterr().out))
    assert list(table["mean"]) == pytest.approx([1.4, 0.65])
    assert run(["results", "toy-1", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("trial,seed,x,state"), "programs that read trials go on reading trials"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--baseline x=7", "baseline x=7: no trial has it; x is one of 0.2, 0.1"),
        ("--baseline x=0.1,0.2", "--baseline x has several values"),
        ("--by condition --sort x", "--sort applies to trials"),
        ("--by trial --baseline x=0.1", "--baseline compares conditions"),
        ("--by seed", "'seed' is not one of"),
    ],
)
def test_wrong_use_of_results(suite, capsys, words, complaint):
    assert run(["results", "toy-1", *words.split()]) == 2
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.out == ""


def test_the_end_of_a_sweep_shows_its_conditions(suite, capsys):
    (Home.find().sweep_dir("toy-1") / "conditions").mkdir(parents=True)
    closing.show(suite)
    printed = capsys.readouterr()
    tables = printed.out.split("\n\n")
    assert len(tables) == 2
    assert tables[1].splitlines()[0].split()[:3] == ["x", "seeds", "missing"]
    assert "difference: from x=0.1" in printed.err
    assert "figures and table of the conditions: " in printed.err


def test_a_sweep_of_one_seed_has_no_second_table(capsys):
    rows = [TrialRow(n, "", "done", metrics={"dev/f1": 0.5}, params={"x": n}) for n in range(2)]
    assert of_outcome(Outcome("toy-1", "finished", rows, rows[0], "", "", "", {"dev/f1": "max"})) == []
