from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainables.data.sequence import open_sequence
from trainables.data.sequence_config import SequenceDataConfig
from trainables.data.sequence_splits import split_sequence
from trainables.data.synthetic_sequence import write_synthetic_sequence
from trainables.data.waveform_splits import waveform_splits

NAME = "./records"


def traces(count: int = 40, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"trace_name": [f"trace{n}" for n in range(count)], **columns})


def test_a_data_set_keeps_its_own_splits_and_its_test_is_not_read():
    splits = waveform_splits(NAME, traces(3, split=["train", "test", "dev"]))
    assert splits.split_N.tolist() == ["train", "", "dev"]
    assert splits.said == ""
    assert splits.rows("dev").tolist() == [2]


def test_no_event_lies_on_both_sides():
    splits = waveform_splits(NAME, traces(source_id=np.arange(40) // 4))
    by_event = splits.split_N.reshape(10, 4)
    assert (by_event == by_event[:, :1]).all()
    assert (by_event[:, 0] == "dev").sum() == 2
    assert splits.said == "it has no splits: 8 traces are held out (by event), 32 train"


def test_traces_without_an_event_are_events_of_their_own():
    splits = waveform_splits(NAME, traces(source_id=["a", "b", *[None] * 38]))
    assert (splits.split_N == "dev").sum() == 6


@pytest.mark.parametrize("events", [{}, {"source_id": "the one"}, {"source_id": None}])
def test_without_events_stations_are_held_out(events):
    stations = {"station_network_code": "CX", "station_code": [f"PB{n % 4:02}" for n in range(40)]}
    splits = waveform_splits(NAME, traces(**stations, **events))
    held_out = traces(**stations)["station_code"][splits.split_N == "dev"]
    assert held_out.nunique() == 1
    assert len(held_out) == 10
    assert "by station" in splits.said


def test_without_stations_the_latest_are_held_out():
    times = pd.date_range("2026-01-01", periods=40, freq="h", tz="UTC").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    splits = waveform_splits(NAME, traces(trace_start_time=times[::-1], station_code="A", station_network_code="B"))
    assert splits.rows("dev").tolist() == [0, 1, 2, 3, 4, 5]
    assert "the latest" in splits.said
    assert waveform_splits(NAME, traces()).rows("dev").tolist() == [34, 35, 36, 37, 38, 39]


def test_where_dev_alone_is_missing_it_is_taken_from_train():
    splits = waveform_splits(NAME, traces(split=["train"] * 20 + ["test"] * 20))
    assert splits.rows("train").tolist() == list(range(17))
    assert splits.rows("dev").tolist() == [17, 18, 19]
    assert splits.said == "its split dev is empty: of split train 3 traces are held out (the latest), 17 train"


def test_splits_of_other_names_are_refused():
    with pytest.raises(ValueError, match=r"records: no trace in split train; .*, and names 'training'"):
        waveform_splits(NAME, traces(split="training"))


def test_a_single_trace_cannot_be_divided():
    with pytest.raises(ValueError, match="records: 1 traces to learn from: at least 2 are needed, as one is held out"):
        waveform_splits(NAME, traces(1))


@pytest.fixture(scope="module")
def sequence(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sequence") / "nrca"
    write_synthetic_sequence(folder, num_events=200)
    return folder


@pytest.mark.parametrize("num_classes", [None, 2, 9])
def test_of_a_sequence_no_event_of_dev_and_test_is_read(sequence, num_classes):
    opened = open_sequence(str(sequence))
    source_N = opened.metadata["source_id"].to_numpy()
    splits = waveform_splits(str(sequence), opened.metadata, num_classes)
    read_N = splits.split_N != ""
    for number in [num_classes] if num_classes else [2, 4, 8, 9]:
        rows = split_sequence(opened, SequenceDataConfig(dataset=str(sequence), num_classes=number))
        scored = np.concatenate([rows["dev"].trace_R, rows["test"].trace_R])
        assert not np.isin(source_N[read_N], source_N[scored]).any()
        if num_classes:
            expected = np.setdiff1d(rows["train"].trace_R, np.flatnonzero(np.isin(source_N, source_N[scored])))
            assert np.flatnonzero(read_N).tolist() == expected.tolist()
    assert not set(source_N[splits.split_N == "dev"]) & set(source_N[splits.split_N == "train"])
    classes = f"{num_classes} classes" if num_classes else "2, 4, 8 or 9 classes"
    assert f"{read_N.sum()} of its {len(opened)} traces are read" in splits.said
    assert f"dev and test for none of {classes}" in splits.said
