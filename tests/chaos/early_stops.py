"""Ten Ray Train trials in a row are stopped early: how soon is every CPU free, and does a process remain?

    python tests/chaos/early_stops.py

Each trial wants both CPUs of a fake machine of two, so that a share that is not given back stops the sweep. Once
with Ray's dashboard, whose state API Ray's own cleaner needs, and once without. The exit code is 1 where a CPU is
held for more than 10 s, or a process of a trial remains.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent), str(HERE.parent.parent / "platform")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:4])

from processes import descendants, outlasting  # noqa: E402
from seisweep.engine.launch import launch  # noqa: E402
from seisweep.quiet import quiet  # noqa: E402
from seisweep.screen.live import PlainLines  # noqa: E402
from seisweep.settings.home import Home  # noqa: E402
from seisweep.settings.profile import Profile  # noqa: E402

from search_spaces.sweep import Sweep  # noqa: E402

STOPPED = 10
LIMIT_S = 10.0
OF_TRIALS = ("TrainWorker", "TrainController", "ImplicitFunc", "PlacementGroupCleaner", "SynchronizationActor")


def seconds_until_free(limit_s: float) -> float | None:
    """Until no CPU is held and no placement group is there; None where that takes too long."""
    import ray

    start_s = time.monotonic()
    while time.monotonic() - start_s < limit_s:
        held = [group for group in ray.util.placement_group_table().values() if group["state"] != "REMOVED"]
        if not held and ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]:
            return time.monotonic() - start_s
        time.sleep(0.05)
    return None


def measure(dashboard: bool) -> bool:
    import ray

    ray.init("local", num_cpus=2, include_dashboard=dashboard, log_to_driver=False)
    sweep = Sweep(
        name="stops",
        trainable="toy_trainable:train",
        vary={"x": [0.3, *(0.5 + number / 50 for number in range(STOPPED))]},
        sampler="grid",
        base={"training.epochs": 4, "sleep_s": 0.1},
        grace_epochs=1,
        reduction_factor=STOPPED + 1,
        workers=2,
    )
    with tempfile.TemporaryDirectory(prefix="seisweep-stops-") as folder:
        outcome = launch(sweep, Profile(), Home(Path(folder)), name="stops-1", watch=PlainLines())
    free_s = seconds_until_free(LIMIT_S)
    family = [process for process in descendants(os.getpid()) if any(name in process.title for name in OF_TRIALS)]
    remaining = outlasting(family, LIMIT_S)
    ray.shutdown()
    stopped = sum(row.state == "stopped" for row in outcome.rows)
    free = "not all free" if free_s is None else f"all free after {free_s:.2f} s"
    print(f"dashboard {dashboard}: {stopped} of {len(outcome.rows)} stopped; CPUs {free}; {len(remaining)} processes")
    for process in remaining:
        print(f"  still alive: {process.title[:100]}")
    return stopped == STOPPED and free_s is not None and not remaining


if __name__ == "__main__":
    quiet()
    sys.exit(0 if all([measure(dashboard=False), measure(dashboard=True)]) else 1)
