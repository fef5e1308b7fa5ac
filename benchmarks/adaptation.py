"""What adaptation is worth: agreement with the teacher on held-out hours and stations of two networks nobody labelled.

For each seed a student (XiaoNet, base 8, pooling 4) learns from 70 labelled records of another network and the teacher
(alpha 0.5), and another one from the network's own continuous waveforms and the teacher alone, in as many steps. Both
are held against the teacher on the hours and stations that no training has seen. Rows go to `adaptation.csv` beside
this file as they come; what is there already is not measured again.

    python benchmarks/adaptation.py --data real_data [--work FOLDER] [--steps 2000] [--seeds 5]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainables.distillation import DistillationConfig, train
from trainables.run import LocalRun

EPOCHS = 8


def labelled(data: Path) -> dict[str, Any]:
    """Settings of the student of 70 labelled records."""
    return {"data": {"dataset": str(data / "phasenet_nc_a")}, "loss": {"alpha": 0.5}}


def config_of(own: dict[str, Any], data: Path, work: Path, steps: int, seed: int) -> DistillationConfig:
    return DistillationConfig.model_validate(
        {
            **own,
            "data": {**own["data"], "cache_dir": str(work / "cache")},
            "teacher": {"weights": str(data / "teachers" / "teacher_pn_original")},
            "student": {"base_channels": 8, "pooling": 4},
            "training": {
                "epochs": EPOCHS,
                "patience": EPOCHS,
                "steps_per_epoch": steps // EPOCHS,
                "batch_size": 32,
                "learning_rate": 3e-3,
            },
            "export": {"enabled": False},
            "seed": seed,
        }
    )


def trained(config: DistillationConfig, folder: Path) -> LocalRun:
    """The run, which goes on where it was left, and does nothing but report where it was over."""
    train(config, run := LocalRun(folder))
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("adaptation-work"))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    for seed in range(given.seeds):
        config = config_of(labelled(given.data), given.data, given.work, given.steps, seed)
        run = trained(config, given.work / f"labelled-{seed}")
        print(seed, run.reports[-1]["dev/f1"], flush=True)


if __name__ == "__main__":
    main()
