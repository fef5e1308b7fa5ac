"""Data sets built from picks and an archive: the samples and arrivals that went in, however often it is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import seisbench.data as sbd
from picked import Record, catalogue_of, real_records, start_of, write_csv, write_files, write_sds

from trainables.data.build_window import BuildConfig
from trainables.data.building import WORK, build
from trainables.data.catalog import check_dataset, load_dataset, quiet_seisbench
from trainables.data.catalogues import read_picks

NOISELESS = BuildConfig(noise_share=0)


@pytest.fixture(scope="module")
def records(shared_data: Path) -> list[Record]:
    return real_records(shared_data)


@pytest.fixture(scope="module")
def inputs(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    catalogue_of(records).write(str(folder / "catalogue.xml"), format="QUAKEML")
    write_csv(records, folder / "picks.csv")
    write_files(records, folder / "files")
    write_sds(records, folder / "sds")
    return folder


def opened(folder: Path) -> sbd.WaveformDataset:
    with quiet_seisbench():
        return sbd.WaveformDataset(folder, component_order="ENZ")


@pytest.mark.parametrize(("picks", "archive"), [("catalogue.xml", "files"), ("picks.csv", "sds")])
def test_a_catalogue_and_an_archive_give_back_the_arrivals_and_the_samples(picks, archive, records, inputs, tmp_path):
    built = build(tmp_path / "set", read_picks([inputs / picks]), str(inputs / archive), NOISELESS, jobs=1)
    assert built.is_complete
    assert not built.left_out.total()
    dataset = opened(tmp_path / "set")
    rows = {(row.station_code, row.trace_start_time): number for number, row in dataset.metadata.iterrows()}
    assert len(rows) == len(records) == 106
    for waveform_XT, expected in records:
        number = rows[str(expected["station_code"]), str(start_of(expected))]
        found_XT, metadata = dataset.get_sample(number)
        assert np.array_equal(found_XT, waveform_XT)
        assert found_XT.dtype == np.float32
        assert metadata["trace_P_arrival_sample"] == expected["trace_p_arrival_sample"]
        assert metadata["trace_S_arrival_sample"] == expected["trace_s_arrival_sample"]
        assert metadata["trace_live_components"] == expected["trace_live_components"]
        if picks == "catalogue.xml":
            assert metadata["source_id"] == f"smi:local/event/{expected['source_id']}"
            assert metadata["trace_p_status"] == "manual"
            assert (metadata["source_latitude_deg"], metadata["source_depth_km"]) == (37.5, 5.5)
    check_dataset(load_dataset(str(tmp_path / "set")))


_KILLED = """
import os, signal, sys
from pathlib import Path
from trainables.data import build_files, building
from trainables.data.build_window import BuildConfig
from trainables.data.catalogues import read_picks
building.PART_WINDOWS = 8
def die(*given):
    os.kill(os.getpid(), signal.SIGKILL)
inputs, folder, after, jobs = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
if after == "waveforms":
    build_files.digest_of = die
config = BuildConfig(noise_share=0)
at = int(after) if after.isdigit() else 10**9
if __name__ == "__main__":
    building.build(folder, read_picks([inputs / "catalogue.xml"]), str(inputs / "files"), config,
                   jobs=jobs, progress=lambda done, total: die() if done >= at else None)
