from __future__ import annotations

import os
from types import SimpleNamespace
from typing import cast

from obspy import UTCDateTime

from trainables.edge.network import Network
from trainables.edge.picking import Pick
from trainables.edge.writing import write

AT = UTCDateTime(2024, 1, 1)
PICKS = [Pick("XX", "A", "", "P", AT, 0.9, AT - 0.1, AT + 0.1, "HHZ")]
ANY = cast(Network, SimpleNamespace())


def test_a_file_is_replaced_as_a_whole(tmp_path):
    file = tmp_path / "picks.csv"
    file.write_text("older")
    write(PICKS, "csv", file, ANY)
    assert file.read_text().splitlines()[0].startswith("network,station")
    assert list(tmp_path.iterdir()) == [file]


def test_a_pipe_stays_one(tmp_path):
    """So does /dev/null, which a rename would replace by a file."""
    os.mkfifo(pipe := tmp_path / "pipe")
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(PICKS, "csv", pipe, ANY)
    assert os.read(reading, 10_000).startswith(b"network,station")
    os.close(reading)
    assert pipe.is_fifo()
