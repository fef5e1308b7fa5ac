"""What does the engine cost on a cluster? Trials of one second on three nodes, everything remote.

    sudo python benchmarks/cluster_overhead.py [1000]

The cluster is that of `tests/cluster`: three nodes of two CPUs, MLflow on PostgreSQL and S3 behind a password, all on
this machine, whose cores they share. A trial sleeps: what is measured is what comes beside. The ideal is trials x 1 s /
CPUs; Ray's own page has 10,000 trials in 715 s against 625.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / place) for place in ("tests", ".", "platform")]

from cluster.cluster import CPUS, Cluster, why_not
from cluster.whole import ledger

NAME = "seconds"


def main(trials: int) -> None:
    if reason := why_not():
        sys.exit(f"no cluster of several machines can be made here: {reason}")
    with tempfile.TemporaryDirectory(prefix="seisweep-cluster-") as folder, Cluster(Path(folder) / "disks") as cluster:
        home, cpus = cluster.new_folder(), CPUS * len(cluster.nodes)
        words = ["seisweep", "run", "cluster.sweeps:seconds", "--name", NAME, "--samples", str(trials)]
        start_s = time.monotonic()
        done = cluster.head.run(*words, "--profile", cluster.profile(), env=cluster.user(home), limit_s=3600)
        whole_s = time.monotonic() - start_s
        assert done.code == 0, done
        events = ledger(cluster, home, NAME)
    begun_ms = [event["time_ms"] for event in events if event["event"] == "trial"]
    ended_ms = [event["time_ms"] for event in events if event["event"] == "end"]
    took_s, ideal_s = (max(ended_ms) - min(begun_ms)) / 1000, trials / cpus
    print(
        json.dumps(
            {
                "trials": len(ended_ms),
                "cpus": cpus,
                "ideal_s": round(ideal_s, 1),
                "first_to_last_s": round(took_s, 1),
                "over_ideal": round(took_s / ideal_s, 2),
                "with_start_and_end_s": round(whole_s, 1),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
