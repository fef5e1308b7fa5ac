"""`pick.pyz bench`: models in turns, numbers with their spread, and which to use in words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainables.edge import bench
from trainables.edge.bench import Spread, Turn, measure, which
from trainables.edge.network import Network, models_in
from trainables.export.picker_folder import write_program


def network_of(name: str, asked: list[str]) -> Network:
    def probabilities(raw_BXT: np.ndarray) -> np.ndarray:
        asked.append(name)
        return np.zeros((len(raw_BXT), 3, raw_BXT.shape[-1]), dtype=np.float32)

    return Network(name, "ENZ", "PSN", 100.0, 300, probabilities, overlap=150)


def test_models_take_turns_and_the_order_changes():
    asked: list[str] = []
    record_s, turns = measure([network_of("a", asked), network_of("b", asked)], seconds=1e-9)
    assert [len(its) for its in turns] == [bench.FEWEST_TURNS] * 2
    assert record_s == 6, "two windows at least, however slow it is"
    last = "".join(asked)[-8 * bench.FEWEST_TURNS :]  # a turn of this record is one window and three more in one batch
    order = [name for name, before in zip(last, " " + last, strict=False) if name != before]
    assert order[-4:] in (["a", "b", "a", "b"], ["b", "a", "b", "a"])


def turns_of(*seconds: float) -> list[Turn]:
    return [Turn(one / 10, one) for one in seconds]


@pytest.mark.parametrize(
    ("int8_s", "words"),
    [
        ([0.5, 0.6, 0.55], "use model_int8.onnx here: model_int8.onnx takes 0.55 (0.51 to 0.59) of the time"),
        ([1.5, 1.6, 1.4], "use {model_fp32.onnx} here (`--model {model_fp32.onnx}`): model_int8.onnx takes 1.50"),
        ([0.9, 1.1, 1.0], "use model_int8.onnx here, which is 300 kB smaller; neither is faster for certain"),
    ],
)
def test_which_to_use(tmp_path, monkeypatch, int8_s, words):
    monkeypatch.chdir(tmp_path)
    files = [tmp_path / "model_fp32.onnx", tmp_path / "model_int8.onnx"]
    for file, size in zip(files, (400_000, 100_000), strict=True):
        file.write_bytes(bytes(size))
    (said,) = which(files, [turns_of(1, 1, 1), turns_of(*int8_s)])
    assert said.startswith(words.replace("{", "").replace("}", ""))


def test_a_device_that_is_busy_and_a_lack_of_pairs_are_said(tmp_path):
    busy = which([tmp_path / "a.onnx"], [turns_of(1, 1, 2, 2)])
    assert busy[0].startswith("to compare INT8 and FP32, put one file of each here")
    assert "something else runs on this device" in busy[1]
    assert len(which([tmp_path / "a.onnx"], [turns_of(1, 1.1)])) == 1


def test_a_spread_holds_eight_of_ten():
    assert f"{Spread.of(range(11)):.0f}" == "5 (1 to 9)"


def test_the_model_of_model_json_comes_first_and_one_that_is_missing_is_named(tmp_path):
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).touch()
    assert [file.name for file in models_in(tmp_path)] == ["a.onnx", "b.onnx"]
    (tmp_path / "model.json").write_text('{"file": "b.onnx"}')
    assert [file.name for file in models_in(tmp_path)] == ["b.onnx", "a.onnx"]
    (tmp_path / "b.onnx").unlink()
    with pytest.raises(ValueError, match=r"b\.onnx is missing, which model\.json beside it describes"):
        models_in(tmp_path)


@pytest.mark.integration
def test_the_program_measures_the_models_in_it(onnx_file, tmp_path):
    write_program(tmp_path / "pick.pyz")
    done = run(tmp_path, "bench")
    assert done.returncode == 2
    assert done.stderr == "pick: no .onnx file beside this program; name one with --model\n"
    for name in ("model_fp32.onnx", "model_int8.onnx"):
        (tmp_path / name).write_bytes(onnx_file.read_bytes())
    card = {"metrics": {"test": {"fp32": {"f1": {"value": 0.9}}, "int8": {"f1": {"value": 0.8764}}}}}
    told = {"file": "model_int8.onnx", "thresholds": {"P": 0.5}, "card": card}
    model = {"component_order": "ENZ", "classes": "PSN", "sampling_rate_hz": 100, "window_samples": 3001}
    (tmp_path / "model.json").write_text(json.dumps(told | model))
    done = run(tmp_path, "bench", "--seconds", "0.5")
    assert done.returncode == 0, done.stderr
    rows = {line.partition("  ")[0]: line.split("  ")[1:] for line in done.stdout.splitlines()}
    assert done.stdout.splitlines()[3].split() == ["model_int8.onnx", "model_fp32.onnx"]
    assert [cell.strip() for cell in rows["F1 on the test split"] if cell.strip()] == ["0.876", "0.900"]
    for row in ("one window, ms", "times real time"):
        values = [cell.split()[0] for cell in rows[row] if cell.strip()]
        assert len(values) == 2
        assert all(float(value) > 0 for value in values)
    memory_mb = [float(cell) for cell in rows["peak memory, MB"] if cell.strip()]
    assert all(20 < value < 2000 for value in memory_mb), "of a whole process, with numpy and obspy"
    assert done.stdout.splitlines()[-1].startswith(("use model_", "the turns differ much"))


@pytest.mark.integration
def test_the_help_of_the_program_names_it(tmp_path):
    write_program(tmp_path / "pick.pyz")
    done = run(tmp_path, "-h")
    assert done.returncode == 0
    assert "pick.pyz bench -h" in " ".join(done.stdout.split())


@pytest.mark.integration
@pytest.mark.parametrize("words", [["--seconds", "0"], ["--threads", "0"], ["--model", "none.onnx"]])
def test_what_cannot_be_measured_is_one_line(tmp_path, words):
    write_program(tmp_path / "pick.pyz")
    done = run(tmp_path, "bench", *words)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, str(folder / "pick.pyz"), *words]
    return subprocess.run(given, capture_output=True, text=True, check=False, cwd=folder)
