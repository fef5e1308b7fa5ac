"""A waveform is the same waveform in counts, in nanometres and in metres."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from seisbench.models import PhaseNet

from trainables.data import batches, sequence_batches
from trainables.data.amplitudes import enlarged
from trainables.edge import network
from trainables.models.teacher import Teacher

SCALES = [2.0**-90, 2.0**-47, 2.0**-30, 2.0**-10]
"""Powers of two, so that no digit changes: 2**-47 is 1e-14, as metres are to counts."""


@pytest.fixture
def counts() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((4, 3, 3001)).astype(np.float32) * 1000)


def all_ways(raw_BXT: torch.Tensor) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return {
        "pickers": batches.normalise(raw_BXT).numpy(),
        "sequences, std": sequence_batches.normalise(raw_BXT, "std").numpy(),
        "sequences, peak": sequence_batches.normalise(raw_BXT, "peak").numpy(),
        "the edge": network.normalise(raw_BXT.numpy()),
        "a teacher": Teacher(PhaseNet(component_order="ENZ", norm="peak"))(raw_BXT).numpy(),
    }


@pytest.mark.parametrize("scale", SCALES)
def test_small_units_change_nothing(counts, scale):
    expected, found = all_ways(counts), all_ways(counts * scale)
    for way, values in expected.items():
        np.testing.assert_allclose(found[way], values, rtol=0, atol=1e-6, err_msg=way)


def test_counts_stay_as_they_are(counts):
    assert torch.equal(enlarged(counts), counts)
    assert torch.equal(enlarged(counts, dim=(1, 2)), counts)
    np.testing.assert_array_equal(network.enlarged(counts.numpy()), counts.numpy())


@pytest.mark.parametrize("value", [0.0, 1.0, 1000.1, 1e-12])
def test_a_dead_component_stays_0(counts, value):
    counts[:, 1] = value
    for way, values in all_ways(counts).items():
        assert np.isfinite(values).all(), way
        if way != "a teacher":
            assert np.abs(values[:, 1]).max() < 1e-3, way


def test_components_keep_their_proportion_for_a_teacher(counts):
    counts[:, 2] *= 1000
    small_BXT = enlarged(counts * 2.0**-60, dim=(1, 2))
    ratio_B = small_BXT[:, 2].abs().amax(dim=1) / small_BXT[:, 0].abs().amax(dim=1)
    torch.testing.assert_close(ratio_B, counts[:, 2].abs().amax(dim=1) / counts[:, 0].abs().amax(dim=1))
