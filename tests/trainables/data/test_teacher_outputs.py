from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.data import teacher_outputs
from trainables.data.teacher_outputs import BLOCK_WINDOWS, FOLDER, AskedOnce, KeptAnswers, window_keys

WINDOWS_BXT = torch.randn(BLOCK_WINDOWS, 3, 32, generator=torch.Generator().manual_seed(0)) * 30
GB = 1e-9
"""A byte."""

WRITER = """
import sys, torch
from pathlib import Path
from trainables.data.teacher_outputs import KeptAnswers, window_keys
kept, generator = KeptAnswers(Path(sys.argv[1]), "f", (3, 40), 10**9), torch.Generator().manual_seed(int(sys.argv[2]))
for number in range(int(sys.argv[3])):
    windows_BXT = torch.randn(64, 3, 40, generator=generator)
    key_B = window_keys(windows_BXT)
    if kept.read(key_B) is None:
        kept.keep(key_B, windows_BXT.half().numpy())
        for writing in kept._writing:
            writing.result()
    print(number, flush=True)
kept.close()
"""
"""Keeps windows as their own answers."""


class CountingTeacher(torch.nn.Module):
    """Answers with the windows themselves, and counts how many it was asked."""

    asked = 0

    def forward(self, raw_BXT):
        self.asked += len(raw_BXT)
        return raw_BXT / 10


def asked_once(folder, teacher, budget_gb=1.0, identity=("weights",), is_distribution=True):
    return AskedOnce(teacher, identity, folder, budget_gb, heard_samples=32, is_distribution=is_distribution)


def blocks(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).rglob("*.answers"), key=lambda file: file.stat().st_mtime_ns)


def ask_all(folder, teacher, batch_size=32, **settings):
    """A training of one epoch; its answers, and how many windows the teacher was asked for."""
    asked = asked_once(folder, teacher, **settings)
    before = teacher.asked
    answers = torch.cat([asked(batch_BXT) for batch_BXT in WINDOWS_BXT.split(batch_size)])
    asked.close()
    return answers, teacher.asked - before


def test_a_second_training_reads_what_the_first_asked_whatever_its_batches(tmp_path):
    first, asked = ask_all(tmp_path, CountingTeacher())
    second, asked_again = ask_all(tmp_path, CountingTeacher(), batch_size=48)
    assert (asked, asked_again) == (BLOCK_WINDOWS, 0)
    assert torch.equal(first, second), "who asks first gets the rounded answer too"


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_a_softened_answer_is_that_of_the_teacher_but_for_rounding(tmp_path, temperature):
    answers, _ = ask_all(tmp_path, CountingTeacher())
    expected = CountingTeacher()(WINDOWS_BXT)
    softened, expected = ((logits / temperature).softmax(1) for logits in (answers, expected))
    torch.testing.assert_close(softened, expected, rtol=0, atol=2e-3 / temperature)


def test_curves_are_kept_as_they_are(tmp_path):
    answers, _ = ask_all(tmp_path, CountingTeacher(), is_distribution=False)
    torch.testing.assert_close(answers, WINDOWS_BXT / 10, rtol=2**-11, atol=1e-6)


def test_another_teacher_is_asked_for_itself(tmp_path):
    ask_all(tmp_path, CountingTeacher())
    assert ask_all(tmp_path, CountingTeacher(), identity=("others",))[1] == BLOCK_WINDOWS


def test_a_window_that_differs_in_one_bit_has_another_key():
    other_BXT = WINDOWS_BXT.clone()
    other_BXT[:, 2, 31] = torch.nextafter(other_BXT[:, 2, 31], torch.tensor(1e9))
    keys = np.concatenate([window_keys(WINDOWS_BXT), window_keys(other_BXT)])
    assert len(np.unique(keys)) == 2 * BLOCK_WINDOWS
    assert (window_keys(WINDOWS_BXT[5:7]) == keys[5:7]).all()


