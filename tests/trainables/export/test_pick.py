"""The edge picker against SeisBench: the same curves, the same picks, piece by piece."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import obspy
import pytest
import torch
from seisbench.models import WaveformModel

from trainables.data.batches import normalise
from trainables.export import pick
from trainables.export.onnx import export_onnx
from trainables.export.picker_folder import write_picker_folder

from .conftest import picker

WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "seisbench", "seisweep", "trainables", "onnx", "pandas"):
    sys.modules[name] = None  # an import of it fails
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PEAK_MEMORY = """
import runpy, sys
from pathlib import Path
pick = runpy.run_path(sys.argv[1])
network = pick["load_onnx"](Path(sys.argv[2]))
assert pick["run"](network, sys.argv[3:], Path(sys.argv[3] + ".csv")) == 0
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
START = obspy.UTCDateTime(2024, 2, 29, 23, 50)


@pytest.fixture(scope="module")
def lively():
    """A student whose curves rise and fall, so that they have many picks, and its ONNX network."""
    model = picker(base_channels=4, pooling=4)
    with torch.no_grad():
        model.head.weight.mul_(12)
    return model


@pytest.fixture(scope="module")
def onnx_file(lively, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pick") / "lively.onnx"
    export_onnx(lively, path, {"P": 0.6, "S": 0.5})
    return path


@pytest.fixture
def network(onnx_file) -> pick.Network:
    return pick.load_onnx(onnx_file)


def stream(
    seconds: float = 200, channels: str = "HHE HHN HHZ", station: str = "ABC", rate_hz: float = 100, seed: int = 0
):
    """Noise with a burst every 20 s, the same ground motion at every rate."""
    rng = np.random.default_rng(seed)
    traces = obspy.Stream()
    for channel in channels.split():
        slow = np.cumsum(rng.normal(size=int(seconds * 20) + 21))
        time_T = np.arange(int(seconds * rate_hz)) / rate_hz
        data = np.interp(time_T, np.arange(len(slow)) / 20, slow) * 30
        data += 2000 * np.exp(-(time_T % 20)) * np.sin(2 * np.pi * 4 * time_T)
        header = {"network": "XX", "station": station, "channel": channel, "sampling_rate": rate_hz, "starttime": START}
        traces += obspy.Trace(data.astype(np.int32), header)
    return traces


def write(traces: obspy.Stream, path: Path) -> Path:
    traces.write(str(path), format="MSEED")
    return path


def run(network, *files, said=None) -> list[pick.Pick]:
    """All picks of these files; what was said goes into the list `said`."""
    said = [] if said is None else said
    pieces = [piece for file in files for piece in pick.index(file)]
    found = pick.recordings(pieces, network, said.append, lambda file, reason: said.append(f"{file}: {reason}"))
    return [p for recording in found for p in pick.picks_of(recording, network)]


def seisbench_picks(model: WaveformModel, traces: obspy.Stream, network: pick.Network, **settings):
    thresholds = {f"{phase}_threshold": network.threshold(phase) for phase in network.phases}
    return model.classify(traces, **thresholds, **settings).picks


def assert_same(mine: list[pick.Pick], theirs, tolerance_s: float = 0.0001) -> None:
    assert len(mine) == len(theirs)
    expected = sorted((p.trace_id, p.phase, p.peak_time, p.peak_value) for p in theirs)
    found = sorted((".".join(p[:3]), p.phase, p.time, p.probability) for p in mine)
    for a, b in zip(found, expected, strict=True):
        assert a[:2] == b[:2]
        assert abs(a[2] - b[2]) <= tolerance_s
        assert a[3] == pytest.approx(b[3], abs=1e-4)


@pytest.mark.parametrize("offset", [0, 1e5])
def test_windows_are_normalised_as_in_training(offset):
    raw_BXT = (np.random.default_rng(0).normal(size=(2, 3, 3001)).cumsum(-1) + offset).astype(np.float32)
    raw_BXT[1, 2] = 0
    assert pick.normalise(raw_BXT) == pytest.approx(normalise(torch.from_numpy(raw_BXT)).numpy(), abs=2e-5)


@pytest.mark.parametrize("num_samples", [3000, 3001, 3002, 4502, 30_000, 41_234])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"overlap": 0},
        {"overlap": 0.9, "stacking": "max"},
        {"overlap": 2000, "blinding": (250, 100)},
        {"overlap": 100, "blinding": (250, 100), "stacking": "max"},
    ],
)
def test_curves_are_stacked_as_seisbench_stacks_them(num_samples, settings, lively, network):
    traces = stream(num_samples / 100)
    raw_XT = np.stack([trace.data for trace in traces]).astype(np.float32)
    chosen = pick.with_options(network, **settings)
    pieces = list(pick.annotate(lambda a, b: raw_XT[:, a:b], num_samples, chosen))
    expected = lively.annotate(traces, **settings)
    assert len(expected) == (3 if pieces else 0)
    if not pieces:
        return
    assert [first for first, _ in pieces] == list(np.cumsum([0, *[c.shape[1] for _, c in pieces[:-1]]]))
    curves_CT = np.concatenate([curves for _, curves in pieces], axis=1)
    assert curves_CT.shape == (3, num_samples)
    for label, curve_T in zip("PSN", curves_CT, strict=True):
        (trace,) = expected.select(channel=f"*_{label}")
        first = round((trace.stats.starttime - START) * 100)
        told_T = curve_T[first : first + trace.stats.npts]
        np.testing.assert_allclose(told_T, trace.data, atol=1e-5)
        assert np.isnan(np.delete(curve_T, np.s_[first : first + trace.stats.npts])).all()


