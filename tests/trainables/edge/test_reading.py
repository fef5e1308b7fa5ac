"""Files of strangers run nothing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import obspy
import pytest
from lifelike import stream

from trainables.edge.files import index
from trainables.edge.reading import read_waveforms


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_pickle_is_not_unpickled(tmp_path):
    file = tmp_path / "day.mseed"
    file.write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    with pytest.raises(TypeError, match="Unknown format"):
        index(file)
    assert not (tmp_path / "ran").exists()


def test_a_stream_that_was_pickled_is_refused_here_and_read_by_obspy_as_before(tmp_path):
    file = str(tmp_path / "day.pickle")
    obspy.Stream(stream(10)).write(file, format="PICKLE")
    with pytest.raises(TypeError, match="Unknown format"):
        read_waveforms(file)
    assert len(obspy.read(file)) == 3
