"""Answers of pickers in the windows of the tasks, against one window after the other by SeisBench's own functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from seisbench.models import EQTransformer, PhaseNet
from task_records import write_records

from trainables.data.catalog import load_dataset
from trainables.evaluation.task_targets import TasksConfig, make_targets
from trainables.evaluation.task_windows import TaskPicker, answers
from trainables.export.artifacts import torch_picker
from trainables.models.adapters import EQTransformerAdapter, PhaseNetAdapter


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks") / "records"
    write_records(folder, num_traces=30)
    return load_dataset(str(folder))


@pytest.fixture(scope="module")
def targets(dataset) -> pd.DataFrame:
    made = make_targets(dataset, "dev", TasksConfig())
    return pd.concat([made.detection, made.onset], ignore_index=True)


def loud(length: int, classes: str = "PSN") -> TaskPicker:
    """P is large where the first component is, S where the second is."""

    def probabilities(batch) -> np.ndarray:
        curves = batch.raw_BXT[:, :2].abs().numpy() / 1000
        rest = {"PSN": 1 - curves.sum(axis=1, keepdims=True), "PSD": curves[:, :1] * 2, "PS": curves[:, :0]}[classes]
        return np.concatenate([curves, rest], axis=1)

    return TaskPicker(probabilities, classes, length)


def test_phasenet_answers_as_in_a_loop_over_windows(dataset, targets):
    torch.manual_seed(0)
    model = PhaseNet(phases="NPS", component_order="ZNE", norm="std").eval()
    adapter = PhaseNetAdapter(model)
    found = answers({"phasenet": TaskPicker(torch_picker(adapter), "PSN", 3001)}, dataset, targets)["phasenet"]
    for number, row in enumerate(targets.itertuples()):
        waveform, _ = dataset.get_sample(row.trace_idx)
        first = max(0, row.start_sample if row.end_sample - row.start_sample == 3001 else _centred(row, waveform, 3001))
        window = np.zeros((1, 3, 3001), dtype=np.float32)
        part = waveform[::-1][:, first : first + 3001]  # ENZ as ZNE
        window[0, :, : part.shape[1]] = part
        with torch.no_grad():
            noise, p, s = model(model.annotate_batch_pre(torch.from_numpy(window), {}))[0].numpy()
        here = slice(row.start_sample - first, row.end_sample - first)
        assert found.detection[number] == pytest.approx((1 - noise[here]).max(), abs=1e-5)
        assert found.p_to_s[number] == pytest.approx(p[here].max() / s[here].max(), rel=1e-4)
        assert p[int(found.p_sample[number]) - first] == pytest.approx(p[here].max(), abs=1e-5)
        assert s[int(found.s_sample[number]) - first] == pytest.approx(s[here].max(), abs=1e-5)
        assert row.start_sample <= found.p_sample[number] < row.end_sample


def _centred(row, waveform: np.ndarray, length: int) -> int:
    """Of a window shorter than the network's; the trace's end moves it."""
    return min(row.start_sample - (length - (row.end_sample - row.start_sample)) // 2, waveform.shape[1] - length)


def test_of_an_eqtransformer_the_detection_curve_counts(dataset, targets):
    torch.manual_seed(0)
    adapter = EQTransformerAdapter(EQTransformer(component_order="ENZ", lstm_blocks=1).eval())
    some = targets.iloc[:3]
    found = answers({"eqt": TaskPicker(torch_picker(adapter), "PSD", 6000)}, dataset, some)["eqt"]
    for number, row in enumerate(some.itertuples()):
        waveform, _ = dataset.get_sample(row.trace_idx)
        first = max(0, _centred(row, waveform, 6000))
        window = np.zeros((1, 3, 6000), dtype=np.float32)
        part = waveform[:, first : first + 6000]
        window[0, :, : part.shape[1]] = part
        with torch.no_grad():
            detection, _, _ = adapter.network(adapter.network.annotate_batch_pre(torch.from_numpy(window), {}))
        here = slice(row.start_sample - first, row.end_sample - first)
        assert found.detection[number] == pytest.approx(detection[0, here].max().item(), abs=1e-5)


@pytest.mark.parametrize("length", [400, 700, 3001, 6000])
def test_windows_of_any_length_hear_all_of_a_target_and_nothing_else(dataset, targets, length):
    found = answers({"loud": loud(length)}, dataset, targets)["loud"]
    for number, row in enumerate(targets.itertuples()):
        waveform, _ = dataset.get_sample(row.trace_idx)
        here = np.abs(waveform[:2, row.start_sample : row.end_sample]).astype(np.float32)
        assert found.p[number] == pytest.approx(here[0].max() / 1000, rel=1e-5)
        assert found.p_sample[number] == row.start_sample + here[0].argmax()
        assert found.s_sample[number] == row.start_sample + here[1].argmax()
        assert found.detection[number] == pytest.approx(here.sum(axis=0).max() / 1000, rel=1e-4)


def test_curves_without_noise_and_detection_are_added_up(dataset, targets):
    both = answers({"PS": loud(3001, "PS"), "PSD": loud(3001, "PSD")}, dataset, targets)
    np.testing.assert_allclose(both["PSD"].detection, 2 * both["PS"].p, rtol=1e-6)
    assert (both["PS"].detection >= both["PS"].p).all()


def test_silence_is_neither_p_nor_s(dataset, targets):
    silent = TaskPicker(lambda batch: np.zeros((len(batch.raw_BXT), 3, 3001)), "PSN", 3001)
    assert (answers({"silent": silent}, dataset, targets)["silent"].p_to_s == 1).all()


def test_a_trace_that_cannot_be_read_is_left_out_and_named(dataset, targets, monkeypatch, caplog):
    broken = int(targets["trace_idx"].iloc[0])
    read = dataset.get_sample
    monkeypatch.setattr(dataset, "get_sample", lambda n: (np.zeros((3, 4000)), {}) if n == broken else read(n))
    found = answers({"loud": loud(3001)}, dataset, targets)["loud"]
    assert np.isnan(found.p[(targets["trace_idx"] == broken).to_numpy()]).all()
    assert np.isfinite(found.p[(targets["trace_idx"] != broken).to_numpy()]).all()
    num_traces, name = targets["trace_idx"].nunique(), dataset.metadata["trace_name"].iloc[broken]
    (message,) = caplog.messages
    assert f"1 of {num_traces} traces left out: no signal" in message
    assert message.endswith(f"; the first is {name}")
