"""A report says what the record says, shows it to everybody, and asks nobody for anything."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from html_page import Page
from matplotlib.image import imsave
from seisweep import results
from seisweep.cli import run
from seisweep.record.ledger import Ledger
from seisweep.record.mlflow_server import base_url
from seisweep.record.tracker import Tracker
from seisweep.report import render
from seisweep.report.cells import MISSING
from seisweep.report.question import command_of
from seisweep.requested.sweep import narrow
from seisweep.settings.home import Home
from seisweep.settings.overrides import parse_overrides
from seisweep.settings.which_store import own_store

from search_spaces.named import named_sweep
from search_spaces.sweep import Sweep, single_run

NOTE = "<script>alert('x')</script> & \"quoted\" <img src=http://evil.test/x.png>"


Write = Callable[..., results.SweepResults]


@pytest.fixture
def record(engine_home: Home, tmp_path: Path) -> Write:
    """Writes a sweep with the tracker: of each trial its settings, seed, metrics and state."""

    def write(
        sweep: Sweep,
        trials: list[tuple[dict, int, dict, str]],
        note: str = "",
        end: str = "finished",
        name: str = "toy-1",
    ) -> results.SweepResults:
        ledger = Ledger(tmp_path / f"{name}.jsonl")
        facts = {"versions": "torch 2", "git_commit": "c0ffee", "git_dirty": "true", "data_fingerprint": "f00d"}
        tracker = Tracker(own_store(engine_home), sweep, name, name, facts)
        tracker.begin(note, {"sweep": sweep.model_dump(mode="json")}, len(trials))
        best = None
        for number, (params, seed, metrics, state) in enumerate(trials):
            artifacts = tmp_path / name / str(number) / "artifacts"
            artifacts.mkdir(parents=True)
            imsave(artifacts / "training_history.png", np.zeros((4, 4, 3)))
            tracker.trial_begins(ledger.begin_trial(number, params, seed), {"x": params, "deep": {"y": 1}})
            for epoch in (1, 2) if metrics else ():
                tracker.report(ledger.report(number, {"epoch": epoch, **metrics}))
            if state != "running":
                ledger.end_trial(number, state, "<b>bad</b> luck" if state == "failed" else "")
                tracker.trial_ends(ledger.trials[number], artifacts.parent)
            best = ledger.trials[number] if state == "done" and best is None else best
        if end != "running":
            tracker.end(end, best)
        return results.load(name, engine_home.mlflow_uri)

    return write


def picker(f1: float, size: int) -> dict[str, float]:
    """Metrics of a trial that ended with ONNX files."""
    return {
        "dev/f1": f1,
        "dev/p_f1": f1 + 0.01,
        "fp32/f1": f1,
        "fp32/p_f1": f1 + 0.01,
        "int8/f1": f1 - 0.005,
        "int8/p_f1": f1 - 0.002,
        "uncalibrated/f1": f1 - 0.001,
        "dev/s_picks_on_p_share": 0.04,
        "dev/s_picks_on_p_share_low": 0.01,
        "dev/s_picks_on_p_share_high": 0.09,
        "int8/s_picks_on_p_share": 0.05,
        "int8/f1_loss": 0.005,
        "int8/accepted": 1,
        "fp32/bytes": 3 * size,
        "int8/bytes": size,
        "fp32/latency_ms": 1.5,
        "int8/latency_ms": 0.75,
    }


def search(**fields: object) -> Sweep:
    return named_sweep("distillation").changed(**{"base": {"data.dataset": "/data/mine"}, **fields})


def point(number: int) -> dict[str, object]:
    return {"loss.alpha": number / 7, "student.base_channels": 8}


def test_a_page_of_a_search_says_what_the_results_say(record):
    trials = [(point(n), 0, picker(0.6 + n / 50, 54_932 + n), "done") for n in range(12)]
    trials += [(point(12), 0, {"dev/f1": 0.99}, "stopped"), (point(13), 0, {}, "failed")]
    sweep = record(search(samples=14), trials, NOTE)
    page = Page(render(sweep))

    assert sweep.best() == 11
    assert "Trial 11 is the best of 14: dev/f1 0.82." in page.text
    rows = page.table("trial")
    assert [int(row["trial"]) for row in rows] == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2], "the best ten, finished ones first"
    for row in rows:
        known = sweep.trials.loc[int(row["trial"])]
        assert float(row["dev/f1"]) == pytest.approx(known["dev/f1"], rel=5e-4)
        assert float(row["loss.alpha"]) == pytest.approx(known["loss.alpha"], rel=5e-4)
    models = next(table for table in page.tables if "int8/bytes" in table[0])
    first = dict(zip(*models[:2], strict=True))
    assert first["int8/bytes"] == "54,943"
    assert first["fp32/bytes"] == "164,829"
    assert first["int8/accepted"] == "accepted"
    assert [first[name] for name in ("fp32/latency_ms", "int8/latency_ms")] == ["1.5", "0.75"]
    measured = {row["on the dev split"]: row for row in page.table("on the dev split")}
    assert [measured["f1"][form] for form in ("PyTorch", "FP32 ONNX", "INT8 ONNX")] == ["0.82", "0.82", "0.815"]
    assert measured["bytes"]["PyTorch"] == MISSING
    assert measured["f1"]["before calibration"] == "0.819"
    assert measured["s_picks_on_p_share"]["PyTorch"] == "0.04 (0.010 .. 0.090)"
    assert measured["s_picks_on_p_share"]["INT8 ONNX"] == "0.05"

    assert page.table("reason") == [{"reason": "<b>bad</b> luck", "trials": "1", "which": "13"}]
    assert page.fact("loss.alpha") == "0 .. 1"
    assert page.fact("data.dataset") == "/data/mine"
    assert "DATA_DATASET=/data/mine" in page.text
    assert 'seisweep run distillation "data.dataset=${DATA_DATASET}" --samples 14' in page.text
    assert page.fact("code") == "c0ffee, with changes that were not committed"
    assert page.fact("data fingerprint") == "f00d"
    assert "seisweep confirm toy-1" in page.text, "one seed is no result"


def test_agreement_with_the_teacher_has_a_table_of_its_own_with_intervals(record):
    agreement = {"agreement/f1": 0.7, "agreement/f1_low": 0.6, "agreement/f1_high": 0.8, "agreement/p_f1": 0.75}
    agreement |= {
        "agreement/p_precision": 0.9,
        "agreement/p_recall": 0.65,
        "agreement/s_f1": 0.65,
        "agreement/p_picks": 60,
    }
    agreement["agreement/picks_of_one_teacher"] = 12
    page = Page(render(record(search(), [(point(0), 0, picker(0.8, 1000) | agreement, "done")])))
    both, p, s = page.table("agreement on")
    assert both["F1"] == "0.7 (0.600 .. 0.800)"
    assert [p["precision"], p["recall"], s["precision"]] == ["0.9", "0.65", MISSING]
    assert "Agreement with the teacher on held-out hours" in page.text
    assert "This is not truth" in page.text
    assert p["picks of the reference"] == "60"
    assert "picks that only one makes are not counted (12)" in page.text
    without = Page(render(record(search(), [(point(0), 0, picker(0.8, 1000), "done")], name="toy-2")))
    assert "Agreement" not in without.text


def test_a_page_asks_for_nothing_and_says_nothing_but_text(record):
    sweep = record(search(), [(point(n), 0, picker(0.6 + n / 50, 1000), "done") for n in range(2)], NOTE)
    text = render(sweep)
    page = Page(text)
    assert NOTE in page.text, "as it was typed"
    assert "<script" not in text
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    for tag, address in page.addresses:
        if tag == "a" and not address.startswith("#"):
            assert address.startswith(f"{base_url(sweep.tracking_uri)}/#/"), "where seisweep ui shows the home"
        elif tag == "a":
            assert address[1:] in page.ids
        else:
            assert address.startswith("data:")
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert len(page.ids) == len(set(page.ids))
    shown = " ".join(image["alt"] or "" for image in page.images)
    assert "The objective by epoch" in shown, "a chart of the sweep"
    assert "Accuracy against cost" not in shown
    assert "Accuracy against cost (pareto_front) is left out: the 2 finished trials cost the same" in page.text
    assert "Loss and scores by epoch: trial 1" in shown, "a figure of the best trial"
    assert all(image["alt"] for image in page.images)
    assert all((image["src"] or "").startswith("data:image/png;base64,iVBOR") for image in page.images)
    headings = [int(tag[1]) for tag in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(headings))
    run_ids = [one.info.run_id for one in sweep.runs.values()]
    assert all(any(run_id in address for _, address in page.addresses) for run_id in run_ids)


def test_several_seeds_are_conditions(record):
    suite = search(
        space=None, sampler="grid", seeds=[0, 1, 2], vary={"student.pooling": [2, 4]}, baseline={"student.pooling": 2}
    )
    values = {2: (0.5, 0.6, 0.7), 4: (0.6, 0.71, 0.79)}
    trials = [({"student.pooling": p}, s, {"dev/f1": values[p][s]}, "done") for s in range(3) for p in (2, 4)]
    sweep = record(suite, trials)
    page = Page(render(sweep))
    table = sweep.conditions().set_index("student.pooling")
    rows = {int(row["student.pooling"]): row for row in page.table("student.pooling")}
    for pooling, row in rows.items():
        assert float(row["dev/f1"]) == pytest.approx(table.loc[pooling, "mean"], rel=5e-4)
    assert float(rows[4]["difference"]) == pytest.approx(table.loc[4, "difference"], rel=5e-4)
    assert "Best on average: student.pooling=4, mean dev/f1 0.7 over 3 seeds" in page.text
    assert "Its difference from student.pooling=2 is +0.1" in page.text
    assert "zero lies outside" in page.text
    assert "The best single trial is 5, with dev/f1 0.79." in page.text
    assert "seisweep confirm" not in page.text


def test_a_confirmation_says_whether_the_winner_stays(record):
    again = search(
        space=None,
        sampler="grid",
        seeds=[7, 8],
        points=[{"loss.alpha": 0.1}, {"loss.alpha": 0.2}],
        confirms={"sweep": "first", "trials": [3, 1], "values": [0.9, 0.8]},
    )
    first = record(search(), [(point(n), 0, {"dev/f1": 0.6 + n / 10}, "done") for n in range(4)], name="first")
    values = {0.1: (0.80, 0.82), 0.2: (0.70, 0.72)}
    trials = [({"loss.alpha": a}, 7 + s, {"dev/f1": values[a][s]}, "done") for s in range(2) for a in values]
    page = Page(render(record(again, trials)))
    assert "The winner stays the winner: trial 3 is better than the next, trial 1, by 0.1" in page.text
    assert "seisweep confirm first --top 2 --seeds 2" in page.text
    assert page.fact("trains again") == "of first the trials 3, 1, the best first"
    rows = next(table for table in page.tables if table[0][:2] == ["trial", "in first"])
    assert [row[:2] for row in rows[1:]] == [["3", "0.9"], ["1", "0.8"]]
    said = Page(render(first)).text
    assert "toy-1 trained the best ones again on fresh seeds: the winner stays the winner" in said


def test_several_objectives_have_a_front(record):
    pareto = search(objectives={"dev/f1": "max", "int8/bytes": "min"})
    values = [(0.9, 3000), (0.8, 1000), (0.7, 2000)]
    sweep = record(pareto, [(point(n), 0, picker(f1, size), "done") for n, (f1, size) in enumerate(values)])
    page = Page(render(sweep))
    front = next(table for table in page.tables if table[0][:3] == ["trial", "dev/f1", "int8/bytes"])
    assert [row[0] for row in front[1:]] == ["0", "1"]
    assert [row[2] for row in front[1:]] == ["3000", "1000"]


@pytest.mark.parametrize(
    ("trials", "end", "words"),
    [
        ([], "running", "No trial has finished yet (none has begun)."),
        ([(point(0), 0, {"dev/f1": 0.5}, "running")], "running", "No trial has finished yet (1 not over)."),
        ([(point(0), 0, {}, "failed"), (point(1), 0, {}, "failed")], "failed", "No trial has finished (2 failed)."),
        ([(point(0), 0, {"dev/f1": 0.5}, "running")], "interrupted", "No trial has finished (1 interrupted)."),
    ],
)
def test_a_sweep_without_a_result_says_so(record, trials, end, words):
    page = Page(render(record(search(), trials, end=end)))
    assert words in page.text
    assert ("this is what is known so far" in page.text) == (end == "running")
    assert ("seisweep resume toy-1 goes on" in page.text) == (end == "interrupted")
    assert all("by epoch" in (image["alt"] or "") for image in page.images), "curves of what runs, nothing of a best"
    if end == "failed":
        assert page.table("reason")[0]["which"] == "0, 1"


def test_what_the_record_does_not_hold_is_left_out(record, engine_home):
    sweep = record(search(), [(point(0), 0, {"dev/f1": 0.5}, "done")])
    for file in engine_home.artifacts_dir.rglob("*"):
        if file.is_file():
            file.unlink()
    page = Page(render(results.load("toy-1", sweep.tracking_uri)))
    assert "Trial 0 is the only one: dev/f1 0.5." in page.text
    assert "To run it again" not in page.text
    assert [image["alt"] for image in page.images] == ["The objective by epoch, a line for each trial: sweep toy-1"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["data.dataset=ETHZ", "loss.alpha=0.2..0.6", "student.base_channels=4,8", "teacher.weights=stead"],
        ["data.dataset=/a folder/with 'quotes'", "data.p_columns=null"],
        ["student.pooling=4", 'data.dataset="12"', "export.enabled=false", "training.learning_rate=0.0001..0.01"],
    ],
)
def test_the_line_that_runs_it_again_leads_to_the_same_sweep(words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    changes = {"samples": 7, "seeds": [3], "scheduler": "hyperband", "grace_epochs": 4, "time_budget_s": 90.0}
    changes |= {"gpus_per_worker": 0.5}
    wanted = narrow(named_sweep("distillation"), parse_overrides(words), changes)
    line = command_of(wanted, "gpu")
    assert line is not None
    head, typed = shlex.split(line)[:3], shlex.split(line)[3:]
    assert head == ["seisweep", "run", "distillation"]
    first = typed.index("--samples")
    options = dict(zip(typed[first::2], typed[first + 1 :: 2], strict=True))
    assert options == {
        "--samples": "7", "--seed": "3", "--scheduler": "hyperband", "--grace-epochs": "4", "--time-budget": "90s",
        "--gpus": "0.5", "--profile": "gpu",
    }  # fmt: skip
    assert narrow(named_sweep("distillation"), parse_overrides(typed[:first]), changes) == wanted


def test_other_lines():
    single = single_run("distillation", {"loss.alpha": 0.3}, {"dev/f1": "max"})
    assert command_of(single) == "seisweep train distillation loss.alpha=0.3"
    assert command_of(search(reduction_factor=4)) is None, "no option says so"
    assert command_of(Sweep(name="mine", trainable="mine:train")) is None


def test_the_command_writes_a_page_and_says_where(record, engine_home, monkeypatch, tmp_path, capsys):
    record(search(), [(point(0), 0, {"dev/f1": 0.5}, "done")])
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    monkeypatch.chdir(tmp_path)
    assert run(["report", "toy-1"]) == 0
    said = capsys.readouterr()
    assert said.out == "./toy-1.html\n"
    assert (tmp_path / "toy-1.html").as_uri() in said.err
    assert Page((tmp_path / "toy-1.html").read_text()).text
    assert run(["report", "toy-1", "--output", "new/page.html"]) == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"], "no other file is left"


def test_wrong_use_is_one_line(record, engine_home, monkeypatch, tmp_path, capsys):
    record(search(), [])
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for words, complaint in (
        (["toy-2"], "did you mean toy-1?"),
        (["toy-1", "--output", str(tmp_path)], "is a folder: give a file"),
        (["toy-1", "--output", "file/page.html"], "cannot be written"),
    ):
        assert run(["report", *words]) == 2
        said = capsys.readouterr().err.strip()
        assert complaint in said
        assert "\n" not in said
    assert sorted(path.name for path in tmp_path.glob("*.html*")) == []


def test_an_ablation_answers_whether_the_combination_gets_the_best_of_both(record):
    values = {0.0: (0.50, 0.51, 0.50), 0.5: (0.70, 0.72, 0.71), 1.0: (0.60, 0.61, 0.60)}
    suite = named_sweep("distillation-ablation").changed(base={"data.dataset": "/data/mine"}, seeds=[0, 1, 2])
    trials = [({"loss.alpha": a}, s, {"dev/f1": values[a][s]}, "done") for s in range(3) for a in values]
    page = Page(render(record(suite, trials)))
    said = "That the combination of labels and teacher gets the best of both holds: its gain in dev/f1 is over labels"
    assert f"{said} alone +0.207" in page.text
