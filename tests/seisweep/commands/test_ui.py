"""What `seisweep ui` prints and opens; its server is tested beside it."""

from __future__ import annotations

import webbrowser

import pytest
from seisweep.cli import run
from seisweep.commands import ui
from seisweep.record import mlflow_server

BASE = "http://127.0.0.1:5004"


@pytest.fixture
def shown(recorded, monkeypatch):
    """What was opened in a browser; the server shows its address and ends."""
    monkeypatch.setenv("SEISWEEP_HOME", str(recorded.root))
    monkeypatch.setattr(mlflow_server, "serve", lambda home, store, port, show: show(BASE) or 0)
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    return opened


def test_each_sweep_has_a_line_with_its_links(shown, capsys):
    assert run(["ui"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == BASE
    assert [line.split()[:2] for line in lines] == [[name, "finished"] for name in ("shots-1", "none-1", "many-1")]
    for line in lines:
        links = [word for word in line.split() if word.startswith("http")]
        assert all(link.startswith(f"{BASE}/#/experiments/") and "machine_learning" in link for link in links)
        assert f"viewStateShareKey={line.split()[0]}&" in links[0]
        assert "/runs/" in links[1], "its own page"
    assert shown == []


def test_many_sweeps_are_counted(shown, capsys, monkeypatch):
    monkeypatch.setattr(ui, "MOST_SWEEPS", 2)
    assert run(["ui"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "and 1 more: seisweep ui NAME"


def test_a_sweep_by_name_has_all_its_links_and_opens(shown, capsys):
    assert run(["ui", "many-1", "--open"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["trials", "charts", "sweep", "compare"]
    assert shown == [lines[0].split()[1]], "the trials"


def test_without_a_name_the_latest_sweep_opens(shown):
    assert run(["ui", "--open"]) == 0
    assert len(shown) == 1
    assert "viewStateShareKey=shots-1&" in shown[0]


def test_where_no_browser_can_be_opened_a_line_says_so(shown, capsys, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert run(["ui", "many-1", "--open"]) == 0
    assert capsys.readouterr().err.startswith(f"no browser can be opened here: {BASE}/#/experiments/")


def test_an_unknown_sweep_starts_nothing(shown, capsys, monkeypatch):
    monkeypatch.setattr(mlflow_server, "serve", lambda *_: pytest.fail("a server"))
    assert run(["ui", "many-2"]) == 2
    assert "did you mean many-1?" in capsys.readouterr().err
