"""`seisweep data build`: what it prints, and that wrong use is one line and exit code 2 with nothing left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy import UTCDateTime
from seisweep.cli import run
from seisweep.commands.data_build import repeated

START = UTCDateTime(2014, 5, 1)
NUM_EVENTS = 12


def write_waveforms(folder: Path, stations: tuple[str, ...] = ("PB01", "PB02"), seconds: int = 12_000) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for station in stations:
        header = {"network": "CX", "station": station, "sampling_rate": 20.0, "starttime": START}
        noise = [rng.normal(0, 1000, seconds * 20).astype(np.int32) for _ in "ENZ"]
        stream = obspy.Stream(
            obspy.Trace(data, header | {"channel": f"HH{component}"})
            for data, component in zip(noise, "ENZ", strict=True)
        )
        stream.write(str(folder / f"{station}.mseed"), format="MSEED")
    return folder


def write_picks(file: Path, stations: tuple[str, ...] = ("PB01", "PB02"), phases: str = "PS", zone: str = "Z") -> Path:
    lines = ["network,station,location,phase,time"]
    for event in range(NUM_EVENTS):
        for number, station in enumerate(stations):
            for phase in phases:
                time = START + 100 + 600 * event + number + (8 if phase == "S" else 0)
                lines.append(f"CX,{station},,{phase},{str(time)[:-1]}{zone}")
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def here(home: Path) -> Path:
    """Folder with waveforms and picks.csv, which is the current one."""
    write_waveforms(Path("waveforms"))
    write_picks(Path("picks.csv"))
    return Path.cwd()


OPTIONS = ("--rate-hz", "20", "--jobs", "1")
BUILD = ("data", "build", "set", "--picks", "picks.csv", "--waveforms", "waveforms", *OPTIONS)


def test_a_build_ends_with_a_table_what_was_taken_for_granted_and_the_next_command(here, capsys):
    assert run(BUILD) == 0
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    assert " ".join(rows[0]) == "split traces events P picks S picks P unlabelled S unlabelled noise"
    assert [row[0] for row in rows[1:]] == ["train", "dev", "test"]
    totals = np.array([[int(cell) for cell in row[1:]] for row in rows[1:]]).sum(axis=0)
    assert totals.tolist() == [27, 12, 24, 24, 0, 0, 3]
    assert "48 picks have no event in the catalogue" in printed.err
    assert "raw counts, the instrument response is not removed; next:\nseisweep data info set\n" in printed.err
    assert printed.err.endswith("seisweep run distillation data.dataset=set\n")
    assert run(["data", "info", "set"]) == 0
    assert "seisweep can train on it" in capsys.readouterr().err


def test_several_files_stand_behind_one_option_as_a_shell_gives_them(here, capsys):
    write_picks(Path("more.csv"), stations=("PB01",), zone="")
    assert run(["data", "build", "--picks", "picks.csv", "more.csv", *OPTIONS, "--waveforms", "waveforms", "set"]) == 0
    printed = capsys.readouterr().err
    assert "left out: 24 picks, given twice" in printed
    assert "more.csv: 24 of 24 times without a time zone, read as UTC" in printed
    words = ["F", "--picks", "a", "b", "--seed", "1", "--waveforms", "c", "d"]
    names = ("--picks", "--waveforms")
    expected = ["F", "--picks", "a", "--picks", "b", "--seed", "1", "--waveforms", "c", "--waveforms", "d"]
    assert repeated(words, names) == expected
    assert repeated([*words[1:], "F"], names) == [*expected[1:], "F"]


def test_picks_without_waveforms_are_counted_and_the_exit_code_is_1(here, capsys):
    write_picks(Path("picks.csv"), stations=("PB01", "PB02", "PB03"))
    assert run(BUILD) == 1
    assert "left out: 24 picks, no waveforms\n" in capsys.readouterr().err
    assert Path("set/metadata.csv").exists()


def test_waveforms_without_picks_and_broken_files_are_named_and_the_exit_code_is_1(here, capsys):
    write_waveforms(Path("waveforms"), ("PB07",), seconds=100)
    assert run(BUILD) == 1
    assert "waveforms without any pick: CX.PB07\n" in capsys.readouterr().err
    Path("waveforms/PB07.mseed").write_bytes(b"no waveform" * 100)
    Path("waveforms/CX.xml").write_text("<FDSNStationXML/>")
    assert run([*BUILD[:2], "other", *BUILD[3:]]) == 1
    printed = capsys.readouterr().err
    assert "waveforms/PB07.mseed: cannot be read (" in printed
    assert "1 files with instrument responses are not used\n" in printed


def test_a_phase_that_the_catalogue_lacks_is_unlabelled(here, capsys):
    write_picks(Path("picks.csv"), phases="P")
    assert run(BUILD) == 0
    out = capsys.readouterr().out
    rows = [list(map(int, line.split()[1:])) for line in out.splitlines()[1:]]
    assert np.array(rows)[:, [2, 3, 4, 5]].sum(axis=0).tolist() == [24, 0, 0, 24]
    assert run(["data", "build", "again", *BUILD[3:], "--phases", "P"]) == 0


def test_another_build_at_the_same_time_is_refused(here, capsys):
    from filelock import FileLock

    Path("set/.build").mkdir(parents=True)
    with FileLock("set/.build/lock"):
        assert run(BUILD) == 2
    assert "set: another build is writing there" in capsys.readouterr().err
    assert Path("set/.build/lock").exists()
    assert run(BUILD) == 0


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--picks nowhere.xml", "nowhere.xml: cannot be read (No such file or directory)"),
        ("--picks empty.csv", "empty.csv: no picks in it"),
        ("--picks waveforms/PB01.mseed", "neither an event file that ObsPy reads, nor HYPO71 cards, nor a table"),
        ("--picks other.csv", "no pick has waveforms: picks are of CX.ZZ from"),
        ("--waveforms nowhere", "nowhere: no such file or folder of waveforms"),
        ("--waveforms picks.csv", "no waveforms in the archive"),
        ("--waveforms fdsn:http://127.0.0.1:9?network=CX", "fdsn:"),
        ("--columns station", "--columns station is not allowed: station, phase, time"),
        ("--columns time=onset", "no column onset (--columns time=onset)"),
        ("--components XYZ", "--components XYZ is not allowed: an order of E, N and Z"),
        ("--shares 1,2", "--shares 1,2 is not allowed: three numbers such as"),
        (
            "--shares 0.5,0.1,0.1",
            "is not allowed: three shares of train, dev and test that sum to 1",
        ),
        ("--phases Lg", "--phases Lg is not allowed"),
        ("--window-before-s -1", "--window-before-s -1.0 is not allowed"),
        ("--noise-share 1", "--noise-share 1.0 is not allowed"),
        ("--split-by station", "split test would be empty: the picks are too few"),
        ("--append", "set: there is no data set made by `seisweep data build` to append to"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_left(words, part, here, capsys):
    Path("empty.csv").write_text("network,station,phase,time\n")
    write_picks(Path("other.csv"), stations=("ZZ",))
    option, _, value = words.partition(" ")
    given = dict(zip(BUILD[3::2], BUILD[4::2], strict=True))
    arguments = [word for pair in (given | ({option: value} if value else {})).items() for word in pair]
    code = run(["data", "build", "set", *arguments, *([] if value else [option])])
    printed = capsys.readouterr()
    assert part in printed.err
    assert code == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    assert not Path("set").exists()


def test_a_data_set_that_is_there_is_not_overwritten(here, capsys):
    assert run(BUILD) == 0
    before = Path("set/metadata.csv").read_bytes()
    assert run(BUILD) == 2
    assert "set: there is a data set already; --append adds to it" in capsys.readouterr().err
    assert run([*BUILD, "--append", "--components", "Z"]) == 2
    assert "was built with --components ENZ; appending with Z would mix them" in capsys.readouterr().err
    assert Path("set/metadata.csv").read_bytes() == before
    assert run([*BUILD, "--append"]) == 0
    assert "24 windows are in the data set already" in capsys.readouterr().err
    Path("full").mkdir()
    Path("full/thesis.tex").touch()
    assert run(["data", "build", "full", *BUILD[3:]]) == 2
    assert "full: exists and is not empty" in capsys.readouterr().err
