"""What a Train controller leaves behind when it is killed."""

from __future__ import annotations

import os
import signal
import time

import pytest

pytestmark = pytest.mark.integration


def test_the_group_of_a_killed_controller_is_removed_and_no_other(local_ray):
    """Killed before a worker could name its group: nobody but Ray's own table knows of it."""
    import ray
    from ray.util import placement_group, placement_group_table
    from seisweep.workers.relay import open_relay

    class Creator:
        def create(self) -> tuple[str, int]:
            group = placement_group([{"CPU": 0.5}])
            ray.get(group.ready())
            return group.id.hex(), os.getpid()

    def state(group: str) -> str:
        return placement_group_table()[group]["state"]

    relay = open_relay("relay-of-the-killed")
    ours = placement_group([{"CPU": 0.5}])
    creators = [ray.remote(num_cpus=0)(Creator).remote() for _ in range(2)]
    (killed, pid), (alive, _) = ray.get([creator.create.remote() for creator in creators])
    os.kill(pid, signal.SIGKILL)
    for _ in range(300):
        if state(killed) == "REMOVED":
            break
        time.sleep(0.1)
    assert (state(killed), state(alive), state(ours.id.hex())) == ("REMOVED", "CREATED", "CREATED")
    ray.kill(relay)
    ray.util.remove_placement_group(ours)
