"""A phase that nobody looked for is unknown: told by the metadata, kept out of labels and truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from trainables.data.batches import DevWindows
from trainables.data.catalog import load_dataset
from trainables.data.config import DataConfig
from trainables.data.labelled import labelled_phases, masking_notice
from trainables.data.mixing import training_batches
from trainables.data.windows import open_store


def metadata(p: list[float], s: list[float], **columns: list) -> pd.DataFrame:
    return pd.DataFrame({"trace_P_arrival_sample": p, "trace_S_arrival_sample": s, **columns})


NONE = np.nan


def test_the_metadata_say_it():
    table = metadata([10, 10, 10], [20, NONE, 20], trace_s_status=["manual", None, "unlabelled"])
    assert labelled_phases(table).tolist() == [[True, True], [True, True], [True, False]]


def test_where_they_say_nothing_a_phase_that_many_traces_lack_was_not_looked_for():
    table = metadata([10] * 8 + [NONE, NONE], [20] * 6 + [NONE] * 2 + [20, NONE])
    labelled_NP = labelled_phases(table)
    assert labelled_NP[:, 0].tolist() == [True] * 8 + [False, True]  # one of nine traces with a pick lacks P
    assert labelled_NP[:, 1].tolist() == [True] * 6 + [False] * 2 + [True, True]  # the last trace is noise


def test_a_few_that_lack_a_phase_are_taken_as_they_are():
    table = metadata([10] * 21, [20] * 19 + [NONE] * 2)
    assert labelled_phases(table).all()
    assert masking_notice(table) == ""


@pytest.fixture
def p_only(tmp_path, write_dataset, ramps) -> DataConfig:
    """The first of three traces of each split has no S."""
    traces = [
        (waveform_XT, {**picks, "trace_S_arrival_sample": NONE} if number < 3 else picks)
        for number, (waveform_XT, picks) in enumerate(ramps)
    ]
    folder = write_dataset(tmp_path / "p_only", traces)
    return DataConfig(dataset=str(folder), cache_dir=tmp_path / "stores", dev_windows_per_trace=4)


def test_batches_say_what_is_labelled(p_only):
    (batch,) = training_batches(
        open_store(p_only, "train"), p_only, seed=0, epoch=1, num_steps=1, batch_size=12, device="cpu"
    )
    assert sorted(batch.labelled_BP.tolist()) == [[True, False]] * 4 + [[True, True]] * 8


def test_noise_is_as_before(p_only):
    as_noise = p_only.model_copy(update={"missing_phase": "noise"})
    (batch,) = training_batches(
        open_store(as_noise, "train"), as_noise, seed=0, epoch=1, num_steps=1, batch_size=12, device="cpu"
    )
    assert batch.labelled_BP is None
    assert all(
        arrivals["S"] is not None
        for _, all_of in DevWindows(open_store(as_noise, "dev"), as_noise).batches(5)
        for arrivals in all_of
    )


def test_the_truth_of_dev_windows_is_unknown_where_nobody_looked(p_only):
    dev = DevWindows(open_store(p_only, "dev"), p_only)
    arrivals = [one for _, all_of in dev.batches(5) for one in all_of]
    assert [one["S"] is None for one in arrivals] == [True] * 4 + [False] * 8
    assert all(one["P"] is not None for one in arrivals)
    assert dev.phases == ("P", "S")


def test_records_with_p_alone_are_read_for_p(shared_data, tmp_path):
    folder = str(shared_data / "real_data/nc_deepdenoiser_p_only")
    table = load_dataset(folder).metadata
    assert labelled_phases(table).all(axis=0).tolist() == [True, False]
    assert masking_notice(table).startswith(
        f"S is not labelled in {len(table)} of {len(table)} traces: taken as unknown there"
    )
    config = DataConfig(dataset=folder, cache_dir=tmp_path)
    dev = DevWindows(open_store(config, "dev"), config)
    assert dev.phases == ("P",)
    batch, arrivals = next(dev.batches(8))
    assert torch.equal(batch.labelled_BP, torch.tensor([[True, False]] * 8))
    assert all(one["S"] is None for one in arrivals)


def test_as_noise_they_are_refused(shared_data, tmp_path):
    folder = str(shared_data / "real_data/nc_deepdenoiser_p_only")
    config = DataConfig(dataset=folder, cache_dir=tmp_path, missing_phase="noise")
    with pytest.raises(ValueError, match="no S pick in split train"):
        open_store(config, "train")


def test_real_records_that_are_complete_have_no_mask(shared_data):
    for name in ("phasenet_nc_a", "nc_phasenet_test"):
        assert masking_notice(load_dataset(str(shared_data / "real_data" / name)).metadata) == "", name


def test_noise_does_not_make_a_phase_known_that_nobody_picked(tmp_path, write_dataset, ramps):
    """S was looked for nowhere: that there is none in noise says nothing of a picker of P."""
    traces = [
        (waveform_XT, {"split": picks["split"]} if number < 3 else {**picks, "trace_S_arrival_sample": NONE})
        for number, (waveform_XT, picks) in enumerate(ramps)
    ]
    config = DataConfig(dataset=str(write_dataset(tmp_path / "p", traces)), cache_dir=tmp_path / "stores")
    dev = DevWindows(open_store(config, "dev"), config)
    assert dev.stores[0].labelled_NP.tolist() == [[True, True], [True, False], [True, False]]
    assert dev.phases == ("P",)
    assert all(one["S"] is None for _, all_of in dev.batches(5) for one in all_of)
