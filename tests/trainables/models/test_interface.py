from __future__ import annotations

import numpy as np
import pytest
import torch
from seisbench.models import EQTransformer, PhaseNet, PhaseNetLight

from trainables.edge import network as edge
from trainables.models.adapters import adapter_of
from trainables.models.interface import IN_WORDS, PEAK, STD, Interface, as_curves, as_distribution, prepared

NETWORKS = [
    lambda: PhaseNet(norm="std"),
    lambda: PhaseNet(norm="peak", norm_detrend=True, component_order="ENZ"),
    lambda: PhaseNetLight(norm="peak"),
    lambda: EQTransformer(norm="std"),
    lambda: EQTransformer(norm="peak", norm_amp_per_comp=True, norm_detrend=True, in_samples=1500),
]


def counts(num_samples: int, num_windows: int = 2) -> torch.Tensor:
    rng = np.random.default_rng(0)
    walk_BXT = rng.normal(size=(num_windows, 3, num_samples)).cumsum(axis=-1) * 100 + 1e4
    return torch.from_numpy(walk_BXT.astype(np.float32))


@pytest.mark.parametrize("make", NETWORKS)
def test_waveforms_are_prepared_as_seisbench_does(make):
    model = make()
    raw_BXT = counts(model.in_samples)
    expected_BXT = model.annotate_batch_pre(raw_BXT.clone(), {})
    steps = adapter_of(model).interface.steps
    torch.testing.assert_close(prepared(raw_BXT, steps), expected_BXT, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("steps", [PEAK, STD, ("demean", "std_of_all", "taper"), ("demean", "peak")])
def test_an_edge_device_prepares_as_training_does(steps):
    raw_BXT = counts(1000)
    here_BXT, there_BXT = prepared(raw_BXT, steps).numpy(), edge.prepared(raw_BXT.numpy(), steps)
    np.testing.assert_allclose(here_BXT, there_BXT, atol=2e-4)
    assert edge.steps_of({"normalisation_steps": " ".join(steps)}) == steps


def test_both_know_the_same_steps():
    assert set(edge.STEPS) == set(IN_WORDS)
    assert edge.steps_of({}) == edge.PEAK == PEAK
    with pytest.raises(ValueError, match="median is not known"):
        edge.steps_of({"normalisation_steps": "demean median"})


def test_the_file_of_a_xiaonet_says_what_it_always_said():
    assert Interface().metadata() == {
        "sampling_rate_hz": "100",
        "component_order": "ENZ",
        "window_samples": "3001",
        "classes": "PSN",
        "normalisation": "per component: subtract mean, subtract linear trend, divide by largest absolute value",
    }


def test_curves_become_a_distribution_and_back():
    curves = Interface(classes="PSD")
    p, s = torch.tensor([0.6, 0.7, 0.0]), torch.tensor([0.1, 0.8, 0.0])
    logits_BCT = torch.stack([p, s, torch.tensor([0.5, 0.5, 0.5])]).logit(1e-7)[None]
    shares_CT = as_distribution(logits_BCT, curves)[0].exp()
    torch.testing.assert_close(shares_CT[:, 0], torch.tensor([0.6, 0.1, 0.3]), atol=1e-4, rtol=0)
    torch.testing.assert_close(shares_CT[:, 1], torch.tensor([0.7 / 1.5, 0.8 / 1.5, 0.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(shares_CT[:, 2], torch.tensor([0.0, 0.0, 1.0]), atol=1e-4, rtol=0)
    distribution_BCT = torch.randn(2, 3, 50)
    expected_BCT = distribution_BCT.softmax(1)[:, :2]
    torch.testing.assert_close(as_curves(distribution_BCT, Interface()).sigmoid(), expected_BCT)
