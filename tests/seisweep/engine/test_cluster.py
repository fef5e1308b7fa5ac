"""How many trials fit, at any mix of machines, workers and shares."""

from __future__ import annotations

import pytest
import ray
from seisweep.engine import cluster
from seisweep.engine.cluster import Resources, check_place, trials_at_a_time
from seisweep.settings.profile import Profile


def machines(monkeypatch: pytest.MonkeyPatch, *nodes: dict[str, float]) -> None:
    alive = [{"Alive": True, "Resources": node} for node in nodes]
    monkeypatch.setattr(ray, "nodes", lambda: [*alive, {"Alive": False, "Resources": {"CPU": 64.0}}])
    total = {key: sum(node.get(key, 0.0) for node in nodes) for key in ("CPU", "GPU", "memory")}
    monkeypatch.setattr(ray, "cluster_resources", lambda: total)


@pytest.mark.parametrize(
    ("nodes", "workers", "cpus", "gpus", "fitting"),
    [
        ([{"CPU": 2}], 1, 1, 0, 2),
        ([{"CPU": 2}], 2, 1, 0, 1),
        ([{"CPU": 2}], 1, 0.5, 0, 4),
        ([{"CPU": 2}], 3, 0.5, 0, 1),
        ([{"CPU": 2}], 4, 0.1, 0, 5),
        ([{"CPU": 3}], 1, 2, 0, 1),
        ([{"CPU": 3}, {"CPU": 3}], 2, 2, 0, 1),
        ([{"CPU": 4}], 2, 1, 0, 2),
        ([{"CPU": 8, "GPU": 2}], 1, 1, 0.5, 4),
        ([{"CPU": 8, "GPU": 2}], 1, 1, 0.3, 6),
        ([{"CPU": 8, "GPU": 2}], 2, 1, 1, 1),
        ([{"CPU": 1, "GPU": 4}], 1, 1, 1, 1),
        ([{"CPU": 8}, {"CPU": 8, "GPU": 1}], 1, 1, 0.25, 4),
    ],
)
def test_trials_that_fit(monkeypatch, toy_sweep, nodes, workers, cpus, gpus, fitting):
    machines(monkeypatch, *nodes)
    wanted = Resources(toy_sweep(workers=workers, cpus_per_worker=cpus, gpus_per_worker=gpus), Profile())
    assert trials_at_a_time(wanted, None) == fitting
    assert trials_at_a_time(wanted, 1) == 1


@pytest.mark.parametrize(
    ("nodes", "workers", "cpus", "gpus"),
    [
        ([{"CPU": 2}], 4, 1, 0),
        ([{"CPU": 2}, {"CPU": 2}], 1, 3, 0),
        ([{"CPU": 1.5}, {"CPU": 1.5}], 3, 1, 0),
        ([{"CPU": 8, "GPU": 1}], 3, 1, 0.5),
        ([{"CPU": 8}], 1, 1, 0.5),
    ],
)
def test_trials_that_never_fit(monkeypatch, toy_sweep, nodes, workers, cpus, gpus):
    """Also where the machines have enough in all, but none has enough for one worker more."""
    machines(monkeypatch, *nodes)
    wanted = Resources(toy_sweep(workers=workers, cpus_per_worker=cpus, gpus_per_worker=gpus), Profile())
    with pytest.raises(ValueError, match=rf"a trial of {workers} workers? of {cpus:g} CPU.* does not fit"):
        trials_at_a_time(wanted, None)


def test_what_cannot_fit_on_this_machine_is_known_before_ray_starts(monkeypatch, toy_sweep):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster, "resources_of_this_machine", lambda: {"CPU": 2, "GPU": 0, "memory": 4 * 2**30})
    check_place(Profile(), Resources(toy_sweep(cpus_per_worker=2, memory_gb_per_worker=4), Profile()))
    for wanted in ({"cpus_per_worker": 1e30}, {"memory_gb_per_worker": 1e308}, {"gpus_per_worker": 1}, {"workers": 3}):
        with pytest.raises(ValueError, match="does not fit: the machines have 2 CPU and 0 GPU"):
            check_place(Profile(), Resources(toy_sweep(**wanted), Profile()))


def test_next_to_nothing_of_a_cpu_fits_often(monkeypatch, toy_sweep):
    machines(monkeypatch, {"CPU": 2})
    assert trials_at_a_time(Resources(toy_sweep(cpus_per_worker=5e-324), Profile()), None) > 1000
