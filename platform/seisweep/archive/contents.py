"""What a sweep consists of in the store that it is recorded in: its runs, with every value, and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from search_spaces.sweep import Sweep
from seisweep.archive.format import RunData
from seisweep.engine.outcome import OVER
from seisweep.engine.sweep_folder import LEDGER_FILE, Launch
from seisweep.record import tags
from seisweep.record.ledger import Ledger
from seisweep.record.mlflow_store import fetched
from seisweep.results.files import folder_here
from seisweep.results.open_store import open_store
from seisweep.results.runs import Reader, Run
from seisweep.settings.driver_lock import driver_lock
from seisweep.settings.home import Home
from seisweep.settings.places import can_be_written
from seisweep.settings.which_store import Store, check_that_it_is_there
from seisweep.statistics.objective import DONE
from seisweep.text import some
from trainables.run import ARTIFACTS

FilesOf = Callable[[int], Path | None]
"""The folder with the files of a run, by its place among the runs; None where it has none."""

MOST_NAMED = 5


def data_folders(sweep: Sweep) -> list[str]:
    """The data sets of a sweep that are folders."""
    given = sweep.base.get("data.dataset") or []
    return [name for name in map(str, given if isinstance(given, list) else [given]) if Path(name).is_absolute()]


@contextmanager
def recorded(name: str, home: Home, store: Store) -> Iterator[tuple[Launch, Reader, list[Run]]]:
    """A sweep of the home and its runs; while it is open nobody runs it. Raises ValueError: it runs, or the store has
    no record of it."""
    there = check_that_it_is_there(store, home, name).say()
    launch = Launch.read(home, name)
    # A folder that cannot be written nobody can be running.
    with driver_lock(launch.folder) if can_be_written(launch.folder) else nullcontext():
        reader = open_store(there.uri)
        yield launch, reader, runs_of_sweep(reader, launch)


def runs_of_sweep(reader: Reader, launch: Launch) -> list[Run]:
    """The sweep's own run first, then those of its trials, and of the openings of a test split for them. Raises
    ValueError where the store has no record of it."""
    found = reader.tagged({tags.SWEEP_ID: launch.id})
    parents = [run for run in found if run.data.tags.get(tags.ROLE) == tags.SWEEP_ROLE]
    if not parents:
        raise ValueError(
            f"{reader.uri} has no record of {launch.name}: write it again with `seisweep resume {launch.name}`, "
            f"from {launch.folder}"
        )
    trials = [run for run in found if run.data.tags.get(tags.ROLE) == tags.TRIAL_ROLE]
    trials.sort(key=lambda run: int(run.data.tags[tags.TRIAL]))
    ids = {run.info.run_id for run in trials}
    promoted = reader.tagged({tags.ROLE: tags.PROMOTION_ROLE, tags.SWEEP: launch.name})
    promoted = [run for run in promoted if run.data.tags.get(tags.PROMOTED_RUN) in ids]
    return [parents[0], *trials, *sorted(promoted, key=lambda run: run.info.start_time)]


def described(reader: Reader, runs: Sequence[Run]) -> Iterator[RunData]:
    """The runs as plain data. Nothing of the sweep runs: one that a killed driver left open is interrupted."""
    by_id: dict[str, list[tuple[str, int, int, float]]] = {run.info.run_id: [] for run in runs}
    for value in reader.values(runs):
        by_id[value.run_id].append((value.metric, value.step, value.time_ms, value.value))
    for run in runs:
        info, values, facts = run.info, by_id[run.info.run_id], dict(run.data.tags)
        status, end_ms = info.status, info.end_time
        if status == "RUNNING" and facts.get(tags.ROLE) != tags.PROMOTION_ROLE:
            status, facts[tags.STATE] = "KILLED", "interrupted"
            end_ms = max([info.start_time, *(time_ms for _, _, time_ms, _ in values)])
        yield RunData(
            run_id=info.run_id,
            status=status,
            start_time_ms=info.start_time,
            end_time_ms=end_ms,
            tags=facts,
            params=dict(run.data.params),
            metrics=sorted(values, key=lambda one: (one[2], one[1], one[0])),
        )


def folder_of(run: Run, uri: str, place: Path) -> Path:
    """The files of a run: where they lie, or should; those of a server are fetched to `place`."""
    here = folder_here(run)
    return fetched(f"runs:/{run.info.run_id}/", uri, place) if here is None else here


def lacking(runs: Sequence[RunData], files: FilesOf, kept: Mapping[int, Sequence[str]]) -> str:
    """What of a sweep's record is not there, in words; empty where all is. `kept`: the files that trials have left, by
    number."""
    recorded = {int(run.tags[tags.TRIAL]) for run in runs if run.tags.get(tags.ROLE) == tags.TRIAL_ROLE}
    if unrecorded := sorted(set(kept) - recorded):
        return f"the record of trial {', '.join(map(str, unrecorded[:MOST_NAMED]))}, which a resume writes again"
    missing: list[str] = []
    for place, run in enumerate(runs):
        folder = files(place)
        wanted = _wanted(run, folder, kept)
        missing += [_named(run, folder, name) for name in wanted if folder is None or not (folder / name).is_file()]
    return some(missing, MOST_NAMED)


def _named(run: RunData, folder: Path | None, name: str) -> str:
    whose = run.tags.get("mlflow.runName", run.run_id)
    return f"{whose}/{name} ({folder / name})" if folder is not None else f"{whose}/{name}"


def _wanted(run: RunData, folder: Path | None, kept: Mapping[int, Sequence[str]]) -> Sequence[str]:
    """Files that a run must have: a trial that is over its configuration and what it has left; the sweep itself what
    was launched, which older ones do not have among their files."""
    role, state = run.tags.get(tags.ROLE), run.tags.get(tags.STATE)
    if role == tags.SWEEP_ROLE:
        return [] if folder is not None and folder.is_dir() else [tags.SWEEP_FILE]
    if role != tags.TRIAL_ROLE or state not in OVER:
        return []
    is_whole = state == DONE and tags.NOT_RECORDED not in run.tags
    return [tags.CONFIG_FILE, *(kept.get(int(run.tags[tags.TRIAL]), ()) if is_whole else ())]


def kept_files(folder: Path, place: Callable[[str], str]) -> dict[int, list[str]]:
    """Of each trial of a sweep's folder that is over, the files that its last checkpoint here still has for the record.
    `place`: of a checkpoint, from what the ledger says."""
    found: dict[int, list[str]] = {}
    for number, record in Ledger(folder / LEDGER_FILE, read_only=True).trials.items():
        if not record.running:
            there = Path(place(record.checkpoint[1]), ARTIFACTS) if record.checkpoint and record.final else None
            files = sorted(there.rglob("*")) if there is not None else []
            found[number] = [file.relative_to(there).as_posix() for file in files if there and file.is_file()]
    return found
