"""Fixtures of the engine's tests: a Ray of this machine that they share, a store made once, a toy's sweep."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from seisweep.quiet import quiet
from seisweep.settings.home import Home

from search_spaces.sweep import Sweep

TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def _ray_ends() -> Iterator[None]:
    """The Ray that tests share ends with the last of them."""
    yield
    import ray

    ray.shutdown()


@pytest.fixture
def local_ray(_ray_ends: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one Ray that tests share: two CPUs, whatever the machine has; its processes find `toy_trainable`. What a test
    leaves running (a driver that died within this process leaves its trials) does not keep CPUs from the next."""
    quiet()
    import ray
    from ray import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group
    from seisweep.private.ray import closed_to_others

    if not ray.is_initialized():
        with monkeypatch.context() as patch:
            path = filter(None, [str(TESTS), os.environ.get("PYTHONPATH")])
            patch.setenv("PYTHONPATH", os.pathsep.join(path))
            options = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
            with closed_to_others() as closed:
                ray.init("local", num_cpus=2, **closed, **options)
            # It writes into the output of whichever test runs when a worker of an earlier one has died.
            ray._private.worker.print_to_stdstream = lambda *_, **__: None
    yield
    if ray.is_initialized():
        for actor in ray._private.state.actors().values():
            if actor["State"] == "ALIVE":
                with suppress(ProcessLookupError):
                    os.kill(actor["Pid"], signal.SIGKILL)
        for group, facts in placement_group_table().items():
            if facts["state"] != "REMOVED":
                remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(group))))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database, made once: copying it takes no time, making it takes seconds."""
    home = Home(tmp_path_factory.mktemp("store"))
    home.prepare_store()
    return home.database


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Home:
    """A home with the simulated sweeps `many-1`, `none-1` and `shots-1`; to be read only."""
    from simulated import write_sweeps

    home = Home(tmp_path_factory.mktemp("recorded") / "home").prepare()
    shutil.copy(empty_store, home.database)
    home.settle()
    return write_sweeps(home)


@pytest.fixture
def engine_home(tmp_path: Path, empty_store: Path) -> Home:
    """A home whose store is there already."""
    home = Home(tmp_path / "home")
    home.prepare()
    shutil.copy(empty_store, home.database)
    home.settle()
    return home


@pytest.fixture
def toy_sweep() -> Callable[..., Sweep]:
    """Builds a sweep of the toy with a few fields changed."""

    def build(**fields: object) -> Sweep:
        defaults = {
            "name": "toy",
            "trainable": "toy_trainable:train",
            "space": "toy_trainable:space",
            "samples": 4,
        }
        return Sweep.model_validate({**defaults, **fields})

    return build
