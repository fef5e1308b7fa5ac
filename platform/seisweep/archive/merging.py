"""An archive into a home: its runs become runs of the home's store, its folder a sweep of the home.

The same sweep is recognised by its id and its trials by their numbers, values keep their steps and times, so that the
sweep is read and resumed here as where it came from. What makes it one of the home's comes last: the run of the sweep
takes its role, then the folder its name. Until then nothing shows it, and whatever ends a merge in between, a second
one begins anew.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock
from mlflow.entities import Metric, Param, Run
from mlflow.tracking import MlflowClient

from search_spaces.narrowing import searched_keys
from search_spaces.sweep import Sweep
from seisweep.archive.format import FILES, SWEEP, Manifest, RunData, extract, opened, read_runs
from seisweep.engine.sweep_folder import CHECKPOINTS, LOGS, Launch
from seisweep.record import tags
from seisweep.record.mlflow_pages import saved_view
from seisweep.record.mlflow_store import experiment_named, search_runs, store_answers
from seisweep.results.files import folder_here
from seisweep.settings.free_disk import MIN_FREE_BYTES, free_bytes
from seisweep.settings.home import SWEEP_FILE, Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import OWN, Store, own_store, read_description, ready_to_write

SAY_EVERY_S = 5.0
ITEMS_A_CALL = 1000
PARAMS_A_CALL = 100
NOT_TAKEN = (tags.PARENT, "mlflow.runName", "mlflow.log-model.history")
"""Tags that are made anew, or say something of another store."""

Say = Callable[[str], None]


def merge(file: Path, home: Home, say: Say) -> Manifest:
    """Take a sweep into a home. Raises ValueError in one line where the home has it or another one of its name, and
    where the file is no whole archive; then the home is as it was."""
    with opened(file) as (manifest, archive):
        _check_that_it_is_new(manifest, home)
        _check_room(manifest, home)
        store = ready_to_write(own_store(home), home)
        arriving = home.root / f".merging-{uuid.uuid4().hex}"
        try:
            with FileLock(home.root / "merge.lock"):
                _check_that_it_is_new(manifest, home)
                arriving.mkdir()
                for done in _said(say, extract(archive, manifest, arriving), manifest):
                    assert done <= manifest.bytes
                sweep = _prepared(arriving / SWEEP, manifest)
                _record(store, manifest, sweep, read_runs(arriving), arriving / FILES, say)
                (arriving / SWEEP).rename(home.sweep_dir(manifest.sweep))
                _say_what_lacks(Launch.read(home, manifest.sweep), say)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
    return manifest


def _check_that_it_is_new(manifest: Manifest, home: Home) -> None:
    name = manifest.sweep
    if home.sweep_file(name).is_file():
        same = read_description(home, name).get("id") == manifest.id
        raise ValueError(f"home {home.root} has {'this sweep' if same else 'another sweep'} already: {name}")
    if home.sweep_dir(name).exists():
        raise ValueError(f"{home.sweep_dir(name)} is in the way: it is no sweep")


def _check_room(manifest: Manifest, home: Home) -> None:
    home.check()
    if (free := free_bytes(home.root)) < 2 * manifest.bytes + MIN_FREE_BYTES:
        raise ValueError(
            f"home {home.root}: {free / 2**20:.0f} MB free, {manifest.sweep} needs {2 * manifest.bytes / 2**20:.0f} MB "
            f"and {MIN_FREE_BYTES / 2**20:.0f} MB are left free"
        )


def _said(say: Say, steps: Iterator[int], manifest: Manifest) -> Iterator[int]:
    """How far it is, where it takes long."""
    said_s = time.monotonic()
    for done in steps:
        yield done
        if time.monotonic() > said_s + SAY_EVERY_S:
            say(f"{done / 1e6:.0f} of {manifest.bytes / 1e6:.0f} MB")
            said_s = time.monotonic()


def _prepared(folder: Path, manifest: Manifest) -> Sweep:
    """The sweep's folder as this home has it. Raises TarError where it is not the folder of that sweep."""
    file = folder / SWEEP_FILE
    try:
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        sweep = Sweep.model_validate(said["sweep"])
        Profile.model_validate(said["profile"])
        if (said["name"], said["id"]) != (manifest.sweep, manifest.id):
            raise ValueError(f"it is of {said['name']}, the archive of {manifest.sweep}")
        for place in said.get("places", {}).values():
            if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
                raise ValueError(f"{place} is no place in its folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise tarfile.TarError(f"{SWEEP}/{SWEEP_FILE}: {' '.join(str(error).split())[:200]}") from None
    file.write_text(json.dumps(said | {"store": OWN}, indent=2))
    for part in (CHECKPOINTS, LOGS):
        (folder / part).mkdir(exist_ok=True)
    return sweep


def _record(store: Store, manifest: Manifest, sweep: Sweep, runs: Sequence[RunData], files: Path, say: Say) -> None:
    """The runs of an archive as runs of a store. Raises ValueError where it has another sweep of this name, or does not
    answer; then it has none of them."""
    if not runs or runs[0].tags.get(tags.ROLE) != tags.SWEEP_ROLE or runs[0].tags.get(tags.SWEEP_ID) != manifest.id:
        raise tarfile.TarError("its first run is not that of the sweep")
    client = MlflowClient(tracking_uri=store.uri)
    known = search_runs(client, f"tags.{tags.SWEEP} = '{manifest.sweep}' and tags.{tags.ROLE} = '{tags.SWEEP_ROLE}'")
    if any(run.data.tags.get(tags.SWEEP_ID) != manifest.id for run in known):
        raise ValueError(f"the store {store.uri} has another sweep named {manifest.sweep}")
    if known:
        say(f"{manifest.sweep} is recorded here already: only its folder is taken in")
        return
    for left in search_runs(client, f"tags.{tags.SWEEP_ID} = '{manifest.id}'"):
        client.delete_run(left.info.run_id)  # of a merge that was killed
    experiments = {
        tags.SWEEP_ROLE: experiment_named(client, sweep.name, store.artifacts_uri),
        tags.PROMOTION_ROLE: experiment_named(client, tags.PROMOTIONS, store.artifacts_uri),
    }
    with store_answers(store.uri), _all_or_none(client) as made:
        for number, run in enumerate(runs):
            if number and number % 20 == 0:
                say(f"run {number} of {len(runs)}")
            _write(client, experiments, run, files / str(number), made)
        view = saved_view(manifest.sweep, sweep.objectives, searched_keys(sweep))
        client.set_experiment_tag(experiments[tags.SWEEP_ROLE], *view)
        client.set_tag(made[runs[0].run_id].info.run_id, tags.ROLE, tags.SWEEP_ROLE)


def _say_what_lacks(launch: Launch, say: Say) -> None:
    """Data that is not here: who only reads the sweep needs none."""
    data = launch.sweep_here.base.get("data.dataset")
    if isinstance(data, str) and Path(data).is_absolute() and not Path(data).exists():
        say(f"its data is not here: before a `seisweep resume {launch.name}` bring it to {data}")


@contextmanager
def _all_or_none(client: MlflowClient) -> Iterator[dict[str, Run]]:
    """Runs that are made while it is open, by the id that each had; where that does not end well, there are none."""
    made: dict[str, Run] = {}
    try:
        yield made
    except BaseException:
        for run in made.values():
            client.delete_run(run.info.run_id)
            if (folder := folder_here(run)) is not None:  # type: ignore[arg-type]  # of the same shape
                shutil.rmtree(folder.parent, ignore_errors=True)
        raise


def _write(client: MlflowClient, experiments: dict[str, str], run: RunData, files: Path, made: dict[str, Run]) -> None:
    """One run. That of the sweep, which is the first, gets its role when all others are there."""
    role = run.tags.get(tags.ROLE, "")
    is_first = not made
    facts = {key: value for key, value in run.tags.items() if key not in NOT_TAKEN}
    if is_first:
        facts.pop(tags.ROLE)
    elif role == tags.TRIAL_ROLE:
        facts[tags.PARENT] = next(iter(made.values())).info.run_id
    elif (promoted := made.get(facts.get(tags.PROMOTED_RUN, ""))) is not None:
        facts[tags.PROMOTED_RUN] = promoted.info.run_id
    new = made[run.run_id] = client.create_run(
        experiments.get(role, experiments[tags.SWEEP_ROLE]),
        start_time=run.start_time_ms,
        run_name=run.tags.get("mlflow.runName"),
        tags=facts,
    )
    run_id, params = new.info.run_id, [Param(key, value) for key, value in run.params.items()]
    for start in range(0, len(params), PARAMS_A_CALL):
        client.log_batch(run_id, params=params[start : start + PARAMS_A_CALL])
    points = [Metric(name, value, time_ms, step) for name, step, time_ms, value in run.metrics]
    for start in range(0, len(points), ITEMS_A_CALL):
        client.log_batch(run_id, metrics=points[start : start + ITEMS_A_CALL])
    if files.is_dir():
        client.log_artifacts(run_id, str(files))
    if run.status != "RUNNING":
        client.set_terminated(run_id, run.status, run.end_time_ms)
