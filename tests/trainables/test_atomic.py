"""A file or a folder that others read is there whole or not at all."""

from __future__ import annotations

import os

import pytest

from trainables.atomic import whole_file, whole_folder


def test_a_file_keeps_what_it_had_where_writing_fails(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError), whole_file(file) as arriving:
        arriving.write_text("ne\ud800", encoding="utf-8")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    with whole_file(file) as arriving:
        assert file.read_text() == "old", "the older one is there until the new one is whole"
        arriving.write_text("new")
    assert file.read_text() == "new"


def test_a_folder_is_not_there_before_it_is_whole(tmp_path):
    folder = tmp_path / "picker"
    with whole_folder(folder) as arriving:
        (arriving / "model.onnx").write_text("weights")
        assert not folder.exists()
    assert (folder / "model.onnx").read_text() == "weights"
    with pytest.raises(FileNotFoundError), whole_folder(folder) as arriving:
        (arriving / "missing" / "model.onnx").write_text("weights")
    assert [path.name for path in tmp_path.iterdir()] == ["picker"]
    assert (folder / "model.onnx").exists()


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with whole_file(pipe) as arriving:
        arriving.write_text("picks")
    assert os.read(reading, 100) == b"picks"
    os.close(reading)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]
