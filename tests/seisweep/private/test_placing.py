"""Trials of a cluster are placed on nodes that may be used, as of the moment they are placed."""

from __future__ import annotations

from typing import Any

import pytest
import ray
from ray.tune import PlacementGroupFactory
from seisweep.private import ray_placing as private
from seisweep.private.ray_placing import Elsewhere, Placing


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where placement groups were asked for; none is ever ready, and each can be taken back."""
    selectors: list[str] = []

    class Group:
        def ready(self) -> object:
            return object()

    def placement_group(bundles: list[Any], strategy: str, bundle_label_selector: list[dict[str, str]]) -> Group:
        selectors.append(bundle_label_selector[0]["ray.io/node-id"])
        return Group()

    monkeypatch.setattr(private, "placement_group", placement_group)
    monkeypatch.setattr(ray, "cancel", lambda future: None)
    monkeypatch.setattr(ray.util, "remove_placement_group", lambda group: None)
    return selectors


ONE_CPU = PlacementGroupFactory([{"CPU": 1}])


def test_a_trial_goes_to_usable_nodes_and_not_where_it_failed_while_there_are_others(asked):
    usable = {"b", "a"}
    manager = Placing(lambda: usable)
    manager.request_resources(ONE_CPU)
    manager.request_resources(Elsewhere(ONE_CPU, ["a"]))
    manager.request_resources(Elsewhere(ONE_CPU, ["a", "b"]))
    usable.clear()
    manager.request_resources(ONE_CPU)
    assert asked == ["in(a,b)", "in(b)", "in(a,b)", "none"]


def test_what_waits_for_a_place_is_asked_for_anew_where_nodes_have_changed(asked):
    usable = {"a"}
    manager = Placing(lambda: usable)
    elsewhere = Elsewhere(ONE_CPU, ["a"])
    for wanted in (ONE_CPU, ONE_CPU, elsewhere):
        manager.request_resources(wanted)
    usable.add("b")
    manager.place_again()
    assert asked[3:] == ["in(a,b)", "in(a,b)", "in(b)"]
    assert len(manager.get_resource_futures()) == 3


def test_an_actor_is_not_used_again_for_a_trial_that_avoids_its_node():
    """Tune keeps them by what they were asked for with."""
    elsewhere = Elsewhere(ONE_CPU, {"a"})
    assert elsewhere != ONE_CPU
    assert elsewhere != ONE_CPU
    assert elsewhere == Elsewhere(ONE_CPU, ["a"])
    assert len({ONE_CPU, elsewhere, Elsewhere(ONE_CPU, ["a"]), Elsewhere(ONE_CPU, ["b"])}) == 3
