"""Bad data sets are one clear line; good ones arrive as E, N, Z at 100 Hz, without noise on the screen."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import seisbench

from trainables.data.arrivals import PICK_COLUMNS
from trainables.data.catalog import (
    check_dataset,
    dataset_folder,
    dataset_names,
    fingerprint,
    load_dataset,
)


def one_line(error: pytest.ExceptionInfo[ValueError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("data.dataset=")
    return message


@pytest.fixture
def ramp_folder(tmp_path, write_dataset, ramps):
    return write_dataset(tmp_path / "ramps", ramps)


def edit_metadata(folder, change):
    metadata = pd.read_csv(folder / "metadata.csv")
    change(metadata).to_csv(folder / "metadata.csv", index=False)


# Finding and opening.


@pytest.mark.parametrize("name", ["ethz", "ETHZ", "EthZ"])
def test_names_in_any_case(name):
    assert dataset_folder(name) == seisbench.cache_data_root / "ethz"


def test_catalog_holds_data_sets_of_single_traces():
    names = dataset_names()
    assert {"ETHZ", "STEAD", "InstanceCounts", "Iquique", "OBS", "CREW"} <= set(names)
    assert not {"WaveformDataset", "BenchmarkDataset", "InstanceCountsCombined", "RandomDASDataset"} & set(names)


def test_misspelled_name_gets_a_suggestion():
    with pytest.raises(ValueError, match="did you mean") as error:
        load_dataset("STAED")
    assert "STEAD" in one_line(error)


def test_unknown_folder(tmp_path):
    with pytest.raises(ValueError, match="no such folder") as error:
        load_dataset(str(tmp_path / "nothing"))
    one_line(error)


def test_folder_without_a_data_set(tmp_path):
    with pytest.raises(ValueError, match=r"metadata\.csv and waveforms\.hdf5") as error:
        load_dataset(str(tmp_path))
    one_line(error)


def test_waveforms_that_are_no_hdf5(ramp_folder):
    (ramp_folder / "waveforms.hdf5").write_text("no HDF5")
    with pytest.raises(ValueError, match="cannot be read as a SeisBench data set") as error:
        load_dataset(str(ramp_folder))
    one_line(error)


def test_metadata_without_a_needed_column(ramp_folder):
    edit_metadata(ramp_folder, lambda metadata: metadata.drop(columns="trace_component_order"))
    with pytest.raises(ValueError, match="trace_component_order") as error:
        load_dataset(str(ramp_folder))
    one_line(error)


def test_a_name_that_cannot_be_downloaded_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setattr(seisbench, "cache_data_root", tmp_path)

    def no_network(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr("requests.get", no_network)
    monkeypatch.setattr("seisbench.util.file.precheck_url", no_network)
    with pytest.raises(ValueError, match="cannot be downloaded") as error:
        load_dataset("ethz")
    assert str(tmp_path / "ethz") in one_line(error)
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_by_name_from_its_folder(tmp_path, monkeypatch, write_dataset, ramps):
    monkeypatch.setattr(seisbench, "cache_data_root", tmp_path)
    write_dataset(tmp_path / "ethz", ramps)
    assert len(load_dataset("ETHZ")) == len(ramps)


def test_nothing_reaches_the_screen(ramp_folder, capfd, recwarn):
    edit_metadata(ramp_folder, lambda metadata: metadata.assign(trace_component_order="Z12"))
    check_dataset(load_dataset(str(ramp_folder)))
    assert capfd.readouterr() == ("", "")
    assert [w for w in recwarn if "trainables" in str(w.filename)] == []


# What arrives.


def test_components_come_as_e_n_z(tmp_path, write_dataset, ramps):
    wanted_XT = ramps[0][0]
    zne = [(waveform_XT[[2, 1, 0]], metadata) for waveform_XT, metadata in ramps]
    for order in ("ZNE", "Z12", "312"):
        folder = write_dataset(tmp_path / order, zne, order=order)
        got_XT, _ = load_dataset(str(folder)).get_sample(0)
        np.testing.assert_array_equal(got_XT, wanted_XT)


def test_one_component_stations_get_zeros(tmp_path, write_dataset, ramps):
    vertical = [(waveform_XT[2:], metadata) for waveform_XT, metadata in ramps]
    dataset = load_dataset(str(write_dataset(tmp_path / "z", vertical, order="Z")))
    check_dataset(dataset)
    got_XT, _ = dataset.get_sample(0)
    np.testing.assert_array_equal(got_XT[2], ramps[0][0][2])
    assert np.abs(got_XT[:2]).max() == 0


def test_other_sampling_rates_are_resampled(tmp_path, write_dataset, ramps):
    dataset = load_dataset(str(write_dataset(tmp_path / "at_50_hz", ramps, sampling_rate_hz=50.0)))
    waveform_XT, metadata = dataset.get_sample(0)
    assert waveform_XT.shape == (3, 14000)
    assert metadata["trace_P_arrival_sample"] == 6400


def test_all_names_of_phases_are_known():
    for column in ("trace_p_arrival_sample", "trace_PmP_arrival_sample", "trace_Pn_arrival_sample"):
        assert PICK_COLUMNS[column] == "P"
    for column in ("trace_s_arrival_sample", "trace_SmS_arrival_sample", "trace_Sg_arrival_sample"):
        assert PICK_COLUMNS[column] == "S"
    assert set(PICK_COLUMNS.values()) == {"P", "S"}


# What cannot be used.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.drop(columns="split"), "no column split"),
        (lambda m: m.assign(split="train"), "no trace in split dev"),
        (lambda m: m.assign(split=m.split.replace("train", "training")), "no trace in split train"),
        (lambda m: m.drop(columns=["trace_P_arrival_sample", "trace_S_arrival_sample"]), "no P pick in split train"),
        (lambda m: m.assign(trace_S_arrival_sample="soon"), "soon in column trace_S_arrival_sample is not a pick"),
        (lambda m: m.assign(split=m.split.str.upper()), "and names 'TRAIN', 'DEV', 'TEST'"),
        (lambda m: m.assign(trace_sampling_rate_hz=np.inf), "9 of 9 traces have no sampling rate"),
        (lambda m: m.assign(trace_sampling_rate_hz=np.nan), "9 of 9 traces have no sampling rate"),
        (lambda m: m.drop(columns="trace_sampling_rate_hz"), "no sampling rate"),
        (lambda m: m.assign(trace_component_order="ABC"), "components ABC"),
    ],
)
def test_unusable_data_sets_are_one_line(ramp_folder, change, reason):
    edit_metadata(ramp_folder, change)
    with pytest.raises(ValueError, match=reason) as error:
        check_dataset(load_dataset(str(ramp_folder)), str(ramp_folder))
    one_line(error)


def test_a_chunk_without_its_waveforms_and_empty_metadata_are_named(ramp_folder):
    shutil.copy(ramp_folder / "metadata.csv", ramp_folder / "metadata_b.csv")
    with pytest.raises(ValueError, match=r"metadata_b\.csv has no waveforms_b\.hdf5 beside it") as error:
        load_dataset(str(ramp_folder))
    one_line(error)
    (ramp_folder / "metadata_b.csv").unlink()
    (ramp_folder / "metadata.csv").write_text("")
    with pytest.raises(ValueError, match=r"metadata\.csv is empty"):
        load_dataset(str(ramp_folder))


def test_a_usable_data_set_passes(ramp_folder):
    check_dataset(load_dataset(str(ramp_folder)), splits=("train", "dev", "test"))


# Fingerprints.


def test_copies_share_a_fingerprint(ramp_folder, tmp_path):
    shutil.copytree(ramp_folder, tmp_path / "copy")
    assert fingerprint(str(tmp_path / "copy")) == fingerprint(str(ramp_folder))


def test_other_metadata_or_waveforms_change_the_fingerprint(ramp_folder, tmp_path, write_dataset, ramps):
    before = fingerprint(str(ramp_folder))
    louder = write_dataset(tmp_path / "louder", [(waveform_XT * 2, metadata) for waveform_XT, metadata in ramps])
    edit_metadata(ramp_folder, lambda metadata: metadata.assign(trace_P_arrival_sample=4000))
    assert len({before, fingerprint(str(louder)), fingerprint(str(ramp_folder))}) == 3


def test_a_phase_that_nobody_picked_is_refused_as_noise_alone(ramp_folder):
    metadata = pd.read_csv(ramp_folder / "metadata.csv")
    metadata.assign(trace_S_arrival_sample=np.nan).to_csv(ramp_folder / "metadata.csv", index=False)
    check_dataset(load_dataset(str(ramp_folder)))
    with pytest.raises(ValueError, match="no S pick in split train"):
        check_dataset(load_dataset(str(ramp_folder)), missing_phase="noise")
