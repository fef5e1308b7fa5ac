from __future__ import annotations

import gc

import pytest
from mlflow.tracking import MlflowClient
from seisweep.record.gc_pause import no_collections
from seisweep.record.mlflow_store import search_runs


def test_the_collector_is_left_as_it_was():
    with no_collections():
        assert not gc.isenabled()
        with no_collections():
            pass
        assert not gc.isenabled(), "the inner one leaves it to the outer one"
    assert gc.isenabled()
    with pytest.raises(ValueError, match="broken"), no_collections():
        raise ValueError("broken")
    assert gc.isenabled()


def test_runs_are_read_without_collections(engine_home, monkeypatch):
    enabled = []
    search = MlflowClient.search_runs

    def watched(*given, **named):
        enabled.append(gc.isenabled())
        return search(*given, **named)

    monkeypatch.setattr(MlflowClient, "search_runs", watched)
    client = MlflowClient(tracking_uri=engine_home.mlflow_uri)
    assert search_runs(client, "tags.role = 'sweep'") == []
    assert enabled == [False]
