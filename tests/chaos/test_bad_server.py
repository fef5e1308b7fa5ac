"""A sweep whose MLflow server stands behind a proxy that does to a third of its calls what bad networks do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from chaos.bad_proxy import FAULTS, BadProxy
from chaos.kill_matrix import EPOCHS, Arena, end_of
from chaos.kill_matrix import Report as Broken
from seisweep.record.mlflow_server import free_port

MOST_SESSIONS = 6


@pytest.mark.integration
@pytest.mark.parametrize("late_s", [3.0])
def test_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late_s) -> None:
    from chaos.invariants import violations

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    arena, report = Arena(tmp_path / "arena", "mlflow", "bad proxy"), Broken()
    arena.start_server()
    proxy = BadProxy(free_port(None), arena.uri, share=0.3, late_s=late_s, seed=1)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    profile = arena.home / "profiles" / "chaos.toml"
    profile.write_text(profile.read_text().replace(arena.uri, f"http://127.0.0.1:{proxy.server_port}"))
    try:
        codes: list[int] = []
        while not codes or (codes[-1] in (2, 3) and len(codes) < MOST_SESSIONS):  # 2: it did not answer at the start
            begun = (arena.sweep / "sweep.json").exists()
            codes.append(end_of(arena.seisweep("resume", "victim-1") if begun else arena.run(), report))
        assert codes[-1] == 0, f"{codes}; {(arena.folder / 'log').read_text()[-2000:]}"
        assert set(FAULTS) <= set(proxy.counts), "each kind of fault was there"
        broken = violations(arena.sweep, arena.notes, arena.uri, arena.samples, EPOCHS, tmp_path / "downloaded")
        assert not broken, "\n".join([f"sessions ended {codes}, {dict(proxy.counts)}", *broken])
    finally:
        proxy.shutdown()
        arena.stop_server()
