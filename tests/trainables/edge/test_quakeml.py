"""QuakeML that is valid, says who made it and how well it is timed, and names the same pick the same."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import obspy
import pytest
from lifelike import picks_in, stream, write
from obspy import UTCDateTime
from obspy.io.quakeml.core import _validate

from trainables.edge.network import with_options
from trainables.edge.picking import Pick
from trainables.edge.quakeml import quakeml, version

NOW = UTCDateTime(2025, 1, 2, 3, 4, 5)


@pytest.fixture
def timed(network):
    return replace(network, residual_std_s={"P": 0.05, "S": 0.125}, name="a sweep/3 model:int8.onnx")


@pytest.fixture
def picks(network, tmp_path) -> list[Pick]:
    low = with_options(network, p_threshold=0.3, s_threshold=0.3)
    return picks_in(low, write(stream(100), tmp_path / "a.mseed"))


def read(text: str) -> obspy.Catalog:
    return obspy.read_events(io.BytesIO(text.encode()))


def test_obspy_reads_every_field_and_finds_it_valid(timed, picks):
    text = quakeml(picks, timed, NOW)
    assert _validate(io.BytesIO(text.encode()), verbose=True)
    (event,) = read(text)
    assert len(event.picks) == len(picks) > 3
    assert {pick.phase for pick in picks} == {"P", "S"}
    for found, pick in zip(event.picks, picks, strict=True):
        assert (found.phase_hint, found.time, found.evaluation_mode) == (pick.phase, pick.time, "automatic")
        assert found.waveform_id.get_seed_string() == f"XX.ABC..{'HHZ' if pick.phase == 'P' else 'HHN'}"
        assert found.time_errors.uncertainty == {"P": 0.05, "S": 0.125}[pick.phase]
        assert str(found.method_id) == "smi:local/seisweep/a_sweep_3_model_int8.onnx"
        assert (found.creation_info.author, found.creation_info.version) == ("seisweep", version())
        assert found.creation_info.creation_time == NOW
        assert found.comments[0].text == f"probability {pick.probability:.4f}"
    assert version()


def test_identifiers_do_not_repeat_over_days_stations_instruments_and_models(timed, picks):
    days = [pick._replace(time=pick.time + day * 86400) for pick in picks for day in range(3)]
    everywhere = [
        *days,
        *(pick._replace(station="DEF") for pick in days),
        *(pick._replace(location="10") for pick in days),
        *(pick._replace(channel=f"BH{pick.channel[-1]}") for pick in days),
    ]
    texts = [quakeml(everywhere, timed, NOW), quakeml(everywhere, replace(timed, name="another"), NOW)]
    texts += [
        quakeml(picks[:1], replace(timed, name="third"), NOW),
        quakeml(picks[1:], replace(timed, name="third"), NOW),
    ]
    found = []
    for text in texts:
        catalogue = read(text)
        (event,) = catalogue
        named = [catalogue, event, *event.comments, *event.picks, *(pick.comments[0] for pick in event.picks)]
        found += [str(one.resource_id) for one in named]
    assert len(set(found)) == len(found)


def test_the_same_picks_make_the_same_text_apart_from_the_time(timed, picks):
    assert quakeml(picks, timed, NOW) == quakeml(picks, timed, NOW)
    later = UTCDateTime(2026, 1, 1)
    assert quakeml(picks, timed, later) == quakeml(picks, timed, NOW).replace(
        "2025-01-02T03:04:05", "2026-01-01T00:00:00"
    )


def test_an_older_model_gives_no_time_errors_and_an_absent_vertical_no_wrong_channel(network, tmp_path):
    assert network.residual_std_s == {}
    horizontals = picks_in(network, write(stream(200, "BH1 BH2"), tmp_path / "b.mseed"))
    text = quakeml(horizontals, network, NOW)
    assert _validate(io.BytesIO(text.encode()))
    (event,) = read(text)
    assert {pick.waveform_id.channel_code for pick in event.picks if pick.phase_hint == "P"} <= {"BH"}
    assert {pick.waveform_id.channel_code for pick in event.picks if pick.phase_hint == "S"} == {"BH1"}
    assert all(pick.time_errors.uncertainty is None for pick in event.picks)


def test_no_picks_are_valid_too(timed):
    assert _validate(io.BytesIO(quakeml([], timed, NOW).encode()))


WITHOUT_SEISWEEP = """
import importlib.metadata, sys
def absent(name): raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.version = absent
sys.path.insert(0, sys.argv[1])
from trainables.edge.quakeml import version
print(version())
"""


def test_an_edge_device_knows_the_version_that_wrote_its_program(tmp_path):
    from trainables.export.picker_folder import write_program

    write_program(tmp_path / "pick.pyz")
    found = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_SEISWEEP, str(tmp_path / "pick.pyz")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == version()
