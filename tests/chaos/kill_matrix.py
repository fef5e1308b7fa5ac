"""Kill each part of a running sweep at random moments of each phase, resume, and check that nothing shows.

    python tests/chaos/kill_matrix.py                              every cell three times (about an hour on 2 cores)
    python tests/chaos/kill_matrix.py --cells driver:export --times 10 --seed 7

The sweeps are real: `seisweep run` in a process of its own, with its own Ray. So are the kills: SIGKILL. The exit
code is 1 where a promise of `invariants.py` is broken; the folder of that run is kept then.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(HERE), str(REPOSITORY), str(REPOSITORY / "platform")]

from processes import Process, descendants, outlasting  # noqa: E402
from seisweep.quiet import quiet  # noqa: E402
from victim import read_notes  # noqa: E402

VICTIMS = ("driver", "trial", "train-worker", "train-controller", "mlflow", "ray")
PHASES = ("first-epoch", "epochs", "tracking", "export")
NAME = "victim-1"
EPOCHS = 4
PACE_S = 0.4
LIMIT_S = 900.0
"""Longer than any session takes, on a busy machine too: one that is still there then hangs."""
MAX_RESUMES = 2


@dataclass
class Report:
    """What came of one run."""

    broken: list[str] = field(default_factory=list)
    resumes: int = 0
    restarts: int = 0
    """Times that a trial began again."""
    seconds: float = 0.0
    killed: str = ""


class Arena:
    """One sweep, its processes and its files."""

    def __init__(self, folder: Path, victim: str, seed: str) -> None:
        self.folder, self.victim, self.random = folder, victim, random.Random(seed)
        self.home, self.notes, self.sweep = folder / "home", folder / "notes", folder / "home" / "sweeps" / NAME
        self.on_workers = victim.startswith("train-") or (victim in ("driver", "ray") and self.random.random() < 0.3)
        self.samples = 2 if self.on_workers else 3
        self.notes.mkdir(parents=True)
        (self.home / "profiles").mkdir(parents=True)
        self.server: subprocess.Popen[bytes] | None = None
        self.port = free_port() if victim == "mlflow" else None
        self.uri = f"http://127.0.0.1:{self.port}" if self.port else f"sqlite:///{self.home / 'mlflow.db'}"
        profile = [f'runner = "{"ray-train" if self.on_workers else "in-process"}"']
        if self.port:
            profile.append(f'tracking_uri = "{self.uri}"')
        (self.home / "profiles" / "chaos.toml").write_text("\n".join(profile))

    def seisweep(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command line in a process of its own; what it says goes to `log`."""
        paths = [str(REPOSITORY / "platform"), str(REPOSITORY), str(HERE)]
        environment = os.environ | {
            "SEISWEEP_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": "1",
        }
        with (self.folder / "log").open("ab") as log:
            log.write(f"$ seisweep {' '.join(arguments)}\n".encode())
            log.flush()
            command = [sys.executable, "-m", "seisweep.cli", *arguments]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)

    def run(self) -> subprocess.Popen[bytes]:
        settings = [f"notes={self.notes}", f"pace_s={PACE_S}", f"training.epochs={EPOCHS}"]
        options = ["--name", NAME, "--samples", str(self.samples), "--profile", "chaos", "--concurrency", "2"]
        return self.seisweep("run", "victim:sweep", *options, *settings)

    def start_server(self) -> None:
        store = ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"]
        files = ["--artifacts-destination", str(self.folder / "server-artifacts")]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        command = [sys.executable, "-m", "mlflow", "server", *store, *files, "--port", str(self.port), "--workers", "1"]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                command, env=os.environ | quiet, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        deadline_s = time.monotonic() + LIMIT_S
        while not answers(self.port or 0):
            if time.monotonic() > deadline_s or self.server.poll() is not None:
                raise RuntimeError(f"no MLflow server; see {self.folder / 'server.log'}")
            time.sleep(0.2)

    def stop_server(self) -> None:
        if self.server:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait()

    @property
    def num_reports(self) -> int:
        ledger = self.sweep / "ledger.jsonl"
        return ledger.read_bytes().count(b'"event": "report"') if ledger.exists() else 0

    def moment(self, phase: str) -> tuple[Callable[[], bool], float]:
        """When the phase is reached, and for how long after that to wait: both drawn at random."""

        def noted(event: str, count: int, epoch: int = 0) -> bool:
            return sum(n["event"] == event and n["epoch"] >= epoch for n in read_notes(self.notes)) >= count

        count = self.random.randint(1, self.samples - 1)
        if phase == "first-epoch":
            return lambda: noted("begin", count), self.random.uniform(0, PACE_S)
        if phase == "epochs":
            epoch = self.random.randint(2, EPOCHS)
            return lambda: noted("epoch", count, epoch), self.random.uniform(0, PACE_S)
        if phase == "tracking":
            reports = self.random.randint(2, EPOCHS * (self.samples - 1))
            return lambda: self.num_reports >= reports, self.random.uniform(0, 0.05)
        return lambda: noted("export", count), self.random.uniform(0, 2 * PACE_S + 0.6)


