"""Where checkpoints go is known before any work: a folder with room, or a bucket that takes a file and returns it."""

from __future__ import annotations

import re
import shutil
import time
from types import SimpleNamespace

import pytest
import requests
from seisweep.settings import probe
from seisweep.settings.profile import Profile
from seisweep.settings.storage import Storage, check_storage, download, storage_of

NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("gopher://", "gopher:// is not supported; give a folder or file://, s3://"),
        ("http://example.org/bucket", "http:// is not supported"),
        ("s3://", "names no place; give s3://bucket/folder"),
        ("file:///dev/null/x", "/dev/null is not a folder"),
        ("/dev/null/x", "/dev/null is not a folder; give another folder"),
    ],
)
def test_a_place_where_nothing_can_be_kept_is_refused(place, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        check_storage(Profile(name="far", storage_path=place))


@pytest.mark.parametrize("place", [None, "gs://bucket", "abfs://c@account/x"])
def test_other_storage_is_not_asked(place):
    check_storage(Profile(storage_path=place))


def test_a_folder_need_not_be_there_yet_but_has_room(tmp_path, monkeypatch):
    check_storage(Profile(storage_path=str(tmp_path / "new" / "folder")))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    with pytest.raises(ValueError, match=r"storage .* is full: 3 MB free"):
        check_storage(Profile(storage_path=str(tmp_path / "new")))


# How a bucket is reached


@pytest.mark.parametrize(
    ("path", "field", "variables", "expected"),
    [
        ("s3://lab/sweeps/", None, {}, Storage("s3://lab/sweeps")),
        ("s3://lab", "http://box:9000/", {}, Storage("s3://lab", "http://box:9000")),
        ("s3://lab", None, {"AWS_ENDPOINT_URL": "http://box:9000"}, Storage("s3://lab", "http://box:9000")),
        ("s3://lab", "http://a:1", {"AWS_ENDPOINT_URL": "http://b:2"}, Storage("s3://lab", "http://a:1")),
        ("s3://lab/x?endpoint_override=http://box:9000", None, {}, Storage("s3://lab/x", "http://box:9000")),
        (
            "s3://lab/x?scheme=http&endpoint_override=box%3A9000&region=eu",
            None,
            {"AWS_ENDPOINT_URL": "http://b:2"},
            Storage("s3://lab/x", "http://box:9000", "eu"),
        ),
        ("/shared/sweeps/", "http://box:9000", {}, Storage("/shared/sweeps", "http://box:9000")),
        ("file:///shared/sweeps", None, {}, Storage("/shared/sweeps")),
        ("gs://lab/x", None, {}, Storage("gs://lab/x")),
    ],
)
def test_place_and_endpoint_of_a_profile(monkeypatch, path, field, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert storage_of(Profile(storage_path=path, storage_endpoint=field)) == expected


@pytest.mark.parametrize(
    ("path", "field", "complaint"),
    [
        (
            "s3://lab",
            "box:9000",
            "storage_endpoint or AWS_ENDPOINT_URL = box:9000 is not an address of a server: give http",
        ),
        ("s3://lab", "http://box/lab", "http://box/lab is not an address of a server"),
        ("s3://lab?endpoint_override=box:9000/x", None, "endpoint_override in storage_path = https://box:9000/x is no"),
        (
            "s3://lab?endpoint_override=http://a:1",
            "http://b:2",
            "storage_endpoint is http://b:2, storage_path has http",
        ),
        ("s3://lab?access_key=me", None, "storage_path has access_key= behind its question mark; read are endpoint"),
    ],
)
def test_an_endpoint_that_is_none_is_named(path, field, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        check_storage(Profile(name="far", storage_path=path, storage_endpoint=field))


def test_keys_in_an_address_are_refused_and_not_repeated():
    with pytest.raises(ValueError, match="storage_path holds keys, which would be written down") as caught:
        check_storage(Profile(storage_path="s3://me:sesame@lab/x"))
    assert "sesame" not in str(caught.value)


def test_a_malformed_variable_does_not_concern_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    check_storage(Profile(storage_path=str(tmp_path)))


# Asking a bucket


def profile_at(endpoint: str, place: str = "s3://lab/sweeps") -> Profile:
    return Profile(name="far", storage_path=place, storage_endpoint=endpoint)


def test_a_bucket_is_written_read_and_left_as_it_was(s3):
    check_storage(profile_at(s3.endpoint))
    assert s3.objects() == []


@pytest.mark.parametrize(
    ("endpoint", "place", "complaint"),
    [
        ("", "s3://nowhere/x", "storage_path = s3://nowhere/x of profile far: no bucket nowhere there"),
        (NOBODY, "s3://lab/x", f"storage_path = s3://lab/x of profile far: nothing answers at {NOBODY}"),
        ("http://nowhere.invalid:9000", "s3://lab/x", "nothing answers at http://nowhere.invalid:9000"),
    ],
)
def test_what_is_not_there_is_one_line(s3, endpoint, place, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
        check_storage(profile_at(endpoint or s3.endpoint, place))
    assert "\n" not in str(caught.value)


def test_keys_that_the_server_does_not_know_are_named(s3):
    demand = f"{s3.endpoint}/moto-api/reset-auth"
    requests.post(demand, data="0", timeout=10)
    try:
        with pytest.raises(ValueError, match="the keys are refused: check AWS_ACCESS_KEY_ID"):
            check_storage(profile_at(s3.endpoint))
    finally:
        requests.post(demand, data="inf", timeout=10)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("AWS Error ACCESS_DENIED during PutObject operation: Access Denied", "these keys do not have access to it"),
        ("AWS Error UNKNOWN (HTTP status 507) during PutObject operation: InsufficientStorage", "it is full"),
        ("AWS Error UNKNOWN (HTTP status 403) during PutObject: XMinioStorageFull", "it is full"),
        ("Something else\nhappened", "Something else happened"),
    ],
)
def test_what_a_server_says_becomes_words(said, words):
    assert Storage("s3://lab/x", "http://box:9000").why(OSError(said)) == words


def test_silence_has_a_limit(monkeypatch):
    monkeypatch.setattr(probe, "MOST_S", 0.2)
    monkeypatch.setattr(probe, "try_out", lambda *_: time.sleep(1))
    with pytest.raises(ValueError, match="nothing answers at http://box:9000"):
        check_storage(profile_at("http://box:9000"))


def test_a_folder_of_a_bucket_becomes_a_folder_here(s3, tmp_path):
    s3.put("sweeps/a/state", b"1")
    s3.put("sweeps/a/deep/er", b"2")
    storage = storage_of(profile_at(s3.endpoint))
    folder = download(*storage.at("s3://lab/sweeps/a"), tmp_path / "here")
    assert {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == {"state": b"1", "er": b"2"}
    with pytest.raises(FileNotFoundError):
        download(*storage.at("s3://lab/sweeps/b"), tmp_path / "there")
    assert not (tmp_path / "there").exists()
