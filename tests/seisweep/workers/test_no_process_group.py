from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from ray import cloudpickle
from seisweep.workers.ray_train import _trainer
from seisweep.workers.trial import Job

READ = """
import pickle, sys
if sys.argv[2] == "without torch":
    sys.modules["torch"] = None  # an import of it fails
with open(sys.argv[1], "rb") as file:
    context = pickle.load(file)
print(context.scaling_config.num_workers, context.backend_config.backend)
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("workers", "read", "expected"), [(1, "without torch", "1 none"), (2, "without torch", ""), (2, "", "2 gloo")]
)
def test_the_controller_of_a_lone_worker_imports_no_torch(tmp_path: Path, workers, read, expected):
    """What Ray Train hands to its controller, read in a process of its own."""
    job = Job(
        trainable="toy_trainable:train", objectives=("dev/f1",), logs="", storage=str(tmp_path), workers=workers,
        cpus_per_worker=1, gpus_per_worker=0, relay="r",
    )  # fmt: skip
    trainer = _trainer(job, {"trial": 0, "config": {"x": 0.5}}, "attempt", None)
    file = tmp_path / "context.pickle"
    file.write_bytes(cloudpickle.dumps(trainer.train_run_context))
    assert pickle.loads(file.read_bytes()).train_loop_config["job"]["objectives"] == ("dev/f1",)
    found = subprocess.run([sys.executable, "-c", READ, file, read], capture_output=True, text=True, check=False)
    assert found.stdout.strip() == expected, found.stderr
