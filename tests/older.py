"""A home that the version before this house left behind: a sweep of four trials, interrupted in its third.

Kept as text in `older_home/`: ledger, description, Optuna's journal, a dump of MLflow's database, and what its
checkpoints hold beside tensors. The tensors are drawn anew, in the old form.
"""

from __future__ import annotations

import json
import sqlite3
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from seisweep.settings.home import Home

from trainables.data.catalog import fingerprint
from trainables.export.artifacts import FP32_FILE, INT8_FILE, save_seisbench
from trainables.export.onnx import export_onnx
from trainables.export.quantize import quantize_int8
from trainables.models.teacher import load_phasenet
from trainables.models.weights import weights_digest
from trainables.models.xiaonet import StudentConfig, build_student

KEPT = Path(__file__).with_name("older_home")
NAME = "older-1"
THRESHOLDS = {"P": 0.15, "S": 0.1}


def write_older_home(root: Path, earthquakes: Path, teacher: Path) -> Home:
    """The home as that version left it, on this machine's copy of its data and its teacher."""
    home = Home(root)
    places = {
        "@HOME@": root,
        "@EARTHQUAKES@": earthquakes,
        "@TEACHER@": teacher,
        "@FINGERPRINT@": fingerprint(str(earthquakes)),
        "@DIGEST@": weights_digest(load_phasenet(str(teacher))),
    }
    folder = home.sweep_dir(NAME)
    for part in ("tune", "logs"):
        (folder / part).mkdir(parents=True)
    for name in ("sweep.json", "ledger.jsonl", "study.journal"):
        (folder / name).write_text(_filled((KEPT / name).read_text(), places))
    connection = sqlite3.connect(home.database)
    connection.executescript(_filled((KEPT / "mlflow.sql").read_text(), places))
    connection.close()
    state = json.loads(_filled((KEPT / "state.json").read_text(), places))
    files = {number: home.artifacts_dir / run_id / "artifacts" for number, run_id in state["runs"].items()}
    for number, config in state["configs"].items():
        files[number].mkdir(parents=True)
        (files[number] / "config.json").write_text(json.dumps(config))
    files["sweep"].mkdir(parents=True)
    (files["sweep"] / "sweep.json").write_text((folder / "sweep.json").read_text())
    _write_picker(files["0"])
    for place, kept in state["checkpoints"].items():
        _write_checkpoint(folder / place, kept, state["tensors"], state["parameters"])
    _write_picker(folder / "tune/session-001/trial-00000/checkpoint_000004/artifacts")
    return home


def _filled(text: str, places: dict[str, Any]) -> str:
    for name, place in places.items():
        text = text.replace(name, str(place))
    return text


def _write_picker(folder: Path) -> None:
    """What a finished trial has left: both ONNX files and the SeisBench pair, of random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _picker().items():
        (folder / name).write_bytes(content)


@cache
def _picker() -> dict[str, bytes]:
    """Its files by name: exported once for all homes of a process."""
    torch.manual_seed(0)
    model = build_student(StudentConfig(base_channels=8, pooling=4)).eval()
    windows_NXT = np.random.default_rng(0).uniform(-1, 1, (8, 3, 3001)).astype(np.float32)
    with TemporaryDirectory() as name:
        folder = Path(name)
        export_onnx(model, folder / FP32_FILE, THRESHOLDS)
        quantize_int8(folder / FP32_FILE, folder / INT8_FILE, windows_NXT)
        save_seisbench(model, folder, THRESHOLDS, "an older one")
        return {file.name: file.read_bytes() for file in folder.iterdir()}


def _write_checkpoint(
    folder: Path, kept: dict[str, Any], tensors: dict[str, list[Any]], parameters: list[list[int]]
) -> None:
    generator = torch.Generator().manual_seed(kept["epoch"])

    def drawn(shape: list[int]) -> torch.Tensor:
        return 0.1 * torch.randn(shape, generator=generator)

    model = {}
    for name, (shape, kind) in tensors.items():
        tensor = torch.full(shape, 10) if kind == "torch.int64" else drawn(shape)
        model[name] = tensor.abs() + 0.5 if name.endswith(("running_var", "1.weight", "4.weight")) else tensor
    moments = {
        place: {"step": torch.tensor(kept["steps"]), "exp_avg": drawn(shape), "exp_avg_sq": drawn(shape).abs()}
        for place, shape in enumerate(parameters)
    }
    parts = {
        "model": model,
        "optimizer": {"state": moments, "param_groups": [{**kept["group"], "betas": tuple(kept["group"]["betas"])}]},
        "learning_rate": kept["learning_rate"],
        "schedule": kept["schedule"],
        "stopping": kept["stopping"],
        "best_weights": dict(model),
    }
    folder.mkdir(parents=True)
    torch.save(parts, folder / "state.pt")
    (folder / "history.json").write_text(json.dumps(kept["history"]))
    (folder / "tags.json").write_text(json.dumps(kept["tags"]))
    (folder / ".seisweep-epoch").write_text(str(kept["epoch"]))
    (folder / ".seisweep-hardware").write_text("a machine: a processor, 2 cores")
