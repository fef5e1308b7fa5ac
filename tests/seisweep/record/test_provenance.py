"""Which code a sweep ran with: the commit of a checkout, or what an installation says of itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from seisweep.record import provenance, tags


@pytest.fixture
def an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """seisweep lies where no checkout is, as in an image."""
    place = tmp_path / "record" / "provenance.py"
    place.parent.mkdir()
    shutil.copy(provenance.__file__, place)
    monkeypatch.setattr(provenance, "__file__", str(place))
    monkeypatch.delenv(provenance.COMMIT_VARIABLE, raising=False)


def commit_tags() -> dict[str, str]:
    return {key: value for key, value in provenance.launch_tags().items() if "commit" in key.lower() or "dirty" in key}


@pytest.mark.usefixtures("an_installation")
def test_an_image_says_its_commit_in_a_variable(monkeypatch):
    assert commit_tags() == {}
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, "")
    assert commit_tags() == {}
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, "0123abcd")
    assert commit_tags() == {tags.GIT_COMMIT: "0123abcd", tags.SOURCE_COMMIT: "0123abcd", tags.GIT_DIRTY: "false"}
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, "0123abcd-dirty")
    assert commit_tags() == {tags.GIT_COMMIT: "0123abcd", tags.SOURCE_COMMIT: "0123abcd", tags.GIT_DIRTY: "true"}


def test_a_checkout_knows_better(monkeypatch):
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, "of-an-image")
    assert "of-an-image" not in commit_tags().values()
