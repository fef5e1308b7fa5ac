from __future__ import annotations

import pytest
from seisweep.cli import run
from seisweep.commands import doctor_checks
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile


def test_a_sound_machine_passes_and_nothing_is_created(home, capsys):
    assert run(["doctor"]) == 0
    printed = capsys.readouterr().out
    for what in ("torch", "ray", "mlflow", "home", "tracking", "gpu", "shared memory", "processor"):
        assert any(what in line for line in printed.splitlines()), what
    assert not home.exists()


def test_what_would_fail_is_said_and_is_exit_code_1(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEISWEEP_HOME", str(tmp_path / "file"))
    assert run(["doctor"]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fails")]
    assert "is a file" in line


def test_a_package_that_is_missing_fails_alone(home, monkeypatch):
    monkeypatch.setattr(doctor_checks, "PACKAGES", ("numpy", "no_such_package"))
    states = {check.what: check.state for check in doctor_checks.examine(Home.find(), Profile())}
    assert (states["numpy"], states["no_such_package"], states["home"]) == ("ok", "fails", "ok")


def test_a_tracking_server_that_does_not_answer_fails(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ValueError, match=r"http://127.0.0.1:9 does not answer"):
        doctor_checks.reach_tracking("http://127.0.0.1:9")
