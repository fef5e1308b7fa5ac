"""The filesystem of a bucket: what it was made with goes along to other processes, keys do not."""

from __future__ import annotations

import pickle

from trainables.s3 import PATIENT, Bucket, reached


def test_it_is_the_same_elsewhere_and_holds_no_keys(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    filesystem, path = reached("s3://lab/folder/x", "http://127.0.0.1:9", attempts=3)
    assert path == "lab/folder/x"
    sent = pickle.dumps(filesystem)
    assert b"sesame" not in sent
    arrived = pickle.loads(sent)
    assert isinstance(arrived, Bucket)
    assert arrived.made_with == ("http://127.0.0.1:9", "us-east-1", 3)
    assert arrived.type_name == "s3"


def test_a_process_has_one_of_each():
    first, _ = reached("s3://lab/a", "http://127.0.0.1:9")
    second, _ = reached("s3://lab/b", "http://127.0.0.1:9")
    assert first is second
    assert first.made_with[-1] == PATIENT


def test_it_reaches_a_server_by_its_endpoint(s3):
    filesystem, path = reached("s3://lab/a", s3.endpoint)
    with filesystem.open_output_stream(path) as stream:
        stream.write(b"1")
    assert s3.objects() == ["a"]
