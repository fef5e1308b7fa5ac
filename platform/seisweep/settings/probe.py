"""Whether a place takes what is written, without waiting for long."""

from __future__ import annotations

import os
import uuid

from pyarrow.fs import FileSystem

from trainables.s3 import is_silence

MOST_S = 20
"""Storage that has not answered by then does not answer."""

PROBE_BYTES = 4096


def try_out(filesystem: FileSystem, folder: str) -> None:
    """Write, read and delete a small file in a folder. Raises OSError."""
    try:
        filesystem.get_file_info(folder)  # where nobody answers this ends sooner than writing would
    except OSError as error:
        if is_silence(error):
            raise
    place, content = f"{folder}/.seisweep-probe-{uuid.uuid4().hex}", os.urandom(PROBE_BYTES)
    with filesystem.open_output_stream(place) as stream:
        stream.write(content)
    try:
        with filesystem.open_input_stream(place) as stream:
            if stream.read() != content:
                raise OSError("what was written reads otherwise")
    finally:
        filesystem.delete_file(place)
