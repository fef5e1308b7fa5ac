"""What the wide context and each augmentation are worth: students that differ in one choice, seed by seed.

All are compared with a XiaoNet (base 8, pooling 4, wide context) that learns from one data set and the teacher, without
augmentations. Each is scored on dev of that data set and on dev of another one, at the thresholds of the first: F1, and
how many arrivals have a pick of the other phase on them. A training is scored by its best epoch on its own dev. Each
line is written when it is known, and a second call goes on with what is missing.

    python benchmarks/choices.py --data FOLDER --elsewhere FOLDER --teacher WEIGHTS [--alpha 0.5] [--steps 1200]
        [--seeds 5] [--only "near context,gap"] [--output FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "platform")]

import pandas as pd
import torch
from growing_table import GrowingTable
from seisweep.statistics.conditions import Estimate

from trainables import metrics
from trainables.data.batches import DevWindows
from trainables.data.config import PHASES, DataConfig
from trainables.data.windows import open_store
from trainables.distillation import DistillationConfig, build_taught, train
from trainables.evaluation.picks import PickConfig, PickCounts, count_picks, scores
from trainables.models.xiaonet import XiaoNet
from trainables.run import LocalRun
from trainables.training.picker import EVALUATION_BATCH, student_logits

EPOCHS = 8
REFERENCE = "reference"
CHOICES: dict[str, dict[str, Any]] = {
    REFERENCE: {},
    "near context": {"student": {"context": "near"}},
    "rotation": {"data": {"rotate_horizontals": True}},
    "sign": {"data": {"flip_sign": True}},
    "dead component": {"data": {"dead_component_share": 0.2}},
    "noise": {"data": {"noise_share": 0.5}},
    "noise and scale": {"data": {"noise_share": 0.5, "max_amplitude_scale": 3.0}},
    "second event": {"data": {"second_event_share": 0.3}},
    "gap": {"data": {"gap_share": 0.2}},
    "rate": {"data": {"rate_change": 0.02}},
}
KEYS = ["alpha", "choice", "seed", "steps"]
ELSEWHERE = "elsewhere"
SCORES = {
    f"{prefix}{name}": f"{split}/{name}"
    for split, prefix in (("dev", ""), (ELSEWHERE, "elsewhere_"))
    for name in ("f1", "p_f1", "s_f1", "s_picks_on_p_share", "p_picks_on_s_share")
}
"""Columns, and what they are called among metrics."""


def config_of(choice: str, seed: int, given: argparse.Namespace, cache: Path) -> DistillationConfig:
    chosen = CHOICES[choice]
    return DistillationConfig.model_validate(
        {
            "data": {"dataset": str(given.data), "cache_dir": str(cache)} | chosen.get("data", {}),
            "teacher": {"weights": given.teacher},
            "student": {"base_channels": 8, "pooling": 4, "context": "wide"} | chosen.get("student", {}),
            "loss": {"alpha": given.alpha},
            "training": {
                "epochs": EPOCHS,
                "patience": EPOCHS,
                "steps_per_epoch": -(-given.steps // EPOCHS),
                "batch_size": 16,
                "learning_rate": 3e-3,
            },
            "export": {"enabled": False},
            "seed": seed,
        }
    )


def scored(config: DistillationConfig, elsewhere: DevWindows, folder: Path) -> dict[str, float]:
    """Of the best weights of a training."""
    train(config, run := LocalRun(folder))
    student = build_taught(config)
    assert isinstance(student, XiaoNet)
    student.load_state_dict(torch.load(run.checkpoint / "state.pt", weights_only=True)["best_weights"])
    last = run.reports[-1]
    thresholds = {phase: last[metrics.picking("dev", phase, "threshold")] for phase in PHASES}
    found = last | scores(counted(student.eval(), elsewhere, config.picks), thresholds, ELSEWHERE)
    return {column: round(found[name], 4) for column, name in SCORES.items()}


@torch.no_grad()
def counted(student: XiaoNet, windows: DevWindows, picks: PickConfig) -> PickCounts:
    counts = PickCounts.zeros()
    for batch, arrivals in windows.batches(EVALUATION_BATCH):
        counts += count_picks(student_logits(student, batch).softmax(dim=1), arrivals, picks)
    return counts


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """Each choice less the reference, of the seeds that have both, with a 95 % interval of the mean."""
    found = []
    for score in SCORES:
        of_seed = table.pivot(index="seed", columns="choice", values=score)
        for choice in [choice for choice in CHOICES if choice in of_seed and choice != REFERENCE]:
            gains = (of_seed[choice] - of_seed[REFERENCE]).dropna()
            gain = Estimate.of(gains)
            row = {"score": score, "choice": choice, "gain": gain.mean, "low": gain.low, "high": gain.high}
            found.append(row | {"seeds": " ".join(f"{each:+.3f}" for each in gains)})
    return pd.DataFrame(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--elsewhere", type=Path, required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--alpha", type=float, default=0.5, help="1: the teacher alone")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default=",".join(CHOICES), help="some choices, commas between")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    torch.set_flush_denormal(True)
    done = GrowingTable(given.output, KEYS)
    only = [name.strip() for name in given.only.split(",")]
    wanted = [choice for choice in CHOICES if choice == REFERENCE or choice in only]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        other = DataConfig(dataset=str(given.elsewhere), cache_dir=scratch / "cache")
        elsewhere = DevWindows(open_store(other, "dev"), other)
        for seed in range(given.seeds):
            for choice in wanted:
                key = given.alpha, choice, seed, given.steps
                if not done.has(*key):
                    config = config_of(choice, seed, given, scratch / "cache")
                    done.add(key, scored(config, elsewhere, Path(tempfile.mkdtemp(dir=scratch))))
    table = done.frame
    table = table[(table["alpha"] == given.alpha) & (table["steps"] == given.steps)]
    print(differences(table).to_string(index=False, float_format="%+.3f"))


if __name__ == "__main__":
    main()
