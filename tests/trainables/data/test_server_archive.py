"""A data set out of the waveforms of a data centre: a server on this machine that answers from real records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pytest
import seisbench.data as sbd
from picked import catalogue_of, real_records, start_of, stream_of

from trainables.data.build_window import BuildConfig
from trainables.data.building import build
from trainables.data.catalog import quiet_seisbench
from trainables.data.catalogues import Picks, read_picks

pytest.importorskip("trainables.data.fdsn")
from fdsn_server import DataCentre, data_centre

NOISELESS = BuildConfig(noise_share=0)
NUMBER = 12


@pytest.fixture
def picks(shared_data: Path, tmp_path: Path) -> Picks:
    catalogue_of(real_records(shared_data, NUMBER)).write(str(tmp_path / "a.xml"), format="QUAKEML")
    return read_picks([tmp_path / "a.xml"])


@pytest.fixture
def stream(shared_data: Path) -> obspy.Stream:
    """The latest first: the server takes the start of the last one for that of the channel."""
    found = sum((stream_of(record) for record in real_records(shared_data, NUMBER)), obspy.Stream())
    return found.sort(["starttime"], reverse=True)


def address(centre: DataCentre) -> str:
    return f"fdsn:{centre.url}?network=*&channel=*"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_server_gives_what_it_has_recorded(jobs, picks, stream, shared_data, tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.data.building.PART_WINDOWS", 6)
    with data_centre(stream) as centre:
        built = build(tmp_path / "set", picks, address(centre), NOISELESS, jobs=jobs)
    assert built.is_complete
    with quiet_seisbench():
        dataset = sbd.WaveformDataset(tmp_path / "set", component_order="ENZ")
    rows = {row.trace_start_time: number for number, row in dataset.metadata.iterrows()}
    assert len(rows) == NUMBER
    for waveform_XT, expected in real_records(shared_data, NUMBER):
        found_XT, metadata = dataset.get_sample(rows[str(start_of(expected))])
        assert np.array_equal(found_XT, waveform_XT)
        assert metadata["trace_P_arrival_sample"] == expected["trace_p_arrival_sample"]


def test_what_a_server_refuses_is_named_and_comes_with_append(picks, stream, tmp_path):
    station = str(picks.table["station"][0])
    with data_centre(stream) as centre:
        centre.faults[station] = [403]
        built = build(tmp_path / "set", picks, address(centre), NOISELESS, jobs=1)
        assert not built.is_complete
        assert len(built.metadata) == NUMBER - 1
        assert built.left_out == {"no waveforms": 2}
        (failed,) = built.failed.items()
        assert station in failed[0]
        assert "403" in failed[1] or "orbidden" in failed[1] or "reason in words" in failed[1]
        again = build(tmp_path / "set", picks, address(centre), NOISELESS, append=True, jobs=1)
    assert again.is_complete
    assert len(again.metadata) == NUMBER


def test_a_server_that_refuses_everything_and_one_that_is_not_there(picks, stream, tmp_path):
    with data_centre(stream) as centre:
        for station in set(picks.table["station"]):
            centre.faults[station] = [403] * 50
        with pytest.raises(ValueError, match="requests in a row failed"):
            build(tmp_path / "set", picks, address(centre), NOISELESS, jobs=1)
        place = centre.url
    assert not (tmp_path / "set").exists()
    with pytest.raises(ValueError, match=r"does not answer as a data centre|no list of stations"):
        build(tmp_path / "set", picks, f"fdsn:{place}?network=*", NOISELESS, jobs=1)
    assert not (tmp_path / "set").exists()
