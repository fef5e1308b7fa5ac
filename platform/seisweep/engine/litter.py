"""What trials whose processes were killed have left on other machines."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from seisweep.engine.preflight import nodes_alive

MOST_S = 10.0
"""So long the end of a session waits for other machines."""

logger = logging.getLogger(__name__)


def tidy_other_machines(scratch: str) -> None:
    """Remove this sweep's folder for working files on each machine of the cluster but this one. The trials are over.

    A trial removes its own files; a killed one cannot. On one machine this asks for nothing. A cluster that does not
    answer costs disk and nothing else.
    """
    try:
        _ask_other_machines(scratch)
    except Exception as error:  # whatever a Ray that is ending raises: how the sweep ended is not for this to say
        logger.warning("working files on other machines: %s", error)


def _ask_other_machines(scratch: str) -> None:
    def remove(name: str) -> None:  # in here, so that a machine needs no seisweep for it
        shutil.rmtree(Path(tempfile.gettempdir()) / name, ignore_errors=True)

    here = ray.get_runtime_context().get_node_id()
    others = [node for node in nodes_alive() if node.id != here]
    if not others:
        return
    task = ray.remote(num_cpus=0, max_retries=0)(remove)
    asked = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(scratch): node
        for node in others
    }
    _, late = ray.wait(list(asked), num_returns=len(asked), timeout=MOST_S)
    if late:
        machines = ", ".join(str(asked[one]) for one in late)
        logger.warning("no answer in time from %s: %s may remain in the temporary folder there", machines, scratch)
