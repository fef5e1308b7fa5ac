"""Files in any order, of several instruments, in blocks: one record each."""

from __future__ import annotations

import pytest
from lifelike import START, picks_in, stream, write

from trainables.edge import waveforms


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
    monkeypatch.setattr(waveforms, "BLOCK_BYTES", 4096)
    assert len(waveforms.index(file)) > 20
    assert picks_in(network, file) == whole


def test_a_record_of_another_length_in_a_file_is_not_lost(network, tmp_path):
    traces = stream(300)
    traces.slice(START, START + 120).write(str(tmp_path / "a"), format="MSEED", reclen=512)
    traces.slice(START + 120.01).write(str(tmp_path / "b"), format="MSEED", reclen=4096)
    both = tmp_path / "both.mseed"
    both.write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    assert picks_in(network, both) == picks_in(network, write(traces, tmp_path / "whole.mseed"))
