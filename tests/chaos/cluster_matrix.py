"""Cut each part of a cluster in each phase of a sweep, resume where it takes that, and check that nothing shows.

    sudo python tests/chaos/cluster_matrix.py                          all cells once (about an hour on 2 cores)
    sudo python tests/chaos/cluster_matrix.py --cells postgres:export --times 3

The cluster is that of `tests/cluster`; the driver runs on w1, and each node has a trial. `driver` and `worker` cut the
power of w1 and w2, `cable` unplugs the head for 30 s, `mlflow`, `postgres` and `s3` stop that service for 30 s. A sweep
that does not end well is resumed on w2. The exit code is 1 where a promise of `invariants.py` is broken; the machines'
disks are kept then.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(REPOSITORY), str(REPOSITORY / "platform")]

from cluster.cluster import Cluster, why_not  # noqa: E402
from cluster.commands import Command, wait_until  # noqa: E402
from cluster.whole import checkpoints  # noqa: E402
from kill_matrix import Report  # noqa: E402
from seisweep.quiet import quiet  # noqa: E402
from victim import read_notes  # noqa: E402

VICTIMS = ("driver", "worker", "cable", "mlflow", "postgres", "s3")
PHASES = ("first-epoch", "epochs", "export")
SAMPLES, EPOCHS, PACE_S = 3, 5, 3.0
OUTAGE_S = 30.0
LIMIT_S = 600.0
MAX_RESUMES = 2


class Arena:
    """One sweep on the cluster and its files."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.home, self.notes = cluster.new_folder(), cluster.new_folder("notes")
        cluster.head.path(self.notes).mkdir()
        # Checkpoints lie in the home, which all nodes share.
        self.profile = cluster.profile(cpus_per_worker=2, storage_path=None)

    def run(self) -> Command:
        settings = [f"notes={self.notes}", f"pace_s={PACE_S}", f"training.epochs={EPOCHS}"]
        options = ["--name", self.name, "--samples", str(SAMPLES), "--profile", self.profile]
        words = ["seisweep", "run", "victim:sweep", *options, *settings]
        return self.cluster.w1.start(*words, env=self.cluster.user(self.home))

    def resume(self) -> Command:
        words = ["seisweep", "resume", self.name, "--profile", self.profile]
        return self.cluster.w2.start(*words, env=self.cluster.user(self.home))

    def reached(self, phase: str) -> bool:
        if phase == "epochs":
            found = checkpoints(self.cluster, self.home, self.name)
            return len(found) == SAMPLES and min(found.values()) >= 2
        event = "begin" if phase == "first-epoch" else "export"
        notes = read_notes(self.cluster.head.path(self.notes))
        return len({said["x"] for said in notes if said["event"] == event}) == SAMPLES


def cut(cluster: Cluster, victim: str) -> None:
    if victim in ("driver", "worker"):
        (cluster.w1 if victim == "driver" else cluster.w2).power_off()
        return
    service = {"mlflow": cluster.mlflow, "postgres": cluster.postgres, "s3": cluster.s3}.get(victim)
    begin: Callable[[], None] = service.pause if service else cluster.head.unplug
    end: Callable[[], None] = service.go_on if service else cluster.head.plug
    begin()
    time.sleep(OUTAGE_S)
    end()


def cut_once(cluster: Cluster, victim: str, phase: str, name: str, scratch: Path) -> Report:
    """One sweep, one cut, and as many resumes as it takes."""
    from invariants import violations

    report, start_s = Report(), time.monotonic()
    cluster.heal()
    arena = Arena(cluster, name)
    driver = arena.run()
    try:
        wait_until(
            lambda: driver.code is not None or arena.reached(phase), LIMIT_S, f"{phase} is not reached: {driver}"
        )
        assert driver.code is None, f"the sweep ended before its phase was reached: {driver}"
        cut(cluster, victim)
        code = driver.wait(LIMIT_S)
        report.killed = f"{victim}; the driver ended with {code}"
        while code != 0 and report.resumes < MAX_RESUMES:
            report.resumes += 1
            cluster.heal()
            code = (driver := arena.resume()).wait(LIMIT_S)
        if code != 0:
            report.broken.append(f"after {report.resumes} resumes: {driver}")
        notes = cluster.head.path(arena.notes)
        begins = [said["x"] for said in read_notes(notes) if said["event"] == "begin"]
        report.restarts = len(begins) - len(set(begins))
        folder = cluster.head.path(f"{arena.home}/sweeps/{name}")
        with cluster.from_laptop():
            report.broken += violations(folder, notes, cluster.tracking_uri, SAMPLES, EPOCHS, scratch)
    except AssertionError as error:
        report.broken.append(str(error))
    report.seconds = time.monotonic() - start_s
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", help="VICTIM:PHASE,...; a victim or a phase alone stands for all its cells")
    parser.add_argument("--times", type=int, default=1, help="runs a cell")
    given = parser.parse_args()
    if reason := why_not():
        parser.error(f"no cluster of several machines can be made here: {reason}")
    quiet()
    every = [f"{victim}:{phase}" for victim in VICTIMS for phase in PHASES]
    wanted = given.cells.split(",") if given.cells else every
    cells = [cell for cell in every if any(want in (cell, *cell.split(":")) for want in wanted)]
    if not cells:
        parser.error(f"no such cell; there are {', '.join(every)}")
    root = Path(tempfile.mkdtemp(prefix="seisweep-cluster-"))
    all_well = True
    print(f"{'cell':24} {'run':>3} {'result':8} {'resumes':>7} {'restarts':>8} {'seconds':>7}", flush=True)
    with Cluster(root / "disks") as cluster:
        for cell in cells:
            for number in range(given.times):
                name = f"{cell.replace(':', '-')}-{number}"
                report = cut_once(cluster, *cell.split(":"), name, root / "downloaded" / name)
                result = "broken" if report.broken else "whole"
                counts = f"{report.resumes:7} {report.restarts:8} {report.seconds:7.0f}"
                print(f"{cell:24} {number:3} {result:8} {counts}  {report.killed}", flush=True)
                for line in report.broken:
                    print(f"    {line[:3000]}", flush=True)
                all_well = all_well and not report.broken
    if all_well:
        shutil.rmtree(root, ignore_errors=True)
    return 0 if all_well else 1


if __name__ == "__main__":
    sys.exit(main())