def kill_once(victim: str, phase: str, folder: Path, seed: str, waits_for_agents: bool = True) -> Report:
    """One sweep, one kill, and as many resumes as it takes.

    An agent of Ray takes a minute to notice that it is alone, and ends then: that is waited for, or not.
    """
    arena, report, start_s = Arena(folder, victim, seed), Report(), time.monotonic()
    reached, delay_s = arena.moment(phase)
    if victim == "mlflow":
        arena.start_server()
    driver = arena.run()
    family: set[Process] = set()
    try:
        if wait_for(reached, driver):
            family = descendants(driver.pid)
            time.sleep(delay_s)
            family |= descendants(driver.pid)
            report.killed = strike(arena, victim, driver, family)
        else:
            report.broken.append("the sweep ended before its phase was reached")
        if victim == "mlflow":
            time.sleep(arena.random.uniform(0, 6))
            arena.start_server()
        code = end_of(driver, report)
        if victim == "ray" and code != 0 and f"seisweep resume {NAME}" not in last_session(arena):
            report.broken.append("the driver ended without a word")
        while report.resumes < MAX_RESUMES and (code != 0 or "not in MLflow yet" in last_session(arena)):
            report.resumes += 1
            driver = arena.seisweep("resume", NAME) if (arena.sweep / "sweep.json").exists() else arena.run()
            code = end_of(driver, report)
        if code != 0:
            report.broken.append(f"after {report.resumes} resumes the exit code is {code}")
        agents = {process for process in family if process.title.endswith("Agent")}
        alive = outlasting(family if waits_for_agents else family - agents, limit_s=120)
        report.broken += [f"still alive: {process.pid} {process.title[:100]}" for process in alive]
        begins = [said["x"] for said in read_notes(arena.notes) if said["event"] == "begin"]
        report.restarts = len(begins) - len(set(begins))
        from invariants import violations

        scratch = folder / "downloaded"
        report.broken += violations(arena.sweep, arena.notes, arena.uri, arena.samples, EPOCHS, scratch)
    except Exception as error:
        report.broken.append(f"{type(error).__name__}: {error}")
    finally:
        for process in family | descendants(driver.pid):
            process.kill()
        driver.kill()
        driver.wait()
        arena.stop_server()
    report.seconds = time.monotonic() - start_s
    return report


def strike(arena: Arena, victim: str, driver: subprocess.Popen[bytes], family: set[Process]) -> str:
    """SIGKILL; returns what was hit."""
    if victim == "driver":
        driver.kill()
        return f"driver {driver.pid}"
    if victim == "mlflow":
        arena.stop_server()
        return "server"
    if victim == "ray":
        return f"{sum(process.kill() for process in family)} processes"
    if victim == "train-controller":
        controllers = [process for process in family if "TrainController" in process.title]
        return f"controller {[process.pid for process in controllers[:1] if process.kill()]}"
    last = read_notes(arena.notes)[-1]
    hit = [process for process in family if process.pid == last["pid"] and process.kill()]
    return f"process {hit} after {last['event']} {last['epoch']}"


def wait_for(reached: Callable[[], bool], driver: subprocess.Popen[bytes]) -> bool:
    deadline_s = time.monotonic() + LIMIT_S
    while driver.poll() is None and time.monotonic() < deadline_s:
        if reached():
            return True
        time.sleep(0.01)
    return False


def end_of(driver: subprocess.Popen[bytes], report: Report) -> int:
    try:
        return driver.wait(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        report.broken.append(f"the driver hung for {LIMIT_S:.0f} s")
        driver.kill()
        return driver.wait()


def last_session(arena: Arena) -> str:
    return (arena.folder / "log").read_text(errors="replace").rpartition("$ seisweep")[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def all_cells() -> Iterator[str]:
    yield from (f"{victim}:{phase}" for victim in VICTIMS for phase in PHASES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", help="VICTIM:PHASE,...; a victim or a phase alone stands for all its cells")
    parser.add_argument("--times", type=int, default=3, help="runs a cell")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    quiet()
    wanted = given.cells.split(",") if given.cells else list(all_cells())
    cells = [cell for cell in all_cells() if any(want in (cell, *cell.split(":")) for want in wanted)]
    if not cells:
        parser.error(f"no such cell; there are {', '.join(all_cells())}")
    root = Path(tempfile.mkdtemp(prefix="seisweep-chaos-"))
    print(f"{'cell':30} {'runs':>4} {'passed':>6} {'resumes':>7} {'restarts':>8} {'seconds':>7}", flush=True)
    all_well = True
    for cell in cells:
        reports = []
        for number in range(given.times):
            folder = root / f"{cell.replace(':', '-')}-{number}"
            report = kill_once(*cell.split(":"), folder, f"{given.seed} {cell} {number}")
            reports.append(report)
            for line in report.broken:
                print(f"  {cell} {number} (killed: {report.killed}): {line[:600]}\n    see {folder}", flush=True)
            if not report.broken:
                shutil.rmtree(folder, ignore_errors=True)
        passed = sum(not report.broken for report in reports)
        all_well = all_well and passed == len(reports)
        sums = [sum(report.resumes for report in reports), sum(report.restarts for report in reports)]
        seconds = sum(report.seconds for report in reports) / len(reports)
        print(f"{cell:30} {len(reports):4} {passed:6} {sums[0]:7} {sums[1]:8} {seconds:7.0f}", flush=True)
    return 0 if all_well else 1


if __name__ == "__main__":
    sys.exit(main())
