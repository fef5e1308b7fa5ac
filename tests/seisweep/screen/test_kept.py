"""What a sweep says is kept in its folder, and costs it nothing where that cannot be."""

from __future__ import annotations

import re

from seisweep.engine.outcome import Silent, TrialRow
from seisweep.screen.kept import SCREEN_FILE, Kept
from seisweep.settings.home import Home


def show(kept: Kept, toy_sweep) -> None:
    kept.log("models of 2 to 3 parameters")
    kept.started(toy_sweep(), "toy-1", 1)
    kept.trial_update(TrialRow(0, "00000", "running"))
    kept.trial_update(TrialRow(0, "00000", "done", epoch=4))
    kept.log("stopping")
    kept.close()


def test_the_lines_of_all_sessions_are_in_the_folder_of_the_sweep(tmp_path, toy_sweep):
    home = Home(tmp_path)
    home.sweep_dir("toy-1").mkdir(parents=True)
    for _ in range(2):
        show(Kept(Silent(), home), toy_sweep)
    stamped = (home.sweep_dir("toy-1") / SCREEN_FILE).read_text().splitlines()
    lines = [re.sub(r"^[-0-9 ]*\d\d:\d\d:\d\d ", "", line) for line in stamped]
    assert lines[:2] == ["models of 2 to 3 parameters", "toy-1: one trial of toy_trainable:train"], (
        "also what came before"
    )
    assert "trial 0 done after epoch 4" in lines
    assert lines.count("stopping") == 2


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path, toy_sweep):
    seen: list[str] = []

    class Seeing(Silent):
        def log(self, line: str) -> None:
            seen.append(line)

    show(Kept(Seeing(), Home(tmp_path)), toy_sweep)  # there is no folder
    assert seen == (said := ["models of 2 to 3 parameters", "stopping"])
    full = Home(tmp_path / "full")
    full.sweep_dir("toy-1").mkdir(parents=True)
    (full.sweep_dir("toy-1") / SCREEN_FILE).symlink_to("/dev/full")
    show(Kept(Seeing(), full), toy_sweep)
    assert seen == 2 * said
