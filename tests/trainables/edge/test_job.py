"""The whole job: bad files cost themselves alone, formats, memory."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import obspy
import pytest
from lifelike import START, picks_in, stream, write

from trainables.edge.job import run

PEAK_MEMORY = """
import sys
from pathlib import Path
from trainables.edge.job import run
from trainables.edge.network import load_onnx
assert run(load_onnx(Path(sys.argv[1])), sys.argv[2:], Path(sys.argv[2] + ".csv")) == 0
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_bad_files_are_named_and_the_others_go_on(network, tmp_path, capsys):
    good = write(stream(100), tmp_path / "good.mseed")
    (tmp_path / "empty.mseed").touch()
    (tmp_path / "text.mseed").write_text("hello " * 100)
    assert run(network, [tmp_path, tmp_path / "absent.mseed"]) == 1
    out, err = capsys.readouterr()
    for name in (
        "empty.mseed: cannot be read (the file is empty)",
        "text.mseed: cannot be read",
        "absent.mseed: cannot",
    ):
        assert name in err
    assert len(out.splitlines()) == 1 + len(picks_in(network, good))
    assert "Traceback" not in err


def test_damage_inside_a_file_is_a_gap(network, tmp_path, capsys):
    file = write(stream(600), tmp_path / "a.mseed")
    data = bytearray(file.read_bytes())
    data[20 * 512 + 64 : 20 * 512 + 500] = bytes(436)  # the samples of one record
    file.write_bytes(data)
    run(network, [file])
    assert "Traceback" not in capsys.readouterr().err


def test_csv_and_quakeml_hold_the_same_picks(network, tmp_path, capsys):
    file = write(stream(100), tmp_path / "a.mseed")
    assert run(network, [file]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["network", "station", "location", "phase", "time", "probability"]
    assert run(network, [file], tmp_path / "picks.xml", "quakeml") == 0
    (event,) = obspy.read_events(str(tmp_path / "picks.xml"))
    assert [(p.phase_hint, str(p.time), p.waveform_id.station_code) for p in event.picks] == [
        (row["phase"], row["time"], row["station"]) for row in rows
    ]
    assert event.picks[0].comments[0].text == f"probability {rows[0]['probability']}"


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
@pytest.mark.parametrize("by_channel", [False, True])
def test_ten_hours_take_the_memory_of_one(by_channel, onnx_file, tmp_path):
    """Whether a file holds its channels one after the other or hour by hour."""
    hour = {channel: stream(3600, channel, seed=row) for row, channel in enumerate(("HHE", "HHN", "HHZ"))}
    peaks_kb = {}
    for hours in (1, 10):
        order = [(channel, n) for n in range(hours) for channel in hour]
        with (tmp_path / f"{hours}.mseed").open("wb") as file:
            for channel, n in sorted(order) if by_channel else order:
                hour[channel][0].stats.starttime = START + n * 3600
                hour[channel].write(file, format="MSEED", reclen=512)
        found = subprocess.run(
            [sys.executable, "-c", PEAK_MEMORY, onnx_file, tmp_path / f"{hours}.mseed"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stderr
        assert f"{hours * 60 if hours == 1 else hours:.1f}" in found.stderr
        peaks_kb[hours] = int(found.stdout)
    assert peaks_kb[10] < 1.2 * peaks_kb[1]
