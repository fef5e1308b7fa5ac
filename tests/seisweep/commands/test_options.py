"""Which profile a command takes where none is given."""

from __future__ import annotations

from pathlib import Path

import pytest
from seisweep.cli import run
from seisweep.launching import start as start_module
from seisweep.launching.sending import Sent
from seisweep.settings.profile import Profile
from seisweep.settings.which_profile import PROFILE_VARIABLE, profile_by_default


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose profiles `mine` and `far` run nowhere: that is how a command says which one it took."""
    folder = tmp_path / "home" / "profiles"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text('ray_address = "127.0.0.1:1"\n')
    (folder / "far.toml").write_text('submit_to = "http://127.0.0.1:1"\njob_home = "/shared"\n')
    monkeypatch.setenv("SEISWEEP_HOME", str(folder.parent))
    return folder


def test_the_environment_names_it_and_an_empty_variable_names_none(monkeypatch):
    assert profile_by_default() == "local"
    monkeypatch.setenv(PROFILE_VARIABLE, "")
    assert profile_by_default() == "local"
    monkeypatch.setenv(PROFILE_VARIABLE, "cluster-cpu")
    assert profile_by_default() == "cluster-cpu"


@pytest.mark.parametrize("command", [["run", "distillation"], ["train", "distillation"]])
def test_commands_take_it_and_what_is_typed_goes_before_it(profiles, command, monkeypatch):
    chosen: list[str] = []

    def noted(sweep: object, profile: Profile, **_: object) -> Sent:
        chosen.append(profile.name)
        return Sent("toy-1", 0)

    monkeypatch.setattr(start_module, "start", noted)
    monkeypatch.setenv(PROFILE_VARIABLE, "mine")
    assert run(command) == 0
    assert run([*command, "--profile", "local"]) == 0
    monkeypatch.delenv(PROFILE_VARIABLE)
    assert run(command) == 0
    assert chosen == ["mine", "local", "local"]


def test_one_that_does_not_exist_is_named(profiles, monkeypatch, capsys):
    monkeypatch.setenv(PROFILE_VARIABLE, "yours")
    assert run(["run", "distillation"]) == 2
    assert "no profile named yours" in capsys.readouterr().err


def test_the_demo_goes_where_its_files_are(profiles, monkeypatch, capsys):
    monkeypatch.setenv(PROFILE_VARIABLE, "far")
    assert run(["demo", "--tiny"]) == 2
    assert "profile far (SEISWEEP_PROFILE) sends jobs to other machines" in capsys.readouterr().err
    assert not (profiles.parent / "data").exists()
