"""A name that several want at once: one gets it, whatever happens when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient
from seisweep.record import name_claim, tags
from seisweep.record.name_claim import check_that_the_name_is_free, take_name
from seisweep.settings.home import NameTakenError


class Turns:
    """Lets one of several threads do one thing at a time, in a given order, and then whoever is left in turn."""

    def __init__(self, order: Sequence[int], actors: int) -> None:
        self.order, self.changed = list(order), threading.Condition()
        self.alive = set(range(actors))
        self.own = threading.local()

    def step(self, call: Callable[[], Any], *patience: object, **more: object) -> Any:
        with self.changed:
            self.changed.wait_for(lambda: self._next() == self.own.number, timeout=20)
            result = call()
            self._advance()
            return result

    def leave(self) -> None:
        with self.changed:
            self.alive.discard(self.own.number)
            self.changed.notify_all()

    def _next(self) -> int:
        while self.order and self.order[0] not in self.alive:
            self.order.pop(0)
        return self.order[0] if self.order else min(self.alive)

    def _advance(self) -> None:
        if self.order:
            self.order.append(self.order.pop(0))
            self.changed.notify_all()


class Store:
    """Runs and their tags, as MLflow has them."""

    tracking_uri = "http://store"

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, str]] = {}

    def create(self, run_id: str) -> None:
        self.runs[run_id] = {tags.ROLE: tags.NEW_ROLE, tags.SWEEP: "toy-1", tags.SWEEP_ID: run_id}

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.runs[run_id][key] = value

    def delete_run(self, run_id: str) -> None:
        del self.runs[run_id]

    def found(self, *wanted: object) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(info=SimpleNamespace(run_id=run_id), data=SimpleNamespace(tags=dict(facts)))
            for run_id, facts in self.runs.items()
        ]


@given(
    order=st.lists(st.integers(0, 2), min_size=3, max_size=40).filter(lambda order: set(order) == {0, 1, 2}),
    names=st.permutations("abc"),
)
def test_exactly_one_gets_the_name_in_whichever_order_they_come(order, names):
    store, turns, winners = Store(), Turns(order, 3), []

    def want(number: int) -> None:
        turns.own.number = number
        run_id = names[number]
        try:
            turns.step(lambda: store.create(run_id))
            take_name(store, run_id, "toy-1", run_id)
            turns.step(lambda: store.set_tag(run_id, tags.ROLE, tags.SWEEP_ROLE))
            winners.append(run_id)
        except NameTakenError:
            pass
        finally:
            turns.leave()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name_claim, "ask", turns.step)
        patch.setattr(name_claim, "runs_of_experiment", lambda *given: turns.step(store.found))
        patch.setattr(name_claim, "LOOK_EVERY_S", 0)
        patch.setattr(name_claim, "PATIENCE_S", 3600)
        threads = [threading.Thread(target=want, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(winners) == 1
    assert list(store.runs) == winners, "the others left nothing"


@pytest.fixture
def client(engine_home) -> MlflowClient:
    return MlflowClient(engine_home.mlflow_uri)


def made(client: MlflowClient, sweep_id: str, role: str) -> str:
    about = {tags.ROLE: role, tags.SWEEP: "toy-1", tags.SWEEP_ID: sweep_id}
    return client.create_run("0", tags=about).info.run_id


@pytest.mark.parametrize(
    ("role", "words"),
    [(tags.SWEEP_ROLE, "has a sweep named toy-1 from"), (tags.CLAIMING_ROLE, "toy-1, which is not complete yet, from")],
)
def test_a_name_that_is_taken_is_refused_and_the_run_is_gone(client, role, words):
    check_that_the_name_is_free(client.tracking_uri, "toy-1")
    made(client, "first", role)
    with pytest.raises(NameTakenError, match=f"{words} another home: choose --name"):
        check_that_the_name_is_free(client.tracking_uri, "toy-1")
    check_that_the_name_is_free(client.tracking_uri, "toy-2")
    second = made(client, "second", tags.NEW_ROLE)
    with pytest.raises(NameTakenError, match=words):
        take_name(client, second, "toy-1", "second")
    assert [run.data.tags[tags.SWEEP_ID] for run in client.search_runs(["0"])] == ["first"]


def test_whoever_may_not_delete_a_run_leaves_none_that_a_reader_sees(client, monkeypatch):
    made(client, "first", tags.SWEEP_ROLE)
    second = made(client, "second", tags.NEW_ROLE)

    def forbidden(*given: object) -> None:
        raise OSError("403")

    monkeypatch.setattr(client, "delete_run", forbidden)
    with pytest.raises(NameTakenError):
        take_name(client, second, "toy-1", "second")
    left = client.get_run(second)
    assert (left.data.tags[tags.ROLE], left.info.status) == (tags.NO_ROLE, "KILLED")


def test_one_that_died_before_its_claim_does_not_keep_the_name_for_ever(client, monkeypatch):
    made(client, "dead", tags.NEW_ROLE)
    own = made(client, "own", tags.NEW_ROLE)
    monkeypatch.setattr(name_claim, "PATIENCE_S", 0)
    take_name(client, own, "toy-1", "own")
    assert client.get_run(own).data.tags[tags.ROLE] == tags.CLAIMING_ROLE


def test_a_run_of_the_same_sweep_is_no_rival(client):
    made(client, "own", tags.SWEEP_ROLE)
    twin = made(client, "own", tags.NEW_ROLE)
    take_name(client, twin, "toy-1", "own")
    assert client.get_run(twin).data.tags[tags.ROLE] == tags.CLAIMING_ROLE


def test_a_store_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ValueError, match=r"the tracking store http://127.0.0.1:9 does not answer") as caught:
        check_that_the_name_is_free("http://127.0.0.1:9", "toy-1")
    assert "\n" not in str(caught.value)
