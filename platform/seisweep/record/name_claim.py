"""A sweep's name on a store that several homes write to: of those who want it at once, exactly one gets it.

MLflow keeps no name unique, so the runs themselves decide, without a clock. The run of a new sweep is made first, as
`new`. Whoever then sees nobody else with a claim says so (`claiming`), looks again, and waits for those who are still
`new`: each of them will have seen this claim and gone, or stands with a claim of its own. Of several claims that with
the smallest run id has the name. (Two looks around a flag, as in Lamport's bakery, CACM 17, 1974.) Whoever has to go
takes its run along.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from seisweep.record import tags
from seisweep.record.mlflow_answers import NoAnswerError, RefusedError, ask
from seisweep.record.mlflow_store import runs_of_experiment, search_runs
from seisweep.settings.home import NameTakenError

LOOK_EVERY_S = 0.1
PATIENCE_S = 15.0
"""So long a run that is just made keeps others waiting: then whoever made it is dead."""


def check_that_the_name_is_free(uri: str, name: str) -> None:
    """Before any work. Raises NameTakenError where the store has a sweep of this name or one that claims it, and
    ValueError where it does not answer."""
    client = MlflowClient(tracking_uri=uri)
    _check(client, name, search_runs(client, _wanted(name)))


def take_name(client: MlflowClient, run_id: str, name: str, sweep_id: str) -> None:
    """Claim the name for a run that was made as `new`. Whoever has the claim says when the run becomes the sweep's.

    Raises NameTakenError where the name is another's: then this run is gone. Raises NoAnswerError, RefusedError.
    """
    try:
        _check(client, name, _others(client, name, sweep_id))
        ask(partial(client.set_tag, run_id, tags.ROLE, tags.CLAIMING_ROLE))
        _wait_for_those_before(client, run_id, name, sweep_id)
    except NameTakenError:
        _leave(client, run_id)
        raise


def _wait_for_those_before(client: MlflowClient, run_id: str, name: str, sweep_id: str) -> None:
    began_s = time.monotonic()
    while True:
        others = _others(client, name, sweep_id)
        _check(client, name, [run for run in others if not _is_claim(run) or run.info.run_id < run_id])
        is_decided = all(run.data.tags[tags.ROLE] != tags.NEW_ROLE for run in others)
        if is_decided or time.monotonic() - began_s > PATIENCE_S:
            return
        time.sleep(LOOK_EVERY_S)


def _check(client: MlflowClient, name: str, others: Sequence[Run]) -> None:
    """Raises NameTakenError where one of these has the name or a claim on it."""
    for run in others:
        if run.data.tags[tags.ROLE] != tags.NEW_ROLE:
            yet = ", which is not complete yet," if _is_claim(run) else ""
            raise NameTakenError(
                f"the store {client.tracking_uri} has a sweep named {name}{yet} from another home: choose --name"
            )


def _is_claim(run: Run) -> bool:
    return run.data.tags[tags.ROLE] == tags.CLAIMING_ROLE


def _others(client: MlflowClient, name: str, sweep_id: str) -> list[Run]:
    """Runs of other sweeps that have this name or want it."""
    return [run for run in runs_of_experiment(client, _wanted(name)) if run.data.tags.get(tags.SWEEP_ID) != sweep_id]


def _wanted(name: str) -> str:
    return f"tags.{tags.SWEEP} = '{name}' and tags.{tags.ROLE} LIKE '{tags.SWEEP_ROLE}%'"


def _leave(client: MlflowClient, run_id: str) -> None:
    """Nothing of the run is left; where this user may not delete one, nothing that a reader of sweeps sees."""
    try:
        ask(partial(client.delete_run, run_id), pauses_s=())
    except (NoAnswerError, RefusedError):
        with suppress(NoAnswerError, RefusedError):
            ask(partial(client.set_tag, run_id, tags.ROLE, tags.NO_ROLE))
            ask(partial(client.set_terminated, run_id, "KILLED"))