def test_the_teacher_answers_in_float32_where_training_computes_in_bfloat16(tmp_path):
    teacher = torch.nn.Conv1d(3, 3, 1).requires_grad_(False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answers = asked_once(tmp_path, teacher, is_distribution=False)(WINDOWS_BXT)
    torch.testing.assert_close(answers, teacher(WINDOWS_BXT), rtol=2**-11, atol=1e-6)


def test_a_budget_removes_what_was_not_used_for_longest(tmp_path):
    for name in ("old", "older", "used"):
        ask_all(tmp_path, CountingTeacher(), identity=(name,))
    old, older, used = blocks(tmp_path)
    size = used.stat().st_size
    for age_s, file in enumerate([used, old, older]):
        os.utime(file, (time.time() - 1000 * (age_s + 1),) * 2)
    ask_all(tmp_path, CountingTeacher(), identity=("used",))  # reads it
    ask_all(tmp_path, CountingTeacher(), budget_gb=3.2 * size * GB, identity=("new",))
    assert older not in blocks(tmp_path)
    assert {old, used} < set(blocks(tmp_path))
    assert sum(file.stat().st_size for file in blocks(tmp_path)) <= 3.2 * size


def test_what_is_used_now_is_not_removed_and_a_full_budget_is_said_once(tmp_path, caplog):
    teacher, window_bytes = CountingTeacher(), 8 + 2 * 2 * 32
    asked = asked_once(tmp_path, teacher, budget_gb=1.5 * BLOCK_WINDOWS * window_bytes * GB)
    for number in range(4):
        answers = asked(WINDOWS_BXT + number)
        for writing in asked.kept._writing:
            writing.result()
    asked.close()
    assert len(blocks(tmp_path)) == 1
    (line,) = caplog.messages
    assert "is full with outputs that trials are using" in line
    assert torch.equal(answers, asked_once(tmp_path / "other", teacher)(WINDOWS_BXT + 3))
    assert ask_all(tmp_path, CountingTeacher())[1] == 0


@pytest.mark.parametrize("trouble", ["short", "file in its place", "no space"])
def test_where_nothing_can_be_written_training_goes_on_and_it_is_said_once(tmp_path, caplog, monkeypatch, trouble):
    if trouble == "short":
        monkeypatch.setattr(teacher_outputs, "LEAST_FREE_BYTES", 10**18)
    elif trouble == "file in its place":
        (tmp_path / FOLDER).write_text("in the way")
    else:
        monkeypatch.setattr(teacher_outputs, "whole_file", lambda file: _full())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            answers, asked = ask_all(tmp_path, CountingTeacher(), batch_size=256)
            assert asked == BLOCK_WINDOWS
    assert answers.isfinite().all()
    said = [message for message in caplog.messages if "the teacher's outputs are no longer kept in" in message]
    assert len(said) == 2, "once in each training"


def _full():
    raise OSError(28, "No space left on device")


def test_a_file_that_is_not_whole_is_not_read_and_old_litter_goes(tmp_path):
    ask_all(tmp_path, CountingTeacher())
    (file,) = blocks(tmp_path)
    file.write_bytes(file.read_bytes()[:-3])
    litter = file.with_name(".left.by.a.killed.writer")
    litter.write_bytes(b"half")
    os.utime(litter, (0, 0))
    assert ask_all(tmp_path, CountingTeacher())[1] == BLOCK_WINDOWS
    assert not litter.exists()


def test_a_block_that_another_process_removed_is_asked_again(tmp_path):
    ask_all(tmp_path, CountingTeacher())
    teacher = CountingTeacher()
    asked = asked_once(tmp_path, teacher)
    asked.kept._look()
    blocks(tmp_path)[0].unlink()
    teacher.asked = 0
    asked(WINDOWS_BXT[:8])
    assert teacher.asked == 8


def _writer(folder: Path, seed: int, batches: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(folder), str(seed), str(batches)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)


def _check_answers(folder: Path, seed: int, batches: int) -> int:
    """Every window that is there has its own answer; how many are."""
    kept, generator = KeptAnswers(folder, "f", (3, 40), 10**9), torch.Generator().manual_seed(seed)
    found = 0
    for _ in range(batches):
        for window_BXT in torch.randn(64, 3, 40, generator=generator).split(1):
            answer = kept.read(window_keys(window_BXT))
            if answer is not None:
                assert (answer == window_BXT.half().numpy()).all()
                found += 1
    return found


def test_two_processes_write_at_once_and_one_is_killed_while_writing(tmp_path):
    dying, other = _writer(tmp_path, 0, 100_000), _writer(tmp_path, 0, 40)
    assert dying.stdout is not None
    for line in dying.stdout:
        if line.strip() == "60":
            dying.send_signal(signal.SIGKILL)
            break
    assert dying.wait() == -signal.SIGKILL
    other.communicate()
    assert other.returncode == 0
    dying.stdout.close()
    assert _check_answers(tmp_path, 0, 40) == 40 * 64
    sizes = {file.stat().st_size % (8 + 2 * 3 * 40) for file in (tmp_path / "f").glob("*.answers")}
    assert sizes == {0}
