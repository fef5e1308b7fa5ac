"""What killed trials have left on other machines goes with the session."""

from __future__ import annotations

import pytest
from seisweep.engine import litter
from seisweep.engine.litter import tidy_other_machines

pytestmark = pytest.mark.integration


class Elsewhere:
    """A driver on another machine than the one that Ray runs on."""

    def get_node_id(self) -> str:
        return "another"


def test_a_task_on_the_machine_removes_the_folder_of_the_sweep(local_ray, tmp_path, monkeypatch):
    import ray

    place, other = (litter.Path(litter.tempfile.gettempdir()) / f"seisweep-test-{name}" for name in ("a", "b"))
    for folder in (place, other):
        (folder / "trial-x").mkdir(parents=True)
    tidy_other_machines(place.name)
    assert place.exists(), "this machine looks after itself"
    monkeypatch.setattr(ray, "get_runtime_context", Elsewhere)
    tidy_other_machines(place.name)
    assert not place.exists()
    assert other.exists()
    tidy_other_machines(other.name)
    assert not other.exists()


def test_a_ray_that_is_gone_raises_nothing(monkeypatch):
    def gone() -> None:
        raise ConnectionError("no Ray")

    monkeypatch.setattr("ray.get_runtime_context", gone)
    tidy_other_machines("seisweep-x")
