"""Small records of the kinds that pickers stumbled over in the field, each with the picks that are right."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

import pytest
from obspy import UTCDateTime
from seisweep.artifacts.pickers import seisbench_network

from trainables.edge.job import run
from trainables.edge.network import Network, with_options
from trainables.models.teacher import load_phasenet

NEAR_S = 0.1
CASES = [
    "long_period_preferred",
    "nan_before_resampling",
    "seismometer_for_a_minute",
    "text_channel_zero_rate",
    "third_component_vertical",
]


class Onset(NamedTuple):
    phase: str
    time: UTCDateTime


@pytest.fixture(scope="module")
def original(shared_data: Path) -> Network:
    """PhaseNet as it was published, at the thresholds of the cases."""
    model = load_phasenet(str(shared_data / "real_data/teachers/teacher_pn_original"))
    return with_options(seisbench_network(model, "original"), p_threshold=0.3, s_threshold=0.3)


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> Path:
    folder = shared_data / "field_cases"
    if not folder.is_dir():
        pytest.skip(f"no field cases at {folder}")
    return folder


def onsets(text: str) -> list[Onset]:
    return [Onset(row["phase"], UTCDateTime(row["time"])) for row in csv.DictReader(io.StringIO(text))]


def near(wanted: list[Onset], found: list[Onset]) -> int:
    """How many of the wanted picks have one of the same phase within a tenth of a second."""
    return sum(any(a.phase == b.phase and abs(a.time - b.time) <= NEAR_S for b in found) for a in wanted)


@pytest.mark.parametrize("case", CASES)
def test_the_picks_of_a_field_case_are_those_of_seisbench_on_what_should_be_picked(case, cases, original, capsys):
    expected = onsets((cases / case / "expected.csv").read_text())
    assert run(original, sorted((cases / case).glob("*.mseed"))) == 0
    out, err = capsys.readouterr()
    found = onsets(out)
    assert near(expected, found) == len(expected)
    assert abs(len(found) - len(expected)) <= 2
    assert "Traceback" not in err


def test_a_rate_that_changes_in_the_middle_costs_no_part_its_picks(cases, original, capsys):
    expected = onsets((cases / "rate_change_one_channel/expected.csv").read_text())
    assert run(original, [cases / "rate_change_one_channel/day.mseed"]) == 0
    out, err = capsys.readouterr()
    found = onsets(out)
    assert near(expected, found) >= 44
    assert 46 <= len(found) <= 55
    assert "resampled from 40 to 100 Hz" in err
