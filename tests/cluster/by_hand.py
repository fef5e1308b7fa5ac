"""Make the cluster of the tests and keep it until Ctrl-C: to look around in, to try things on.

sudo python tests/cluster/by_hand.py            prints how to get into each machine
"""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[0] = str(TESTS)  # instead of this folder

from cluster.cluster import Cluster, why_not  # noqa: E402
from cluster.commands import HOME, environment  # noqa: E402


def main() -> None:
    if reason := why_not():
        sys.exit(f"no cluster of several machines can be made here: {reason}")
    with tempfile.TemporaryDirectory(prefix="seisweep-cluster-") as folder, Cluster(Path(folder) / "disks") as cluster:
        user = environment() | cluster.user("/home/shared/home")
        print(f"profile for head, w1, w2: {cluster.profile()}\nRay's token: {cluster.token}\nto get into a machine:")
        for machine in cluster.lab.machines.values():
            assert machine.holder
            words = [*machine.holder.enter, "env", "-i", f"--chdir={HOME}", *(f"{key}={user[key]}" for key in user)]
            print(f"\n{machine.name} {machine.address}\n{shlex.join([*words, 'bash'])}")
        print("\nCtrl-C removes it", flush=True)
        signal.sigwait([signal.SIGINT, signal.SIGTERM])


if __name__ == "__main__":
    main()