def test_peaks_do_not_depend_on_the_pieces_in_which_a_curve_comes():
    rng = np.random.default_rng(1)
    curve_T = np.convolve(rng.random(3000), np.ones(9) / 9, "same").astype(np.float32)
    curve_T[:40] = curve_T[-30:] = 0.9
    curve_T[1000:1010] = np.nan
    trace = obspy.Trace(curve_T, {"sampling_rate": 1.0})
    for threshold in (0.55, 0.7, 0.9):
        expected = [
            (round(p.peak_time.timestamp), p.peak_value)
            for p in WaveformModel.picks_from_annotations([trace], threshold, "P")
        ]
        assert expected
        for size in (1, 7, 100, 3000):
            peaks = pick.Peaks(threshold)
            found = [p for first in range(0, 3000, size) for p in peaks.feed(first, curve_T[first : first + size])]
            assert found + peaks.close() == expected


def test_real_records_give_the_picks_of_seisbench(lively, network, shared_data):
    file = shared_data / "real_data/continuous/PB_B916_ridgecrest_20min.mseed"
    theirs = seisbench_picks(lively, obspy.read(str(file)), network)
    assert len(theirs) > 20
    assert_same(run(network, file), theirs)


def test_gaps_and_missing_components_give_the_picks_of_seisbench(lively, network, tmp_path):
    traces = stream(600)
    traces = traces.slice(START, START + 150) + traces.slice(START + 200, START + 400) + traces.slice(START + 410.5)
    for trace in traces.select(component="N")[1:2]:
        trace.trim(START + 250, START + 300)
    other = stream(120, "BH1 BHZ", "DEF", seed=3)
    traces += other
    said: list[str] = []
    found = run(network, write(traces, tmp_path / "all.mseed"), said=said)
    assert said == ["XX.DEF..BH: no component E; zeros in its place"]
    assert {p.station for p in found} == {"ABC", "DEF"}
    assert_same(found, seisbench_picks(lively, traces, network), tolerance_s=0.011)


@pytest.mark.parametrize("format", ["MSEED", "SAC"])
def test_files_in_any_order_and_format_are_one_record(format, network, tmp_path):
    traces = stream(400)
    whole = run(network, write(traces, tmp_path / "whole.mseed"))
    files = []
    for number, part in enumerate([*traces.slice(START + 170.01), *traces.slice(START, START + 170)]):
        files.append(tmp_path / f"{number}.{format}")
        part.write(str(files[-1]), format=format)
    assert len(whole) > 5
    for a, b in zip(run(network, *files), whole, strict=True):
        assert a[:4] == b[:4]
        assert abs(a.time - b.time) < 0.001
        assert a.probability == pytest.approx(b.probability, abs=1e-5)


@pytest.mark.parametrize("rate_hz", [20, 50, 40.96, 200])
def test_other_rates_are_resampled_in_pieces_as_seisbench_does_it_at_once(rate_hz, lively, network, tmp_path):
    traces = stream(900, rate_hz=rate_hz)
    said: list[str] = []
    found = run(network, write(traces, tmp_path / "a.mseed"), said=said)
    theirs = seisbench_picks(lively, traces, network)
    assert said == [f"XX.ABC..HH: resampled from {rate_hz:g} to 100 Hz"]
    assert len(theirs) > 10
    near = sum(any(p.phase == q.phase and abs(p.time - q.peak_time) < 0.03 for q in theirs) for p in found)
    assert near >= 0.95 * max(len(found), len(theirs))


def test_one_instrument_of_those_at_a_place_that_record_together(network, tmp_path):
    said: list[str] = []
    together = stream(100, "HNE HNN HNZ") + stream(100, "HHE HHN HHZ", seed=2) + stream(100, "BHZ", seed=3)
    found = run(network, write(together, tmp_path / "a.mseed"), said=said)
    assert said == [
        "XX.ABC.: HH and HN record at the same time; HH is picked",
        "XX.ABC.: HH and BH record at the same time; HH is picked",
    ]
    assert found == run(network, write(together.select(channel="HH?"), tmp_path / "b.mseed"))


