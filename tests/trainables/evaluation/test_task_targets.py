"""Windows of the tasks are drawn as pick-benchmark draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from task_records import write_records

from trainables.data.catalog import load_dataset
from trainables.evaluation.task_targets import TasksConfig, make_targets, read_targets, write_targets


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks") / "records"
    write_records(folder)
    return load_dataset(str(folder))


def of_all_splits(dataset, **settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    made = [make_targets(dataset, split, TasksConfig(**settings)) for split in ("train", "dev", "test")]
    tables = ([one.detection for one in made], [one.onset for one in made])
    return tuple(pd.concat(parts).sort_values("trace_idx", kind="stable") for parts in tables)  # type: ignore[return-value]


def test_windows_of_event_detection_are_those_of_a_plain_loop_over_traces(dataset):
    """One generator with the seed, one draw a window where there is a choice, in the order of the metadata."""
    detection, _ = of_all_splits(dataset)
    rng = np.random.RandomState(42)
    expected = []
    for number in range(len(dataset)):
        waveform, metadata = dataset.get_sample(number)
        length = waveform.shape[1]
        arrivals = [metadata["trace_P_arrival_sample"], metadata["trace_Sg_arrival_sample"]]
        if np.isnan(arrivals).all():
            start = rng.randint(0, length - 3000 + 1) if length > 3000 else 0
            expected.append((number, start, min(start + 3000, length), "noise"))
            continue
        first = float(min(arrivals))
        if length <= 3000:
            expected.append((number, 0, length, "earthquake"))
        else:
            low, high = max(0, first - 2900), min(length - 3000, first - 100)
            if low < high:
                start = rng.randint(low, high + 1)
                expected.append((number, start, start + 3000, "earthquake"))
        if first > 3000:
            start = rng.randint(0, first - 3000 + 1)
            expected.append((number, start, start + 3000, "noise"))
    found = detection[["trace_idx", "start_sample", "end_sample", "trace_type"]].itertuples(index=False, name=None)
    assert list(found) == expected
    assert {kind for *_, kind in expected} == {"noise", "earthquake"}


def test_each_onset_is_alone_in_its_window(dataset):
    _, onset = of_all_splits(dataset)
    assert set(onset["phase_label"]) == {"P", "S"}
    assert set(onset["full_phase_label"]) == {"P", "Sg"}
    left_out = 0
    for number in range(len(dataset)):
        _, metadata = dataset.get_sample(number)
        arrivals = np.array([metadata["trace_P_arrival_sample"], metadata["trace_Sg_arrival_sample"]], dtype=float)
        here = onset[onset["trace_idx"] == number]
        left_out += int(np.isfinite(arrivals).sum()) - len(here)
        for row in here.itertuples():
            inside = [one for one in arrivals if row.start_sample - 50 < one < row.end_sample + 49]
            assert inside == [row.phase_onset]
            assert row.end_sample - row.start_sample <= 1000
    assert left_out > 0, "P and S closer than half a second cannot be parted"


def test_onsets_of_another_rate_are_at_100_hz(dataset):
    _, onset = of_all_splits(dataset)
    slow = np.flatnonzero(dataset.metadata["trace_sampling_rate_hz"] == 50)
    rows = onset[onset["trace_idx"].isin(slow) & (onset["phase_label"] == "P")]
    assert len(rows)
    twice = 2 * dataset.metadata["trace_P_arrival_sample"].to_numpy(dtype=float)[rows["trace_idx"]]
    assert rows["phase_onset"].tolist() == twice.tolist()


def test_another_seed_draws_other_windows_of_the_same_traces(dataset):
    first, other = of_all_splits(dataset)[0], of_all_splits(dataset, seed=7)[0]
    assert first["trace_idx"].tolist() == other["trace_idx"].tolist()
    assert first["start_sample"].tolist() != other["start_sample"].tolist()
    assert (of_all_splits(dataset, noise_before_events=False)[0]["trace_type"] == "noise").sum() == 23


def test_a_trace_in_which_nobody_looked_is_no_noise(tmp_path):
    write_records(tmp_path / "records")
    metadata = pd.read_csv(tmp_path / "records" / "metadata.csv")
    metadata["trace_s_status"] = "manual"
    without = metadata["trace_P_arrival_sample"].isna() & (metadata["split"] == "dev")
    metadata.loc[without.idxmax(), "trace_s_status"] = "unlabelled"
    metadata.to_csv(tmp_path / "records" / "metadata.csv", index=False)
    targets = make_targets(load_dataset(str(tmp_path / "records")), "dev", TasksConfig(noise_before_events=False))
    noise = targets.detection.query("trace_type == 'noise'")["trace_idx"].tolist()
    assert noise == np.flatnonzero(without)[1:].tolist()


def test_lengths_that_are_not_told_are_read_of_the_split_alone(tmp_path):
    write_records(tmp_path / "records")
    file = tmp_path / "records" / "metadata.csv"
    pd.read_csv(file).drop(columns="trace_npts").to_csv(file, index=False)
    dataset = load_dataset(str(tmp_path / "records"))
    length = {n: dataset.get_sample(n)[0].shape[1] for n in np.flatnonzero(dataset.metadata["split"] == "dev")}
    dataset.get_sample = lambda n: (None, {"trace_npts": length[n]})  # no other one may be asked for
    made = make_targets(dataset, "dev", TasksConfig())
    assert len(made.detection) > 30
    assert (made.detection["end_sample"] <= made.detection["trace_idx"].map(length)).all()


def test_files_come_back_as_they_were_written(dataset, tmp_path):
    made = make_targets(dataset, "dev", TasksConfig())
    write_targets(made, tmp_path / "targets")
    read = read_targets(tmp_path / "targets", dataset, "dev")
    pd.testing.assert_frame_equal(read.detection, made.detection, check_dtype=False)
    pd.testing.assert_frame_equal(read.onset, made.onset, check_dtype=False)
    assert read_targets(tmp_path / "targets", dataset, "test").detection.empty


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda frame: frame.drop(columns="trace_type"), "it has no column trace_type"),
        (lambda frame: frame.assign(trace_name="another"), "targets of other data"),
        (lambda frame: frame.assign(trace_idx=10**6), "targets of other data"),
        (lambda frame: frame.assign(sampling_rate=50), "must be at 100 Hz"),
    ],
)
def test_files_that_do_not_fit_are_one_line(dataset, tmp_path, change, complaint):
    made = make_targets(dataset, "dev", TasksConfig())
    change(made.detection).to_csv(tmp_path / "task1.csv", index=False)
    with pytest.raises(ValueError, match=complaint) as raised:
        read_targets(Path(tmp_path), dataset, "dev")
    assert "\n" not in str(raised.value)
