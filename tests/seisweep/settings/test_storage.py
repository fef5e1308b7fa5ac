from __future__ import annotations

import re
import shutil
from types import SimpleNamespace

import pytest
from seisweep.settings.profile import Profile
from seisweep.settings.storage import check_storage


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("gopher://", "nothing is kept at gopher://; give a folder or file://, s3://"),
        ("http://example.org/bucket", "nothing is kept at http://"),
        ("s3://", "names no place; give s3://bucket/folder"),
        ("file:///dev/null/x", "/dev/null is no folder"),
        ("/dev/null/x", "/dev/null is no folder; give another folder"),
    ],
)
def test_a_place_where_nothing_can_be_kept_is_refused(place, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        check_storage(Profile(name="far", storage_path=place))


@pytest.mark.parametrize("place", [None, "s3://bucket/sweeps", "gs://bucket", "abfs://c@account/x"])
def test_buckets_are_not_asked(place):
    check_storage(Profile(storage_path=place))


def test_a_folder_need_not_be_there_yet_but_has_room(tmp_path, monkeypatch):
    check_storage(Profile(storage_path=str(tmp_path / "new" / "folder")))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    with pytest.raises(ValueError, match=r"storage .* is full: 3 MB free"):
        check_storage(Profile(storage_path=str(tmp_path / "new")))
