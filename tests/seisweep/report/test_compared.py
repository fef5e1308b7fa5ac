"""Several sweeps in one table: the best of each, in what they differ, and what cannot be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seisweep import results
from seisweep.cli import run
from seisweep.record import tags
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.report.compared import Compared
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

from search_spaces.named import named_sweep
from search_spaces.sweep import Sweep
from trainables import metrics
from trainables.evaluation.counts import COUNTS_FILE, EventCounts, write_counts

Write = Callable[..., results.SweepResults]


@pytest.fixture
def record(engine_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a finished sweep: of each trial its searched settings, its seed and its metrics."""
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))

    def write(
        name: str,
        trials: list[tuple[dict[str, Any], int, dict[str, float]]],
        sweep: Sweep | None = None,
        data: str = "0123",
        config: dict[str, Any] | None = None,
        counts: list[EventCounts] | None = None,
    ) -> results.SweepResults:
        sweep = sweep or named_sweep("distillation")
        facts = {tags.DATASET: "quakes", tags.DATA_FINGERPRINT: data}
        ledger = Ledger(tmp_path / f"{name}.jsonl")
        tracker = Tracker(own_store(engine_home), sweep, name, f"id-{name}", facts)
        tracker.begin("", {"sweep": sweep.model_dump(mode="json")})
        for number, (params, seed, values) in enumerate(trials):
            (folder := tmp_path / name / str(number)).joinpath("artifacts").mkdir(parents=True)
            (folder / "tags.json").write_text(json.dumps({metrics.INT8_VERDICT: "accepted"}))
            if counts:
                write_counts(folder / "artifacts" / COUNTS_FILE, {"dev": counts[number]})
            whole = {"training": {"epochs": 50}, **(config or {})}
            tracker.trial_begins(ledger.begin_trial(number, params, seed), whole)
            tracker.report(ledger.report(number, {"epoch": 1, "final": 1, **values}))
            ledger.end_trial(number, "done")
            tracker.trial_ends(ledger.trials[number], folder)
        tracker.end("finished", ledger.trials[0] if trials else None)
        return results.load(name, engine_home.mlflow_uri)

    return write


def scored(value: float, size: int = 1000) -> dict[str, float]:
    return {"dev/f1": value, "dev/f1_low": value - 0.1, "dev/f1_high": value + 0.05, metrics.INT8_BYTES: size}


def lines(*sweeps: results.SweepResults) -> str:
    return "\n".join(Compared(sweeps, 3).lines())


def test_the_best_of_each_with_interval_verdict_and_bytes(record, capsys):
    record("a", [({"loss.alpha": 0.1}, 0, scored(0.5)), ({"loss.alpha": 0.2}, 0, scored(0.7))])
    record("b", [({"loss.alpha": 0.3}, 0, scored(0.6, 2000))])
    assert run(["results", "a", "b", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    heading = "dev/f1 95 %"
    assert [(row["sweep"], row["trial"], row["dev/f1"], row[heading]) for row in rows] == [
        ("a", 1, 0.7, "0.600 .. 0.750"),
        ("a", 0, 0.5, "0.400 .. 0.550"),
        ("b", 0, 0.6, "0.500 .. 0.650"),
    ]
    assert [row[metrics.INT8_BYTES] for row in rows] == [1000, 1000, 2000]
    assert {row[metrics.INT8_VERDICT] for row in rows} == {"accepted"}
    assert run(["results", "b", "a", "--top", "1", "--format", "csv"]) == 0
    assert [line.split(",")[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [["b", "0"], ["a", "1"]]


def test_what_was_varied_and_fixed_otherwise_is_said(record):
    base = named_sweep("distillation")
    one = record(
        "a",
        [({"loss.alpha": 0.1, "student.pooling": 2}, 0, scored(0.5))],
        base.changed(base={"training.epochs": 20}),
        config={"training": {"epochs": 20}},
    )
    other = record("b", [({"loss.alpha": 0.1}, 0, scored(0.6))])
    said = lines(one, other)
    assert "varied otherwise: student.pooling in a alone" in said
    assert "fixed otherwise: training.epochs 20 in a, 50 in b" in said
    assert "not comparable" not in said
    third = record("c", [({"loss.alpha": 0.4}, 0, scored(0.6))])
    assert "no setting differs" in lines(other, third)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"data": "4567"}, "on quakes (0123) in a, on quakes (4567) in b"),
        (
            {"sweep": named_sweep("distillation").changed(objectives={metrics.INT8_BYTES: "min"})},
            "ranked by dev/f1 in a, ranked by int8/bytes in b",
        ),
        ({"config": {"picks": {"tolerance_s": 0.2}}}, "picks.tolerance_s 0.5 in a, 0.2 in b"),
    ],
)
def test_what_cannot_be_compared_is_one_line(record, changes, part):
    one = record("a", [({"loss.alpha": 0.1}, 0, scored(0.5))], config={"picks": {"tolerance_s": 0.5}})
    other = record(
        "b", [({"loss.alpha": 0.1}, 0, scored(0.6))], **{"config": {"picks": {"tolerance_s": 0.5}}} | changes
    )
    said = [line for line in lines(one, other).splitlines() if line.startswith("not comparable: ")]
    assert said == [f"not comparable: {part}"]