def test_blocks_of_a_file_are_read_without_a_seam(network, tmp_path, monkeypatch):
    file = write(stream(600), tmp_path / "a.mseed")
    whole = run(network, file)
    monkeypatch.setattr(pick, "BLOCK_BYTES", 4096)
    assert len(pick.index(file)) > 20
    assert run(network, file) == whole


def test_a_record_of_another_length_in_a_file_is_not_lost(network, tmp_path):
    traces = stream(300)
    traces.slice(START, START + 120).write(str(tmp_path / "a"), format="MSEED", reclen=512)
    traces.slice(START + 120.01).write(str(tmp_path / "b"), format="MSEED", reclen=4096)
    both = tmp_path / "both.mseed"
    both.write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    assert run(network, both) == run(network, write(traces, tmp_path / "whole.mseed"))


def test_bad_files_are_named_and_the_others_go_on(network, tmp_path, capsys):
    good = write(stream(100), tmp_path / "good.mseed")
    (tmp_path / "empty.mseed").touch()
    (tmp_path / "text.mseed").write_text("hello " * 100)
    assert pick.run(network, [tmp_path, tmp_path / "absent.mseed"]) == 1
    out, err = capsys.readouterr()
    for name in (
        "empty.mseed: cannot be read (the file is empty)",
        "text.mseed: cannot be read",
        "absent.mseed: cannot",
    ):
        assert name in err
    assert len(out.splitlines()) == 1 + len(run(network, good))
    assert "Traceback" not in err


def test_damage_inside_a_file_is_a_gap(network, tmp_path, capsys):
    file = write(stream(600), tmp_path / "a.mseed")
    data = bytearray(file.read_bytes())
    data[20 * 512 + 64 : 20 * 512 + 500] = bytes(436)  # the samples of one record
    file.write_bytes(data)
    pick.run(network, [file])
    assert "Traceback" not in capsys.readouterr().err


def test_csv_and_quakeml_hold_the_same_picks(network, tmp_path, capsys):
    file = write(stream(100), tmp_path / "a.mseed")
    assert pick.run(network, [file]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["network", "station", "location", "phase", "time", "probability"]
    assert pick.run(network, [file], tmp_path / "picks.xml", "quakeml") == 0
    (event,) = obspy.read_events(str(tmp_path / "picks.xml"))
    assert [(p.phase_hint, str(p.time), p.waveform_id.station_code) for p in event.picks] == [
        (row["phase"], row["time"], row["station"]) for row in rows
    ]
    assert event.picks[0].comments[0].text == f"probability {rows[0]['probability']}"


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"overlap": 3001}, "overlap 3001"),
        ({"overlap": -1}, "overlap -1"),
        ({"p_threshold": 0}, "thresholds"),
        ({"s_threshold": 1.5}, "thresholds"),
        ({"stacking": "sum"}, "stacking sum"),
        ({"blinding": (3000, 1)}, "blinding"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, part, network):
    with pytest.raises(ValueError, match=part):
        pick.with_options(network, **settings)


def test_the_folder_holds_three_files_and_picks_without_torch_and_seisweep(files, shared_data, tmp_path):
    folder = tmp_path / "picker"
    write_picker_folder(folder, files.int8, {"name": "test"}, {"P": 0.4})
    assert {file.name for file in folder.iterdir()} == {"int8.onnx", "model.json", "pick.py"}
    described = json.loads((folder / "model.json").read_text())
    assert described["thresholds"] == {"P": 0.4, "S": 0.25}
    assert described["card"] == {"name": "test"}
    moved = shutil.move(folder, tmp_path / "device")
    file = write(stream(200), tmp_path / "a.mseed")
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, f"{moved}/pick.py", str(file), "--s-threshold", "0.2"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert found.returncode == 0, found.stderr
    network = pick.with_options(pick.load_onnx(Path(moved, "int8.onnx")), s_threshold=0.2)
    assert network.thresholds == {"P": 0.4, "S": 0.2}
    assert len(found.stdout.splitlines()) == 1 + len(run(network, file))


def test_a_folder_with_something_else_in_it_is_left_alone(onnx_file, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="is no picker folder"):
        write_picker_folder(tmp_path, onnx_file, {})
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_is_no_picker_says_so(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    shape = [None, 3, 3001]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "other.onnx")
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(ValueError, match="is no picker"):
        pick.load_onnx(tmp_path / "other.onnx")
    with pytest.raises(ValueError, match="is no ONNX model"):
        pick.load_onnx(tmp_path / "text.onnx")
    with pytest.raises(ValueError, match="no such file"):
        pick.load_onnx(tmp_path / "absent.onnx")


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
            [sys.executable, "-c", PEAK_MEMORY, pick.__file__, onnx_file, tmp_path / f"{hours}.mseed"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stderr
        assert f"{hours * 60 if hours == 1 else hours:.1f}" in found.stderr
        peaks_kb[hours] = int(found.stdout)
    assert peaks_kb[10] < 1.2 * peaks_kb[1]
