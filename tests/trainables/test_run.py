"""A run without an engine keeps its last checkpoint, wherever it is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainables.run import LocalRun


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def checkpoint(folder: Path, content: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "state.json").write_text(content)
    return folder


@pytest.mark.parametrize("survived", range(2))
def test_killed_while_a_checkpoint_takes_the_place_of_another(tmp_path, monkeypatch, survived):
    """Before the first, or between the two renames: the earlier checkpoint is there, and the next one is taken."""
    LocalRun(tmp_path / "run").report({}, checkpoint(tmp_path / "given", "first"))
    rename, done = Path.rename, []

    def until_killed(path: Path, target: Path) -> Path:
        if len(done) == survived:
            raise KilledError
        done.append(path)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", until_killed)
        with pytest.raises(KilledError):
            LocalRun(tmp_path / "run").report({}, checkpoint(tmp_path / "given", "second"))
    again = LocalRun(tmp_path / "run")
    resumed = again.resume_from()
    assert resumed is not None
    assert (resumed / "state.json").read_text() == "first"
    again.report({}, checkpoint(tmp_path / "given", "second"))
    assert (tmp_path / "run" / "checkpoint" / "state.json").read_text() == "second"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoint"]
