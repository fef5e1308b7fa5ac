"""What adaptation is worth: agreement with the teacher on held-out hours and stations of two networks nobody labelled.

For each seed a student (XiaoNet, base 8, pooling 4) learns from 70 labelled records of another network and the teacher
(alpha 0.5), and others from each network's own continuous waveforms and the teacher alone, in as many steps. All are
held against the teacher's picks in hours, and at stations, that no student has learned from and nothing was chosen on:
the sealed part, which nobody chooses by here. Thresholds are each student's own; those of the labelled one are also
chosen on the network's dev hours, as the adapted one's are, to tell what of the gain is a matter of thresholds.

Rows go to `adaptation.csv` beside this file as they come; what is there already is not measured again.

    python benchmarks/adaptation.py --data real_data [--work FOLDER] [--steps 2000] [--seeds 5]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from trainables import metrics
from trainables.data.batches import Batch, DevWindows
from trainables.data.config import PHASES
from trainables.data.seal import Opening
from trainables.data.stream_batches import open_stream_dev
from trainables.data.streams import which_held_out
from trainables.distillation import DistillationConfig, build_taught, load_taught_by, train
from trainables.evaluation.agreement import agree
from trainables.evaluation.picks import PickCounts, best_thresholds, count_picks
from trainables.run import LocalRun
from trainables.training.picker import EVALUATION_BATCH

RESULTS = Path(__file__).with_suffix(".csv")
NETWORKS = ("iquique_cx", "luhu_taiwan")
EPOCHS = 8
KEYS = ["network", "student", "seed", "thresholds"]


def config_of(own: dict[str, Any], given: argparse.Namespace, seed: int) -> DistillationConfig:
    return DistillationConfig.model_validate(
        {
            **own,
            "data": {**own["data"], "cache_dir": str(given.work / "cache")},
            "teacher": {"weights": str(given.data / "teachers" / "teacher_pn_original")},
            "student": {"base_channels": 8, "pooling": 4},
            "training": {
                "epochs": EPOCHS,
                "patience": EPOCHS,
                "steps_per_epoch": given.steps // EPOCHS,
                "batch_size": 32,
                "learning_rate": 3e-3,
            },
            "export": {"enabled": False},
            "seed": seed,
        }
    )


class Student:
    """Of one training, which goes on where it was left, and does nothing but report where it was over."""

    def __init__(self, config: DistillationConfig, folder: Path) -> None:
        train(config, run := LocalRun(folder))
        self.thresholds = {phase: run.reports[-1][metrics.picking("dev", phase, "threshold")] for phase in PHASES}
        self.model = build_taught(config)
        state = torch.load(run.checkpoint / "state.pt", weights_only=True)
        self.model.load_state_dict(state["best_weights"])
        self.model.eval()

    @torch.no_grad()
    def __call__(self, batch: Batch) -> np.ndarray:
        return self.model(batch.normalised_BXT, logits=True).softmax(1).numpy()


@cache
def windows_of(network: str, data: Path, work: Path) -> tuple[DevWindows, DevWindows]:
    """Dev hours, and the sealed hours and stations."""
    given = argparse.Namespace(data=data, work=work, steps=EPOCHS)
    config = config_of({"data": {"streams": str(data / "continuous" / network)}}, given, 0)
    teacher = load_taught_by(config)
    opening = Opening(which_held_out(config.data), 1)
    return open_stream_dev(config.data, teacher), open_stream_dev(config.data, teacher, opening=opening)


def chosen_on(windows: DevWindows, student: Student, config: DistillationConfig) -> Mapping[str, float]:
    counts = PickCounts.zeros()
    for batch, arrivals in windows.batches(EVALUATION_BATCH):
        counts += count_picks(student(batch), arrivals, config.picks)
    return best_thresholds(counts)


def rows(given: argparse.Namespace, is_known: Any) -> Iterator[dict[str, Any]]:
    """Seed by seed, so that what there is can be compared at any time."""
    for seed in range(given.seeds):
        records = {"data": {"dataset": str(given.data / "phasenet_nc_a")}, "loss": {"alpha": 0.5}}
        labelled = config_of(records, given, seed)
        for network in NETWORKS:
            adapted = config_of({"data": {"streams": str(given.data / "continuous" / network)}}, given, seed)
            for name, config in (("labelled", labelled), (f"adapted to {network}", adapted)):
                kind = name.partition(" ")[0]
                wanted = ["own", "dev hours"] if kind == "labelled" else ["own"]
                if all(is_known(network, kind, seed, which) for which in wanted):
                    continue
                student = Student(config, given.work / f"{name.replace(' ', '-')}-{seed}")
                dev, held_out = windows_of(network, given.data, given.work)
                for which in wanted:
                    at = student.thresholds if which == "own" else chosen_on(dev, student, config)
                    found = agree(student, held_out, at, config.picks, EVALUATION_BATCH)
                    scores = {key.partition("/")[2]: round(value, 4) for key, value in sorted(found.metrics.items())}
                    scores = {key: value for key, value in scores.items() if not key.endswith("_picks")}
                    picks = {f"teachers_{phase.lower()}": number for phase, number in found.reference_picks.items()}
                    yield (
                        dict(zip(KEYS, (network, kind, seed, which), strict=True))
                        | {"steps": given.steps}
                        | (picks | {"blocks": len(found.counts.events), **scores})
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("adaptation-work"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    known = pd.read_csv(given.output) if given.output.exists() else pd.DataFrame(columns=KEYS)
    measured = set(known[KEYS].itertuples(index=False, name=None))
    for row in rows(given, lambda *keys: keys in measured):
        pd.DataFrame([row]).to_csv(given.output, mode="a", index=False, header=not given.output.exists())
        print({key: row[key] for key in (*KEYS, "f1", "p_f1", "s_f1")}, flush=True)
    table = pd.read_csv(given.output).groupby(["network", "student", "thresholds"])
    print(table[["f1", "p_f1", "s_f1"]].agg(["mean", "std", "count"]).round(3).to_string())


if __name__ == "__main__":
    main()
