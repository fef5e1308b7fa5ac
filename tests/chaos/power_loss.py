"""Power losses: the driver is killed, and the last lines of ledger, of Optuna's journal or of both are gone.

    python tests/chaos/power_loss.py                    twenty of them, about ten minutes on 2 cores
    python tests/chaos/power_loss.py --kills 5 --seed 7

A disk that loses its power may lack what was written last. The sweeps and the SIGKILLs are real; the lines are cut from
the files afterwards. What was cut is trained again; nothing else may be lost, nothing be there twice, nothing be stuck.
The exit code is 1 where that does not hold; the folder of that sweep is kept then.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kill_matrix import EPOCHS, MAX_RESUMES, NAME, Arena, Report, end_of, wait_for
from mlflow.tracking import MlflowClient
from seisweep.quiet import quiet
from victim import read_notes, scores

LONGEST_S = 6.0
"""A session is killed at most so long after its first trial began to train."""
MOST_LINES = 3
FILES = ("ledger.jsonl", "study.journal")


def lose_power(arena: Arena, kills: int) -> tuple[int, Report]:
    """One sweep, killed until it is finished or has lost its power so often. How often it was, and what is broken."""
    report, done = Report(), 0
    driver = arena.run()
    while done < kills:
        begun = len(read_notes(arena.notes))
        if not wait_for(lambda begun=begun: len(read_notes(arena.notes)) > begun, driver):  # type: ignore[misc]
            break
        time.sleep(arena.random.uniform(0, LONGEST_S))
        driver.kill()
        if driver.wait() == 0:  # it was faster
            break
        done += 1
        print(f"  {done}: {cut(arena)}", flush=True)
        driver = arena.seisweep("resume", NAME)
    code = end_of(driver, report)
    while code and report.resumes < MAX_RESUMES:  # Ray may be slow to start on a busy machine
        report.resumes += 1
        code = end_of(arena.seisweep("resume", NAME), report)
    if code:
        report.broken.append(f"the exit code is {code}")
    report.broken += violations(arena)
    return done, report


def cut(arena: Arena) -> str:
    """The last one to three lines of one of the files, or of both, are gone. Says of which."""
    files = arena.random.choice([FILES[:1], FILES[1:], FILES])
    said = []
    for name in files:
        lines = (arena.sweep / name).read_bytes().splitlines(keepends=True)
        gone = min(arena.random.randint(1, MOST_LINES), len(lines) - 1)
        (arena.sweep / name).write_bytes(b"".join(lines[: len(lines) - gone]))
        said.append(f"{gone} lines of {name}")
    return " and ".join(said)


def violations(arena: Arena) -> Iterator[str]:
    """What is lost, there twice or stuck, a line each."""
    events = [json.loads(line) for line in (arena.sweep / "ledger.jsonl").read_text().splitlines()]
    ends = {event["trial"]: event["state"] for event in events if event["event"] == "end"}
    if ends != dict.fromkeys(range(arena.samples), "done"):
        yield f"ledger: trials ended {ends}"
    client = MlflowClient(tracking_uri=arena.uri)
    experiments = [found.experiment_id for found in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=1000)
    trials = {int(run.data.tags["trial"]): run for run in runs if run.data.tags["role"] == "trial"}
    if sorted(trials) != list(range(arena.samples)) or len(runs) != arena.samples + 1:
        yield f"MLflow: {len(runs)} runs, of trials {sorted(trials)}"
    if any(run.info.status != "FINISHED" for run in runs):
        yield f"MLflow: {Counter(run.info.status for run in runs)}"
    for number, run in trials.items():
        x = float(run.data.params["x"])
        found = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "dev/f1")]
        wanted = [(epoch, scores(x, epoch)["dev/f1"]) for epoch in range(1, EPOCHS + 1)]
        if sorted(found) != wanted:
            yield f"MLflow: trial {number} has {sorted(found)} instead of {wanted}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the cuts")
    given = parser.parse_args()
    quiet()
    root, chance = Path(tempfile.mkdtemp(prefix="seisweep-power-")), random.Random(given.seed)
    left, broken, number = given.kills, 0, 0
    while left > 0:
        arena = Arena(root / f"{number}", "trial", f"{chance.random()}")
        arena.samples = 8
        done, report = lose_power(arena, left)
        left, number, broken = left - done, number + 1, broken + len(report.broken)
        print(f"sweep {number}: {done} power losses, {len(report.broken)} broken promises", flush=True)
        for line in report.broken:
            print(f"  {line[:600]}\n    see {arena.folder}", flush=True)
        if not report.broken:
            shutil.rmtree(arena.folder, ignore_errors=True)
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main())
