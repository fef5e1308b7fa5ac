"""What a trial hands to Tune: plain floats with an epoch, or one line that says why it failed."""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
from types import SimpleNamespace

import pytest
import torch
from seisweep.workers import trial
from seisweep.workers.faults import DivergedError, Fault, StorageError
from seisweep.workers.trial import (
    NO_MARKER,
    Job,
    check_metrics,
    epoch_of,
    fault_here,
    load,
    scratch_folder,
    scratch_place,
    storage_blamed,
    trial_log,
)


def job(folder, **fields) -> Job:
    plain = {
        "trainable": "toy_trainable:train",
        "objectives": ("dev/f1",),
        "logs": str(folder),
        "storage": str(folder),
        "workers": 1,
        "cpus_per_worker": 1,
        "gpus_per_worker": 0,
        "relay": "",
    }
    return Job(**{**plain, **fields})


def test_metrics_become_plain_floats_and_keep_their_names():
    checked = check_metrics({"epoch": 3, "pid": torch.tensor(0.5), "dev/f1": 1}, ("dev/f1",), last_epoch=2)
    assert checked == {"epoch": 3.0, "pid": 0.5, "dev/f1": 1.0}
    assert all(type(value) is float for value in checked.values())


def test_epochs_are_counted_where_none_is_named():
    assert check_metrics({"score": 1}, ("score",), last_epoch=4)["epoch"] == 5


@pytest.mark.parametrize("name", ["dev/f1", "train/loss", "loss", "dev/loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_trial_says_what_and_when(name, value):
    with pytest.raises(DivergedError, match=f"{name} is {value} at epoch 2: the training diverged"):
        check_metrics({"epoch": 2, name: value}, ("dev/f1",), last_epoch=1)


def test_a_residual_without_picks_is_no_divergence():
    assert math.isnan(
        check_metrics({"epoch": 1, "dev/p_residual_mean_s": math.nan}, ("dev/f1",), 0)["dev/p_residual_mean_s"]
    )


def test_what_the_driver_could_not_configure_fails_in_the_trial(tmp_path):
    with pytest.raises(ValueError, match="alpha = 3 is not allowed"):
        load(job(tmp_path), {"config": {}, "error": "alpha = 3 is not allowed"})


def test_a_trial_logs_into_its_own_file(tmp_path):
    def train() -> None:
        with trial_log(job(tmp_path), {"trial": 7}):
            logging.getLogger("trainables.data").info("building the window store")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        train()
    text = (tmp_path / "trial-00007.log").read_text()
    assert "building the window store" in text
    assert "RuntimeError: boom" in text


def test_a_machine_without_the_sweeps_folder_trains_all_the_same(tmp_path):
    with trial_log(job(tmp_path / "elsewhere"), {"trial": 7}):
        logging.getLogger("trainables").warning("nobody keeps this")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("place", "on_cluster", "kind"),
    [("/scratch/x", True, "node"), ("/scratch/x", False, "disk"), ("{folder}/x", True, "disk"), (None, True, "disk")],
)
def test_a_full_disk_of_one_machine_of_a_cluster_is_that_machines(tmp_path, monkeypatch, place, on_cluster, kind):
    monkeypatch.setattr(trial.ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "ab"))
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place and place.format(folder=tmp_path))
    fault = fault_here(error, job(tmp_path, on_cluster=on_cluster))
    assert (fault.kind, fault.node) == (kind, "ab")


def test_the_epoch_of_a_checkpoint(tmp_path):
    assert epoch_of(tmp_path) == 0
    (tmp_path / ".seisweep-epoch").write_text("12")
    assert epoch_of(tmp_path) == 12


# Working files, and the storage of checkpoints


def test_working_files_end_with_their_trial_and_the_folder_with_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours = job(tmp_path, scratch="seisweep-abc")
    with scratch_folder(ours) as first:
        with scratch_folder(ours) as second:
            assert first.parent == second.parent == scratch_place("seisweep-abc")
        assert not second.exists()
        assert first.exists()
    assert list(tmp_path.iterdir()) == []


def test_trials_that_begin_while_others_end_find_their_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours, failed = job(tmp_path, scratch="seisweep-abc"), []

    def trials() -> None:
        try:
            for _ in range(300):
                with scratch_folder(ours) as folder:
                    (folder / "file").touch()
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=trials) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("AWS Error NETWORK_CONNECTION: curlCode: 7"), "nothing answers at http://box:9000"),
        (OSError("AWS Error NO_SUCH_BUCKET"), "no bucket lab there"),
        (RuntimeError(f"{NO_MARKER} with the following settings"), "not to be reached from this machine"),
    ],
)
def test_a_storage_that_fails_is_not_the_fault_of_the_trial(tmp_path, error, reason):
    ours = job(tmp_path, storage="s3://lab/x", endpoint="http://box:9000")
    with pytest.raises(StorageError) as caught, storage_blamed(ours, tmp_path):
        raise error
    assert Fault.of(caught.value)[:2] == ("storage", f"storage s3://lab/x: {reason}")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("of the trainable"),
        OSError(errno.ENOSPC, "No space left on device"),
        FileNotFoundError("checkpoint"),
    ],
)
def test_what_is_no_fault_of_the_storage_stays_as_it_is(tmp_path, error):
    with pytest.raises(type(error)) as caught, storage_blamed(job(tmp_path), tmp_path / "never written"):
        raise error
    assert caught.value is error


def test_torch_has_the_threads_of_the_trial_where_the_trainable_asks_for_its_device(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "sys", SimpleNamespace(modules={}))  # as where nothing has imported it yet
    threads = torch.get_num_threads()
    try:
        assert trial.TuneRun(tmp_path, job(tmp_path, cpus_per_worker=threads + 1), None).device == torch.device("cpu")
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
