"""A data set's waveforms are looked at: what is wrong is counted and named, and what is left is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainables.data.catalog import load_dataset
from trainables.data.config import DataConfig
from trainables.data.inspection import by_split, findings, inspect, problems, recording
from trainables.data.windows import open_store


@pytest.fixture
def folder(tmp_path, write_dataset, ramps) -> Path:
    return write_dataset(tmp_path / "ramps", ramps)


def change(folder: Path, **columns: list) -> None:
    metadata = pd.read_csv(folder / "metadata.csv")
    for column, values in columns.items():
        metadata[column] = values
    metadata.to_csv(folder / "metadata.csv", index=False)


def found_in(folder: Path) -> list[str]:
    dataset = load_dataset(str(folder))
    return findings(dataset, inspect(dataset))


def test_a_clean_data_set_has_no_findings(folder):
    traces = inspect(load_dataset(str(folder)))
    assert found_in(folder) == []
    assert problems(traces) == ""
    assert by_split(traces)[0] == {
        "split": "train", "traces": 3, "events": 3, "P picks": 3, "S picks": 3, "without picks": 0, "left out": 0,
    }  # fmt: skip


def test_rates_components_lengths_and_phases_are_said(folder):
    change(folder, trace_S_arrival_sample=[3600, np.nan, 3600, np.nan, np.nan, 1, np.nan, np.nan, 1])
    assert recording(inspect(load_dataset(str(folder)))) == [
        "sampling rate 100 Hz in 9 traces",
        "components ENZ in 9 traces",
        "length 70 to 70 s",
        "P in 3 of 3 train, 3 of 3 dev, 3 of 3 test traces",
        "S in 1 of 3 train, 0 of 3 dev, 3 of 3 test traces",
    ]


def test_noise_is_no_event_and_splits_stand_in_their_usual_order(folder):
    splits, p, s = ["test", "test", "train"], [3000, np.nan, 3000], [3600, np.nan, np.nan]
    change(folder, split=splits * 3, trace_P_arrival_sample=p * 3, trace_S_arrival_sample=s * 3)
    change(folder, source_id=["a", np.nan, "b", "a", np.nan, "c", "d", np.nan, "e"])
    rows = by_split(inspect(load_dataset(str(folder))))
    shown = [(row["split"], row["traces"], row["events"], row["without picks"]) for row in rows]
    assert shown == [("train", 3, 3, 0), ("test", 6, 2, 3)]


def test_progress_is_told(folder):
    told = []
    inspect(load_dataset(str(folder)), lambda done, total: told.append((done, total)))
    assert told == [(number, 9) for number in range(1, 10)]


def test_nan_at_another_rate_is_seen_as_it_is_in_the_file(tmp_path, write_dataset, ramps):
    waveform_XT = ramps[0][0].copy()
    waveform_XT[1, 10:15] = np.nan
    folder = write_dataset(tmp_path / "at_50_hz", [(waveform_XT, ramps[0][1])], sampling_rate_hz=50.0)
    assert inspect(load_dataset(str(folder)))["nan_samples"].tolist() == [5]
    assert found_in(folder) == ["1 traces have NaN samples, which count as gaps (zeros); the first is trace0"]


def test_an_event_in_two_splits_and_a_column_nobody_reads_are_named(folder):
    change(folder, source_id=["a", "a", *range(7)], trace_PcP_arrival_sample=[1, 2, *[np.nan] * 7])
    column, events = found_in(folder)
    assert column.startswith("column trace_PcP_arrival_sample is not read: 2 values")
    assert events.startswith("1 events have traces in more than one split; the first is a")


def test_without_any_usable_pick_there_is_a_problem(folder):
    change(folder, trace_S_arrival_sample=[-999] * 9)
    assert problems(inspect(load_dataset(str(folder)))) == "", "pickers can be trained on P"
    change(folder, trace_P_arrival_sample=[-999] * 9)
    assert problems(inspect(load_dataset(str(folder)))) == "no trace of split train that can be used has a pick"


@pytest.mark.parametrize("dtype", [np.int32, np.float16, np.float64])
def test_waveforms_of_any_type_of_number_are_read(tmp_path, write_dataset, ramps, dtype):
    folder = write_dataset(
        tmp_path / "typed", [((waveform_XT % 1000).astype(dtype), row) for waveform_XT, row in ramps]
    )
    assert found_in(folder) == []
    assert len(open_store(DataConfig(dataset=str(folder), cache_dir=tmp_path / "cache"), "train")) == 3


@pytest.mark.parametrize("value", [np.inf, -1e30])
def test_samples_that_are_infinite_or_enormous_are_gaps(tmp_path, write_dataset, ramps, value):
    spiked_XT, flat_XT = ramps[0][0].copy(), np.zeros_like(ramps[1][0])
    spiked_XT[1, 3300] = flat_XT[0, 5] = value
    folder = write_dataset(tmp_path / "spiked", [(spiked_XT, ramps[0][1]), (flat_XT, ramps[3][1]), *ramps[1:]])
    flat, spiked = found_in(folder)
    assert flat == "1 of 10 traces left out: no signal (NaN or one value throughout); the first is trace1"
    assert spiked == "1 traces have samples beyond 1e+15, which count as gaps (zeros); the first is trace0"
    store = open_store(DataConfig(dataset=str(folder), cache_dir=tmp_path / "cache"), "train")
    assert np.abs(store.samples).max() < 1e5


def test_text_is_no_waveform(tmp_path, write_dataset, ramps):
    folder = write_dataset(tmp_path / "text", [(np.full((3, 7000), b"x"), ramps[0][1]), *ramps[1:]])
    assert found_in(folder) == ["1 of 9 traces left out: samples that are not numbers; the first is trace0"]


def test_metadata_without_a_row_and_a_waveform_of_one_dimension_are_one_line(folder, tmp_path, write_dataset, ramps):
    bent = write_dataset(tmp_path / "bent", [(ramps[0][0][0], ramps[0][1])])
    with pytest.raises(ValueError, match="trace trace0 cannot be read"):
        inspect(load_dataset(str(bent)))
    change(folder)
    pd.read_csv(folder / "metadata.csv").iloc[:0].to_csv(folder / "metadata.csv", index=False)
    with pytest.raises(ValueError, match="no traces; its metadata have a header and no row"):
        inspect(load_dataset(str(folder)))


def test_rows_and_traces_that_do_not_match_are_named(folder):
    metadata = pd.read_csv(folder / "metadata.csv")
    metadata.loc[1, "trace_name"] = "trace0"
    metadata.loc[2, "trace_name"] = "elsewhere"
    metadata.iloc[:8].to_csv(folder / "metadata.csv", index=False)
    assert found_in(folder) == [
        "1 rows name a trace that a row before them names too; the first is trace0",
        "3 traces in the waveforms have no row in the metadata, and are not used",
        "1 of 8 traces left out: no waveform in the file; the first is elsewhere",
    ]


def test_traces_of_no_split_and_components_that_are_not_read_are_named(folder):
    splits = ["train", "dev", "test"] * 2
    change(folder, split=[*splits, np.nan, "validation", "dev "], trace_component_order=["ENZ"] * 8 + ["XYZ"])
    assert found_in(folder) == [
        "3 of 9 traces lie in no split of train, dev, test: 'nan', 'validation', 'dev '",
        "1 of 9 traces with components XYZ: no component E, N, zeros instead; X, Y not read",
    ]


def test_columns_of_arrivals_in_other_words_are_named(folder):
    picks = [1.0] * 9
    change(folder, p_arrival_sample=picks, trace_P_arrival_sample_2=picks, trace_Pg_arrival_time=picks)
    assert [line.partition(":")[0] for line in found_in(folder)] == [
        "column p_arrival_sample is not read",
        "column trace_P_arrival_sample_2 is not read",
        "column trace_Pg_arrival_time is not read",
    ]
    change(folder, p_arrival_sample=np.nan, trace_P_arrival_sample_2=np.nan, trace_Pg_arrival_time=np.nan)
    change(folder, trace_P_arrival_time=picks)  # the same picks as the samples
    assert found_in(folder) == []


def test_an_arrival_that_is_a_text_does_not_count_and_an_infinite_one_lies_outside(folder):
    change(folder, trace_P_arrival_sample=["-", np.inf, *[3300] * 7])
    assert inspect(load_dataset(str(folder)))["P"].tolist() == [0, 0, *[1] * 7]
    assert found_in(folder) == ["1 picks lie outside their traces and do not count; the first is of trace1"]


# The small inputs of public reports, each with its right answer.


CASES = {
    "extra_row": "1 of 13 traces left out: no waveform in the file",
    "nan_traces": "3 of 12 traces left out: no signal (NaN or one value throughout)",
    "negative_and_beyond": "9 picks lie outside their traces and do not count",
}


@pytest.mark.parametrize(("case", "line"), CASES.items())
def test_field_cases_are_named(shared_data, case, line):
    assert any(found.startswith(line) for found in found_in(shared_data / "field_cases" / case))


def test_the_windows_of_negative_and_beyond_hold_signal(shared_data, tmp_path):
    config = DataConfig(dataset=str(shared_data / "field_cases/negative_and_beyond"), cache_dir=tmp_path)
    store = open_store(config, "train")
    assert (store.span_high_W > store.span_low_W).all()
    assert len(store.pick_K) == 8


def test_numbered_arrivals_are_counted_and_stored(shared_data, tmp_path):
    folder = shared_data / "field_cases/several_p_numbered_beside"
    assert by_split(inspect(load_dataset(str(folder))))[0] | {"traces": 6} == {
        "split": "train", "traces": 6, "events": 6, "P picks": 12, "S picks": 12, "without picks": 0, "left out": 0,
    }  # fmt: skip
    assert len(open_store(DataConfig(dataset=str(folder), cache_dir=tmp_path), "train").pick_K) == 24


def test_latin_1_is_named_with_file_and_line(shared_data):
    with pytest.raises(ValueError, match=r"metadata\.csv is not UTF-8: line 2 has the byte 0xfc, in Latin-1 ü"):
        load_dataset(str(shared_data / "field_cases/latin1"))


@pytest.mark.parametrize(("separator", "name"), [("\t", "tabs"), (";", "semicolons")])
def test_another_separator_is_named(folder, tmp_path, separator, name):
    shutil.copytree(folder, tmp_path / "other")
    text = (folder / "metadata.csv").read_text()
    (tmp_path / "other/metadata.csv").write_text(text.replace(",", separator))
    with pytest.raises(ValueError, match=rf"metadata\.csv is separated by {name}; SeisBench reads commas"):
        load_dataset(str(tmp_path / "other"))
