"""The ledger tells the same story again, whatever was cut off at its end."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seisweep.record.ledger import Ledger, finite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def write_story(file: Path) -> Ledger:
    ledger = Ledger(file)
    ledger.begin_session()
    for number in (0, 1):
        ledger.begin_trial(number, {"x": number / 2}, seed=0)
        for epoch in (1, 2, 3):
            ledger.report(number, {"epoch": epoch, "final": 0, "dev/f1": epoch / 10, "nan": math.nan})
            ledger.checkpoint(number, epoch, f"/c/{number}/{epoch}")
    ledger.report(0, {"epoch": 3, "final": 1, "dev/f1": 0.9})
    ledger.end_trial(0, "done")
    ledger.close()
    return ledger


def test_what_was_written_is_read_again(file):
    written, read = write_story(file), Ledger(file)
    assert {n: (r.state, r.epoch, r.final, r.checkpoints) for n, r in read.trials.items()} == {
        n: (r.state, r.epoch, r.final, r.checkpoints) for n, r in written.trials.items()
    }
    assert read.trials[0].metrics["dev/f1"] == 0.9
    assert read.trials[1].running
    assert not read.trials[0].running


def test_the_final_report_repeats_an_epoch_and_stands_one_step_later(file):
    write_story(file)
    steps = [report.step for report in Ledger(file).reports({0})]
    assert steps == [1, 2, 3, 4]


def test_an_epoch_that_ran_again_is_ignored(file):
    write_story(file)
    ledger = Ledger(file)
    assert ledger.report(1, {"epoch": 2, "dev/f1": 0.5}) is None
    assert ledger.report(1, {"epoch": 3, "dev/f1": 0.5}) is None
    assert ledger.report(0, {"epoch": 3, "final": 1, "dev/f1": 0.5}) is None
    assert ledger.report(1, {"epoch": 4, "dev/f1": 0.5}) is not None
    ledger.close()
    assert len(list(Ledger(file).reports({1}))) == 4


def test_timestamps_are_those_of_the_first_time(file):
    write_story(file)
    first = [report.time_ms for report in Ledger(file).reports()]
    again = Ledger(file)
    again.begin_session()
    again.begin_trial(1, {"x": 0.5}, seed=0)
    again.close()
    assert [report.time_ms for report in Ledger(file).reports()] == first
    assert Ledger(file).trials[1].epoch == 3  # beginning again forgets nothing


@given(cut=st.integers(0, 2000))
def test_a_ledger_cut_anywhere_is_a_ledger_that_ended_earlier(cut):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.jsonl"
        write_story(file)
        content = file.read_bytes()
        whole_lines = content[:cut].count(b"\n")
        file.write_bytes(content[:cut])
        ledger = Ledger(file)
        ledger.begin_session()
        ledger.close()
        lines = file.read_text().splitlines()
        assert len(lines) == whole_lines + 1
        assert all(json.loads(line) for line in lines)


def test_seconds_of_all_sessions_count(file):
    events = [
        {"event": "session", "time_ms": 1_000},
        {"event": "trial", "trial": 0, "params": {}, "seed": 0, "time_ms": 4_000},
        {"event": "session", "time_ms": 60_000},
        {"event": "end", "trial": 0, "state": "done", "reason": "", "time_ms": 62_000},
    ]
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    ledger = Ledger(file)
    assert ledger.seconds_used == pytest.approx(3 + 2)
    assert ledger.num_sessions == 2


def test_which_checkpoints_are_still_needed(file):
    write_story(file)
    ledger = Ledger(file)
    assert ledger.trials[0].kept == ["/c/0/3"]
    assert ledger.trials[1].kept == ["/c/1/2", "/c/1/3"]
    ledger.end_trial(1, "stopped")
    assert ledger.trials[1].kept == []


def test_a_trial_is_complete_with_the_checkpoint_of_its_final_report(file):
    ledger = write_story(file)
    assert ledger.trials[0].final
    assert not ledger.trials[0].complete, "its newest checkpoint is that of epoch 3"
    ledger = Ledger(file)
    ledger.checkpoint(0, 3, "/c/0/final", final=True)
    ledger.begin_trial(2, {}, seed=0)
    ledger.report(2, {"epoch": 1, "final": 1})
    ledger.close()
    assert Ledger(file).trials[0].complete
    assert Ledger(file).trials[2].complete, "a trial without any checkpoint has none to wait for"


def test_only_numbers_are_logged():
    assert finite({"a": 1.0, "b": math.nan, "c": math.inf}) == {"a": 1.0}


def test_each_event_is_on_the_disk_before_the_next_and_groups_together(file, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(file.read_bytes().count(b"\n")))
    ledger = Ledger(file)
    ledger.begin_session()
    ledger.begin_trial(0, {}, 0)
    assert synced == [1, 2]
    with ledger.grouped():
        ledger.report(0, {"epoch": 1, "dev/f1": 0.5})
        ledger.pass_barrier(1)
        assert synced == [1, 2]
    assert synced == [1, 2, 4]


@pytest.mark.parametrize(
    "line", ["no JSON", "[]", '{"event": "report", "trial": 7, "metrics": {}, "time_ms": 1}', "{}"]
)
def test_a_line_that_cannot_be_read_is_named(file, line):
    ledger = Ledger(file)
    ledger.begin_session()
    ledger.close()
    with file.open("a") as whole:
        whole.write(f"{line}\n")
    with pytest.raises(
        ValueError, match=rf"{file}, line 2 cannot be read \(.*restore the file from a backup"
    ) as caught:
        Ledger(file)
    assert "\n" not in str(caught.value)


def test_looking_changes_nothing(file):
    ledger = Ledger(file)
    ledger.begin_session()
    ledger.close()
    with file.open("a") as whole:
        whole.write('{"event": "tri')
    before = file.read_bytes()
    assert Ledger(file, read_only=True).num_sessions == 1
    assert file.read_bytes() == before
    missing = file.with_name("missing.jsonl")
    assert Ledger(missing, read_only=True).num_sessions == 0
    assert not missing.exists()


def test_a_clock_that_is_put_back_leaves_events_in_their_order_and_no_time_below_zero(file, monkeypatch):
    clock = {"wall": 10**13, "monotonic": 0}  # ms
    monkeypatch.setattr("time.time_ns", lambda: clock["wall"] * 10**6)
    monkeypatch.setattr("time.monotonic_ns", lambda: clock["monotonic"] * 10**6)
    ledger = Ledger(file)
    ledger.begin_session()
    ledger.begin_trial(0, {}, seed=0)
    clock["monotonic"] += 5000
    clock["wall"] -= 3_600_000
    ledger.report(0, {"epoch": 1, "dev/f1": 0.5})
    assert ledger.seconds_used == 5
    ledger.close()
    clock["wall"] -= 3_600_000
    again = Ledger(file)
    again.begin_session()
    clock["monotonic"] += 2000
    again.end_trial(0, "done")
    record = again.trials[0]
    assert record.ended_ms - record.started_ms == 7000
    assert again.seconds_used == 7
    clock["wall"] = 10**13 + 60_000
    assert again.begin_trial(1, {}, seed=0).started_ms == clock["wall"], "right again: so are the times"
    times = [json.loads(line)["time_ms"] for line in file.read_text().splitlines()]
    assert times == sorted(times)


def test_a_ledger_whose_clock_was_put_back_before_counts_no_time_below_zero(file):
    events = [{"event": "session", "time_ms": 9_000_000}, {"event": "trial", "trial": 0, "params": {}, "seed": 0}]
    file.write_text("".join(json.dumps({"time_ms": 1_000_000} | event) + "\n" for event in events))
    assert Ledger(file).seconds_used == 0