"""


@pytest.mark.integration
def test_a_build_that_is_killed_again_and_again_gives_the_same_bytes(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.data.building.PART_WINDOWS", 8)
    picks = read_picks([inputs / "catalogue.xml"])
    build(tmp_path / "whole", picks, str(inputs / "files"), NOISELESS, jobs=1)
    script = tmp_path / "killed.py"
    script.write_text(_KILLED)
    parts = []
    for after, jobs in (("8", "1"), ("50", "2"), ("waveforms", "1")):
        command = [sys.executable, str(script), str(inputs), str(tmp_path / "killed"), after, jobs]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert not (tmp_path / "killed/metadata.csv").exists()
        parts.append(len(list((tmp_path / "killed" / WORK).glob("part-*.json"))))
    assert parts[0] >= 1
    assert parts[1] >= 7
    assert parts[2] == 14
    built = build(tmp_path / "killed", picks, str(inputs / "files"), NOISELESS, jobs=1)
    assert any("an interrupted build goes on: 14 of 14 parts are there" in note for note in built.notes)
    for name in ("metadata.csv", "waveforms.hdf5", "build.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "killed" / WORK).exists()


@pytest.mark.integration
def test_several_processes_give_the_bytes_of_one(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.data.building.PART_WINDOWS", 16)
    for jobs in (1, 3):
        build(tmp_path / str(jobs), read_picks([inputs / "picks.csv"]), str(inputs / "files"), NOISELESS, jobs=jobs)
    for name in ("metadata.csv", "waveforms.hdf5"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_another_build_does_not_go_on_with_parts_that_are_there(inputs, tmp_path, monkeypatch):
    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    picks, archive = read_picks([inputs / "picks.csv"]), str(inputs / "files")
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "set", picks, archive, NOISELESS, jobs=1, progress=stop)
    with pytest.raises(ValueError, match="an interrupted build of 106 windows with other picks, waveforms or options"):
        build(tmp_path / "set", picks, archive, BuildConfig(noise_share=0, window_before_s=5), jobs=1)
    assert build(tmp_path / "set", picks, archive, NOISELESS, jobs=1).is_complete


@pytest.fixture
def halves(records: list[Record], tmp_path: Path) -> Callable[[], tuple[Path, Path]]:
    def write() -> tuple[Path, Path]:
        for name, half in (("first", records[:40]), ("all", records)):
            catalogue_of(half).write(str(tmp_path / f"{name}.xml"), format="QUAKEML")
        return tmp_path / "first.xml", tmp_path / "all.xml"

    return write


def test_appending_adds_what_is_not_there_and_keeps_the_splits(records, inputs, halves, tmp_path):
    first, everything = halves()
    archive, folder = str(inputs / "files"), tmp_path / "set"
    before = build(folder, read_picks([first]), archive, NOISELESS, jobs=1).metadata
    after = build(folder, read_picks([everything]), archive, NOISELESS, append=True, jobs=1)
    assert len(before) == 40
    assert any("40 windows are in the data set already" in note for note in after.notes)
    pd.testing.assert_frame_equal(after.metadata[:40][before.columns], before)
    dataset = opened(folder)
    assert dataset.metadata["source_id"].nunique() == len(dataset) == 106
    rows = {source.rpartition("/")[2]: number for number, source in enumerate(dataset.metadata["source_id"])}
    for waveform_XT, expected in records:
        assert np.array_equal(dataset.get_sample(rows[expected["source_id"]])[0], waveform_XT)
    waveforms = (folder / "waveforms.hdf5").read_bytes()
    build(folder, read_picks([everything]), archive, NOISELESS, append=True, jobs=1)
    assert len(opened(folder)) == 106
    assert (folder / "waveforms.hdf5").read_bytes() == waveforms


@pytest.mark.parametrize(
    ("change", "part"), [({"rate_hz": 50}, "--rate-hz 100"), ({"components": "ZNE"}, "--components ENZ")]
)
def test_appending_in_another_form_is_refused(change, part, inputs, halves, tmp_path):
    first, everything = halves()
    build(tmp_path / "set", read_picks([first]), str(inputs / "files"), NOISELESS, jobs=1)
    files = {file: file.read_bytes() for file in (tmp_path / "set").iterdir()}
    config = NOISELESS.model_copy(update=change)
    with pytest.raises(ValueError, match=part):
        build(tmp_path / "set", read_picks([everything]), str(inputs / "files"), config, append=True)
    assert {file: file.read_bytes() for file in (tmp_path / "set").iterdir()} == files


def test_a_disk_without_room_is_said_before_anything_is_written(inputs, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1e6})
    monkeypatch.setattr("trainables.data.building.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(ValueError, match=r"106 windows need 0\.\d GB while they are written and the disk has 0\.0 GB"):
        build(tmp_path / "a/set", read_picks([inputs / "picks.csv"]), str(inputs / "files"), NOISELESS)
    assert not (tmp_path / "a").exists()
