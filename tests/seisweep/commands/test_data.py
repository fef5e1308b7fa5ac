"""`seisweep data` for sequences: what is printed, and that wrong use is one line and exit code 2."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from seisweep.cli import run
from seisweep.settings.overrides import build_config


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = run(words)
    printed = capsys.readouterr()
    assert code == 2, printed.err
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    return printed.err


def test_import_and_info(published_tables, write_published, home, capsys):
    write_published(Path("published"), published_tables)
    assert run(["data", "import-nrca", "published"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{home}/data/nrca\n"
    assert "64 traces (pre 30, visso 10, post 24)" in printed.err
    assert run(["data", "info", str(home / "data/nrca")]) == 0
    printed = capsys.readouterr()
    assert "imported, 50 samples at 100 Hz (0.5 s)" in printed.out
    assert "4 classes: train 32, dev 4, test 8" in printed.out
    assert "class 0 (pre 1) has 6 events" in printed.err  # 9 classes need more
    assert "exists and is not empty" in fails(capsys, "data", "import-nrca", "published")


def test_import_without_visso_to_a_folder_of_choice(published_tables, write_published, home, capsys):
    del published_tables["visso"]
    write_published(Path("published"), published_tables)
    assert "no dataframe_visso_NRCA.csv" in fails(capsys, "data", "import-nrca", "published")
    options = ["--without-visso", "--to", "here", "--sampling-rate-hz", "50"]
    assert run(["data", "import-nrca", "published", *options]) == 0
    assert capsys.readouterr().out == f"{Path.cwd()}/here\n"
    assert not home.exists()


class Runs:
    def __reduce__(self):
        return os.mkdir, ("made",)


def _with_code(tables):
    tables["post"].at[3, "label"] = Runs()


def _short(tables):
    tables["post"].at[3, "E_channel"] = np.zeros(49)


def _not_finite(tables):
    tables["post"].at[3, "E_channel"] = np.full(50, np.inf)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [(_with_code, ".mkdir"), (_short, "49 samples"), (_not_finite, "not finite"), (lambda t: t.pop("pre"), "no data")],
)
def test_bad_files_are_refused_and_nothing_is_left(spoil, part, published_tables, write_published, home, capsys):
    spoil(published_tables)
    write_published(Path("published"), published_tables)
    assert part in fails(capsys, "data", "import-nrca", "published")
    assert not home.exists()
    assert not Path("made").exists()


def test_synth_nrca_and_info(home, capsys):
    assert run(["data", "synth", "nrca", "--events", "200"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder == home / "data/nrca-synthetic"
    assert run(["data", "info", str(folder)]) == 0
    assert "synthetic, 2500 samples at 100 Hz (25 s)" in capsys.readouterr().out
    assert "at least 200" in fails(capsys, "data", "synth", "nrca", "other", "--events", "50")
    assert not Path("other").exists()
    assert "two folders" in fails(capsys, "data", "synth", "one", "two")


def test_synth_streams_takes_hours_and_nothing_else_does(home, capsys):
    assert "--hours 2 is for `streams` only" in fails(capsys, "data", "synth", "mine", "--hours", "2")
    assert "follows from --hours" in fails(capsys, "data", "synth", "streams", "--events", "20")
    assert not Path("mine").exists()
    assert not home.exists()


@pytest.mark.parametrize("wrong", [1, 3, 10])
def test_another_number_of_classes_is_one_line(wrong):
    from trainables.data.sequence_config import SequenceDataConfig

    with pytest.raises(ValueError, match="num_classes") as error:
        build_config(SequenceDataConfig, {"dataset": "here", "num_classes": wrong})
    assert "\n" not in str(error.value)
    assert all(number in str(error.value) for number in "2489")
