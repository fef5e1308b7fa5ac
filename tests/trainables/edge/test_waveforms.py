"""Files in any order, of several instruments, in blocks: one record each."""

from __future__ import annotations

import numpy as np
import pytest
from lifelike import START, picks_in, stream, write

from trainables.edge import files as edge_files
from trainables.edge.waveforms import recordings


@pytest.mark.parametrize("format", ["MSEED", "SAC"])
def test_files_in_any_order_and_format_are_one_record(format, network, tmp_path):
    traces = stream(400)
    whole = picks_in(network, write(traces, tmp_path / "whole.mseed"))
    files = []
    for number, part in enumerate([*traces.slice(START + 170.01), *traces.slice(START, START + 170)]):
        files.append(tmp_path / f"{number}.{format}")
        part.write(str(files[-1]), format=format)
    assert len(whole) > 5
    for a, b in zip(picks_in(network, *files), whole, strict=True):
        assert a[:4] == b[:4]
        assert abs(a.time - b.time) < 0.001
        assert a.probability == pytest.approx(b.probability, abs=1e-5)


def test_one_instrument_of_those_at_a_place_that_record_together(network, tmp_path):
    said: list[str] = []
    together = stream(100, "HNE HNN HNZ") + stream(100, "HHE HHN HHZ", seed=2) + stream(100, "BHZ", seed=3)
    found = picks_in(network, write(together, tmp_path / "a.mseed"), said=said)
    assert said == [
        "XX.ABC.: HH and HN record at the same time; HH is picked",
        "XX.ABC.: HH and BH record at the same time; HH is picked",
    ]
    assert found == picks_in(network, write(together.select(channel="HH?"), tmp_path / "b.mseed"))


def test_blocks_of_a_file_are_read_without_a_seam(network, tmp_path, monkeypatch):
    file = write(stream(600), tmp_path / "a.mseed")
    whole = picks_in(network, file)
    monkeypatch.setattr(edge_files, "BLOCK_BYTES", 4096)
    assert len(edge_files.index(file)) > 20
    assert picks_in(network, file) == whole


def test_a_record_of_another_length_in_a_file_is_not_lost(network, tmp_path):
    traces = stream(300)
    traces.slice(START, START + 120).write(str(tmp_path / "a"), format="MSEED", reclen=512)
    traces.slice(START + 120.01).write(str(tmp_path / "b"), format="MSEED", reclen=4096)
    both = tmp_path / "both.mseed"
    both.write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    assert picks_in(network, both) == picks_in(network, write(traces, tmp_path / "whole.mseed"))


def test_what_is_damaged_in_a_file_is_named_and_padding_is_not(tmp_path):
    stream(100).write(str(tmp_path / "whole.mseed"), format="MSEED", reclen=512)
    whole = (tmp_path / "whole.mseed").read_bytes()
    middle = len(whole) // 1024 * 512
    contents = {
        "cut": whole[:-300],
        "garbage": whole[:middle] + b"\xff" * 512 + whole[middle + 512 :],
        "padded": whole + b"\0" * 1024,
        "padded a little": whole + b"\0" * 100,
    }
    said: dict[str, list[str]] = {name: [] for name in contents}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert len(edge_files.index(tmp_path / name, lambda _, reason, to=said[name]: to.append(reason))) >= 3
    assert said == {
        "cut": ["its last record is cut off: 212 of 512 bytes"],
        "garbage": [f"512 bytes are not records, from byte {middle} on"],
        "padded": [],
        "padded a little": [],
    }


@pytest.mark.parametrize("rate_hz", [99.992, 100.008])
def test_a_rate_that_is_nearly_the_models_tears_no_gaps_between_blocks(network, tmp_path, monkeypatch, rate_hz):
    """Whatever is read of a record of constant counts is those counts: each zero would be a step of an offset."""
    traces = stream(1200)
    for trace in traces:
        trace.data = np.full(trace.stats.npts, 5000, dtype=np.int32)
        trace.data[:100] = 4000  # alive
        trace.stats.sampling_rate = rate_hz
    monkeypatch.setattr(edge_files, "BLOCK_BYTES", 2**17)
    traces.write(str(tmp_path / "a.mseed"), format="MSEED", encoding="INT32", reclen=512)
    pieces = edge_files.index(tmp_path / "a.mseed")
    assert len(pieces) > 9
    recording = recordings(pieces, network, print, lambda file, reason: pytest.fail(reason))[0]
    start, num_samples = recording.segments()[0]
    assert num_samples == round(120_000 / rate_hz * 100)
    counts_XT = recording.read(start, 0, num_samples)
    assert set(np.unique(counts_XT[:, :-1])) == {4000.0, 5000.0}  # the record ends within the last sample
    assert recording.remarks() == []
