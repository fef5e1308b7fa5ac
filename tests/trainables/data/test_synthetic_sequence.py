"""The synthetic sequence: the form of a real one, several traces an event, and time in its waveforms but subtly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from trainables.data.sequence import Sequence, open_sequence
from trainables.data.sequence_batches import normalise
from trainables.data.sequence_config import SequenceDataConfig
from trainables.data.sequence_splits import split_sequence
from trainables.data.synthetic_sequence import softening, write_synthetic_sequence


@pytest.fixture(scope="module")
def sequence(tmp_path_factory) -> Sequence:
    """What `data synth nrca` writes."""
    folder = tmp_path_factory.mktemp("sequence") / "default"
    write_synthetic_sequence(folder)
    return open_sequence(str(folder))


def test_it_has_the_form_of_a_real_one(sequence):
    assert sequence.is_synthetic
    assert (sequence.num_samples, sequence.sampling_rate_hz) == (2500, 100)
    assert 1200 < len(sequence) < 1500
    assert np.isfinite(sequence.waveforms_NXT).all()
    assert set(sequence.metadata["source_type"]) == {"synthetic earthquake"}
    times = pd.to_datetime(sequence.metadata["trace_start_time"]).groupby(sequence.metadata["sequence_part"])
    assert times.max()["pre"] < times.min()["visso"] < times.max()["visso"] < times.min()["post"]
    assert not sequence.metadata["trace_start_time"].is_monotonic_increasing


def test_an_event_has_one_or_two_traces_that_are_alike(sequence):
    """So that a split that parts them would leak."""
    sizes = sequence.metadata["source_id"].value_counts()
    assert set(sizes) == {1, 2}
    assert 0.25 < (sizes == 2).mean() < 0.45
    second = np.flatnonzero(sequence.metadata["source_id"].duplicated())
    assert (sequence.metadata["trace_channel"].iloc[second] == "HN").all()
    alike = [np.corrcoef(*sequence.waveforms_NXT[[n - 1, n], 2])[0, 1] for n in second]
    others = [np.corrcoef(*sequence.waveforms_NXT[[n - 3, n], 2])[0, 1] for n in second[5:]]
    assert np.median(alike) > 0.6
    assert np.median(np.abs(others)) < 0.1


def test_all_class_counts_and_small_sizes_can_be_split(sequence, tmp_path):
    write_synthetic_sequence(tmp_path / "small", num_events=200)
    for each in (sequence, open_sequence(str(tmp_path / "small"))):
        for num_classes in (2, 4, 8, 9):
            assert split_sequence(each, SequenceDataConfig(dataset="", num_classes=num_classes))
    with pytest.raises(ValueError, match="at least 200"):
        write_synthetic_sequence(tmp_path / "smaller", num_events=199)


def test_a_seed_determines_it(tmp_path):
    for name, seed in {"one": 1, "same": 1, "other": 2}.items():
        write_synthetic_sequence(tmp_path / name, num_events=200, seed=seed)
    one, same, other = (open_sequence(str(tmp_path / name)) for name in ("one", "same", "other"))
    np.testing.assert_array_equal(one.waveforms_NXT, same.waveforms_NXT)
    pd.testing.assert_frame_equal(one.metadata, same.metadata)
    assert not np.array_equal(one.waveforms_NXT[:100], other.waveforms_NXT[:100])


def test_shaking_softens_the_ground_and_it_heals():
    soft = softening(np.array([-67.0, -30.0, -4.0, -3.5, -0.1, 0.1, 5.0, 79.0]))
    assert soft[0] > soft[1] > soft[2] < soft[3] > soft[4] < soft[5] > soft[6] > soft[7] > 0


# Difficulty: a linear discriminant on spectra stands for what can be learnt, one on amplitudes for a shortcut.


@pytest.mark.parametrize(("num_classes", "at_least", "at_most"), [(2, 0.85, 0.99), (4, 0.45, 0.8), (9, 0.25, 0.6)])
def test_spectra_tell_the_class_but_not_easily(sequence, num_classes, at_least, at_most):
    assert at_least < _accuracy(sequence, num_classes, _spectra) < at_most


@pytest.mark.parametrize(("num_classes", "at_most"), [(2, 0.7), (4, 0.4), (9, 0.22)])
def test_amplitudes_hardly_do(sequence, num_classes, at_most):
    assert _accuracy(sequence, num_classes, _amplitudes) < at_most


def _accuracy(sequence: Sequence, num_classes: int, features) -> float:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    splits = split_sequence(sequence, SequenceDataConfig(dataset="", num_classes=num_classes))
    train = splits["train"]
    held_out = np.concatenate([splits[split].trace_R for split in ("dev", "test")])
    truth = np.concatenate([splits[split].label_R for split in ("dev", "test")])
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    model.fit(features(sequence.waveforms_NXT[train.trace_R]), train.label_R)
    return float(model.score(features(sequence.waveforms_NXT[held_out]), truth))


def _spectra(raw_NXT: np.ndarray) -> np.ndarray:
    """Log power of normalised traces in bands from 1 to 40 Hz."""
    power_NXF = np.abs(np.fft.rfft(normalise(torch.from_numpy(raw_NXT), "std").numpy())) ** 2
    edges = np.unique(np.geomspace(25, 1000, 40).astype(int))
    bands = [np.log(power_NXF[..., low:high].mean(axis=-1) + 1e-9) for low, high in pairwise(edges)]
    return np.concatenate(bands, axis=1)


def _amplitudes(raw_NXT: np.ndarray) -> np.ndarray:
    """Log peak, standard deviation, and noise before P, of counts."""
    sizes = [np.abs(raw_NXT).max(axis=-1), raw_NXT.std(axis=-1), raw_NXT[..., :150].std(axis=-1)]
    return np.log(np.concatenate(sizes, axis=1))
