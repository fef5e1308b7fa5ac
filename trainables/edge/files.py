"""What files hold: their channels and stretches, MiniSEED by blocks of whole records."""

from __future__ import annotations

import glob
import io
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import obspy
from obspy.io.mseed import InternalMSEEDWarning
from obspy.io.mseed.util import get_record_information

from trainables.edge.joining import settled
from trainables.edge.pieces import Piece, piece_of
from trainables.edge.reading import read_waveforms

BLOCK_BYTES = 2**17
"""How much of a MiniSEED file is in memory at a time."""


QUALITIES = (b"D", b"R", b"Q", b"M")
"""Seventh byte of a MiniSEED record."""


SOURCE = slice(8, 20)
"""Where a record names station, location, channel and network."""


_SKIPPED = re.compile(r"Not a SEED record\. Will skip bytes (\d+) to (\d+)")


def index(file: Path, failed: Callable[[Path, str], None] | None = None) -> list[Piece]:
    """What a file holds. Raises ValueError where it is empty, an exception where it is unreadable; where only a block
    of it is, `failed` is told, and the other blocks stand."""
    if file.stat().st_size == 0:
        raise ValueError("the file is empty")
    pieces = _index_miniseed(file, failed)
    if pieces is None:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", InternalMSEEDWarning)
            pieces = [piece_of(file, None, trace) for trace in _read(file)]
        if failed is not None and (damage := _skipped(file, [str(warning.message) for warning in said])):
            failed(file, damage)
    if not pieces:
        raise ValueError("no samples in it")
    return pieces


def _skipped(file: Path, said: Sequence[str]) -> str:
    """What is said of bytes of a MiniSEED file that ObsPy has skipped; "" where they are blank, as padding is."""
    spans = [(int(match[1]), int(match[2]) + 1) for line in said if (match := _SKIPPED.search(line))]
    lost = [(start, end) for start, end in spans if not _is_blank(_bytes(file, start, end - start))]
    return f"{sum(end - start for start, end in lost)} bytes are not records, from byte {lost[0][0]} on" if lost else ""


def _is_blank(data: bytes) -> bool:
    return not data.strip(b"\0 ")


def _index_miniseed(file: Path, failed: Callable[[Path, str], None] | None) -> list[Piece] | None:
    """By blocks of whole records; None where the file is not MiniSEED with records of one length."""
    header = _bytes(file, 0, 7)
    if not header[:6].isdigit() or header[6:] not in QUALITIES:
        return None
    record_bytes = get_record_information(str(file))["record_length"]
    pieces: list[Piece] = []
    block_bytes = max(BLOCK_BYTES // record_bytes, 1) * record_bytes
    size = file.stat().st_size
    damage: list[str] = []
    for offset in range(0, size, block_bytes):
        data = _bytes(file, offset, min(block_bytes, size - offset))
        records = np.frombuffer(data[: len(data) // record_bytes * record_bytes], np.uint8).reshape(-1, record_bytes)
        if not np.isin(records[:, 6], list(b"".join(QUALITIES))).all():
            return None
        if not len(records):
            continue
        traces = _decoded(records.tobytes(), damaged=damage.append)
        pieces += [piece_of(file, (offset, records.size), trace) for trace in traces]
    rest = _bytes(file, size - size % record_bytes, size % record_bytes)
    if not _is_blank(rest):
        damage.append(f"its last record is cut off: {len(rest)} of {record_bytes} bytes")
    if damage and failed is None:
        raise ValueError(damage[0])
    if damage and failed is not None:
        failed(file, "; ".join(damage))
    return pieces


def _decoded(data: bytes, id: str = "*", damaged: Callable[[str], None] = lambda reason: None) -> list[obspy.Trace]:
    """Whole records of MiniSEED, of one channel or all; channel by channel where not all of them can be decoded."""
    try:
        found = obspy.read(io.BytesIO(data), format="MSEED", sourcename=id)
    except Exception:
        record_bytes = get_record_information(io.BytesIO(data))["record_length"]
        records = np.frombuffer(data, np.uint8).reshape(-1, record_bytes)
        found = []
        for source in np.unique(records[:, SOURCE], axis=0):
            its = records[(records[:, SOURCE] == source).all(axis=1)]
            try:
                found += obspy.read(io.BytesIO(its.tobytes()), format="MSEED")
            except Exception as error:
                damaged(f"{source.tobytes().decode('ascii', 'replace')}: {first_line(error)}")
    return settled([trace for trace in found if trace.stats.npts > 0])


def traces_in(file: Path, block: tuple[int, int] | None, id: str) -> list[obspy.Trace]:
    return _read(file) if block is None else _decoded(_bytes(file, *block), id)


def _read(file: Path) -> list[obspy.Trace]:
    return settled([trace for trace in read_waveforms(glob.escape(str(file))) if trace.stats.npts > 0])


def _bytes(file: Path, offset: int, length: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(length)


def first_line(error: Exception) -> str:
    """What happened; which file it was is said beside it."""
    text = ((isinstance(error, OSError) and error.strerror) or str(error)).strip()
    return text.splitlines()[0] if text else type(error).__name__
