"""Whether a place takes what is written, without waiting for long."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable

from pyarrow.fs import FileSystem

from trainables.s3 import SILENCE, is_silence

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
    with filesystem.open_input_stream(place) as stream:
        if stream.read() != content:
            raise OSError("what was written reads otherwise")
    filesystem.delete_file(place)


def within(seconds: float, work: Callable[[], None]) -> None:
    """Do it, or raise OSError: what it raises, or that it takes too long. It may go on then: nothing can stop it."""
    found: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
            found.append(None)
        except (OSError, ValueError) as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    error = found[0] if found else OSError(f"{SILENCE} for {seconds:g} s")
    if error is not None:
        raise OSError(str(error)) from error
