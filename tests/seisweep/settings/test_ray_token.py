"""Which token of a Ray cluster counts, and what is said where one should be and is not."""

from __future__ import annotations

import pytest
from seisweep import say
from seisweep.settings.profile import Profile
from seisweep.settings.ray_token import find_token, warn_of_open_cluster


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_the_profile_comes_first_then_rays_own_order(monkeypatch, tmp_path):
    assert find_token(Profile()) is None
    (tmp_path / ".ray").mkdir()
    for name, file in (("default", ".ray/auth_token"), ("path", "path"), ("profile", "profile")):
        (tmp_path / file).write_text(f"{name}\n")
    assert find_token(Profile()).value == "default"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "path"))
    assert find_token(Profile()).value == "path"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "variable")
    assert find_token(Profile()).value == "variable"
    found = find_token(Profile(token_file="~/profile"))
    assert (found.value, found.source) == ("profile", f"{tmp_path}/profile (token_file of profile local)")
    assert "profile\n" not in repr(found)
    assert "value" not in repr(found)


@pytest.mark.parametrize(
    ("content", "part"), [(None, "No such file"), ("", "is empty"), (b"\xff\xfe", "it is not text")]
)
def test_a_file_that_holds_no_token_is_named(content, part, monkeypatch, tmp_path):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    with pytest.raises(ValueError, match=rf"the token of the Ray cluster .*token \(RAY_AUTH_TOKEN_PATH\).*{part}"):
        find_token(Profile())


@pytest.mark.parametrize(("host", "warns"), [("10.0.0.1", True), ("head", True), ("127.0.0.1", False), ("::1", False)])
def test_a_cluster_that_takes_anybody_is_named_where_others_reach_it(host, warns, capsys, monkeypatch):
    monkeypatch.setattr(say, "_said", set())
    warn_of_open_cluster("the address", host)
    assert ("anybody who reaches it can run code on it" in capsys.readouterr().err) is warns