def test_training_data_of_one_data_set_do_not_keep_from_comparing(record):
    trials = [({"loss.alpha": 0.1}, 0, scored(0.5))]
    one = record("a", trials, config={"data": {"sigma_samples": 30.0, "cache_dir": "/a"}})
    other = record("b", trials, config={"data": {"sigma_samples": 20.0, "cache_dir": "/b"}})
    assert "not comparable" not in lines(one, other)


def test_whether_the_best_differ_by_more_than_chance(record):
    rng = np.random.default_rng(0)
    good, bad = (_counts(rng, share) for share in (0.95, 0.4))
    one = record("a", [({"loss.alpha": 0.1}, 0, scored(0.95))], counts=[good])
    other = record("b", [({"loss.alpha": 0.1}, 0, scored(0.4))], counts=[bad])
    assert "the best two, trials a/0 and b/0, can be told apart on these 40 dev events" in lines(other, one)
    elsewhere = record("c", [({"loss.alpha": 0.1}, 0, scored(0.4))], counts=[bad], data="4567")
    assert "told apart" not in lines(one, elsewhere), "these are other events"


def _counts(rng: np.random.Generator, share: float) -> EventCounts:
    """Of forty events with ten arrivals each of either phase."""
    found = {phase: rng.binomial(10, share, 40) for phase in "PS"}
    nothing = {phase: np.zeros(40, dtype=int) for phase in "PS"}
    missed = {phase: 10 - right for phase, right in found.items()}
    return EventCounts([f"e{number:02}" for number in range(40)], found, nothing, missed)


def test_with_several_seeds_a_row_is_a_condition(record):
    grid = named_sweep("distillation-fewshot")
    points = [(share, seed) for share in (0.1, 1.0) for seed in (0, 1, 2)]
    trials = [({"data.few_shot_fraction": share}, seed, scored(share * 0.9 + 0.01 * seed)) for share, seed in points]
    one = record("shots", trials, grid)
    other = record("plain", [({"loss.alpha": 0.1}, 0, scored(0.6))])
    rows = Compared([one, other], 1).rows()
    assert [(row["sweep"], row["trial"], row["seeds"]) for row in rows] == [("shots", 5, 3), ("plain", 0, None)]
    assert rows[0]["dev/f1"] == pytest.approx(0.91)
    low, high = map(float, rows[0]["dev/f1 95 %"].split(" .. "))
    assert (low, high) == pytest.approx((0.885, 0.935), abs=1e-3), "Student's t with 2 degrees of freedom, sd 0.01"
    assert "shots: the mean over seeds" in lines(one, other)


def test_a_sweep_without_a_finished_trial_is_said(record, capsys):
    record("a", [({"loss.alpha": 0.1}, 0, scored(0.5))])
    record("nothing", [])
    assert run(["results", "a", "nothing"]) == 0
    printed = capsys.readouterr()
    assert "nothing: no trial has finished" in printed.err
    assert [line.split()[0] for line in printed.out.splitlines()] == ["sweep", "a"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("a a", "a is named twice"),
        ("a b --sort dev/f1", "--sort is for one sweep: give one sweep, or leave --sort out"),
        ("a b --by trial", "--by is for one sweep"),
        ("a b --baseline x=1", "--baseline is for one sweep"),
        ("a bb", "no sweep named bb in"),
    ],
)
def test_wrong_use_is_one_line(record, words, part, capsys):
    for name in "ab":
        record(name, [({"loss.alpha": 0.1}, 0, scored(0.5))])
    assert run(["results", *words.split()]) == 2
    printed = capsys.readouterr()
    assert part in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
