"""Of an archive only the files that may hold what is chosen are opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import obspy
import pytest
from lifelike import picks_in, stream, write

from trainables.edge import job
from trainables.edge.chosen import Chosen, chosen
from trainables.edge.job import run
from trainables.edge.sds import files_of, is_sds

NEW_YEAR = obspy.UTCDateTime(2024, 1, 1)


@pytest.fixture
def archive(tmp_path) -> Path:
    """Two minutes around three midnights, the first that of a new year, of three stations, a file a day."""
    root = tmp_path / "sds"
    for station in ("ABC", "ABD", "XYZ"):
        for day in range(3):
            traces = stream(120, station=station, seed=day)
            for trace in traces:
                trace.stats.starttime = NEW_YEAR + day * 86400 - 60
            for half in (traces.slice(endtime=NEW_YEAR + day * 86400 - 0.01), traces.slice(NEW_YEAR + day * 86400)):
                _add(root, half)
    return root


def _add(root: Path, traces: obspy.Stream) -> None:
    for trace in traces:
        s = trace.stats
        folder = root / str(s.starttime.year) / s.network / s.station / f"{s.channel}.D"
        folder.mkdir(parents=True, exist_ok=True)
        day = f"{s.starttime.year}.{s.starttime.julday:03d}"
        with (folder / f"{trace.id}.D.{day}").open("ab") as file:
            trace.write(file, format="MSEED", reclen=512)


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Names of the files that are looked into."""
    names: list[str] = []
    index = job.index

    def noted(file: Path, *more: Any):
        names.append(file.name)
        return index(file, *more)

    monkeypatch.setattr(job, "index", noted)
    return names


def days(names: list[str]) -> list[str]:
    return sorted({name[-8:] for name in names})


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, ["2023.365", "2024.001", "2024.002", "2024.003"]),
        ("2024-01-02T12:00", "2024-01-03T00:00", ["2024.002"]),
        ("2024-01-02T12:00", None, ["2024.002", "2024.003"]),
        (None, "2024-01-01", ["2023.365"]),
        ("2023-12-31T23:59:30", "2024-01-01T00:00:30", ["2023.365", "2024.001"]),
        ("2024-01-01", "2024-01-01T00:00:30", ["2023.365", "2024.001"]),  # a record may cross midnight
        ("2025-01-01", None, []),
    ],
)
def test_only_the_days_that_matter_are_opened(start, end, expected, archive, network, opened, tmp_path):
    some = chosen(start, end, "ABC,XX.X*")
    assert is_sds(archive)
    assert files_of([archive], some) == files_of([archive, archive], some)
    run(network, [archive], tmp_path / "picks.csv", chosen=some)
    assert days(opened) == expected
    assert {name.split(".")[1] for name in opened} == ({"ABC", "XYZ"} if expected else set())


def test_days_are_one_record_and_the_picks_those_of_the_stretch(archive, network, capsys, tmp_path):
    """Over midnight of a new year, as of one file of the same samples."""
    begin, end = NEW_YEAR - 40, NEW_YEAR + 40
    assert run(network, [archive], chosen=Chosen(begin, end, ("ABC",))) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    pieces = sum((obspy.read(str(file)) for file in files_of([archive], Chosen(begin, end, ("ABC",)))), obspy.Stream())
    whole = pieces.merge(-1).trim(begin, end - 0.01)
    assert [trace.stats.npts for trace in whole] == [8000] * 3
    alone = picks_in(network, write(whole, tmp_path / "whole.mseed"))
    assert [row.split(",")[3:5] for row in rows] == [[pick.phase, str(pick.time)] for pick in alone]
    assert len(rows) > 3


def test_nothing_in_the_range_and_a_station_that_is_not_there_are_said(archive, network, capsys):
    assert run(network, [archive], chosen=chosen("2024-01-02T10:00", "2024-01-02T11:00", None)) == 1
    assert "nothing to pick from 2024-01-02T10:00:00.000000Z before 2024-01-02T11:00" in capsys.readouterr().err
    assert run(network, [archive], chosen=chosen("2024-01-02", None, "ABC,PB99")) == 1
    out, err = capsys.readouterr()
    assert "no waveforms from 2024-01-02T00:00:00.000000Z of PB99\n" in err
    assert len(out.splitlines()) > 3, "the others are picked"
    assert run(network, [archive], chosen=chosen(None, None, "AB?")) == 0


def test_a_folder_that_is_no_archive_is_read_wholly(network, tmp_path):
    (tmp_path / "2024" / "data").mkdir(parents=True)
    file = write(stream(40), tmp_path / "2024" / "data" / "a.mseed")
    assert not is_sds(tmp_path)
    assert files_of([tmp_path], chosen("2030-01-01", None, None)) == [file]
    (tmp_path / "2024" / "XX" / "ABC" / "HHZ.D").mkdir(parents=True)
    other = write(stream(40), tmp_path / "2024" / "XX" / "ABC" / "HHZ.D" / "a.mseed")
    assert not is_sds(tmp_path), "no file is called as in an archive"
    assert set(files_of([tmp_path], chosen("2030-01-01", None, None))) == {file, other}
