# B window of a batch, X component (E, N, Z), T time sample

from __future__ import annotations

import numpy as np
import pytest

from trainables.data.augmentations import augment, with_gaps
from trainables.data.config import DataConfig
from trainables.data.onsets import Onsets

POSITIONS = np.arange(400)


@pytest.fixture(name="counts_BXT")
def counts() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(400, 3, 50)).astype(np.float32)


def augmented(counts_BXT: np.ndarray, epoch: int = 1, **settings: object) -> np.ndarray:
    changed_BXT = counts_BXT.copy()
    augment(changed_BXT, DataConfig.model_validate({"dataset": "x", **settings}), 0, epoch, POSITIONS)
    return changed_BXT


def test_nothing_is_changed_by_default(counts_BXT):
    np.testing.assert_array_equal(augmented(counts_BXT), counts_BXT)


def test_a_rotation_keeps_the_vertical_and_the_length_of_the_horizontal_motion(counts_BXT):
    turned_BXT = augmented(counts_BXT, rotate_horizontals=True)
    np.testing.assert_array_equal(turned_BXT[:, 2], counts_BXT[:, 2])
    np.testing.assert_allclose(
        np.hypot(turned_BXT[:, 0], turned_BXT[:, 1]), np.hypot(counts_BXT[:, 0], counts_BXT[:, 1]), rtol=1e-4
    )
    angle_B = np.angle(
        (turned_BXT[:, 0] + 1j * turned_BXT[:, 1])[:, 0] / (counts_BXT[:, 0] + 1j * counts_BXT[:, 1])[:, 0]
    )
    spread, _ = np.histogram(angle_B, bins=4, range=(-np.pi, np.pi))
    assert spread.min() > 70  # of 400, in all directions


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_dead_horizontal_does_not_come_alive(counts_BXT, value):
    counts_BXT[:, 1] = value
    np.testing.assert_array_equal(augmented(counts_BXT, rotate_horizontals=True), counts_BXT)


def test_half_of_the_windows_are_turned_upside_down(counts_BXT):
    turned_BXT = augmented(counts_BXT, flip_sign=True)
    is_flipped_B = (turned_BXT == -counts_BXT).all(axis=(1, 2))
    assert ((turned_BXT == counts_BXT).all(axis=(1, 2)) ^ is_flipped_B).all()
    assert 160 < is_flipped_B.sum() < 240


def test_one_component_is_dead_in_the_share_that_was_asked_for(counts_BXT):
    is_dead_BX = (augmented(counts_BXT, dead_component_share=0.3) == 0).all(axis=2)
    assert is_dead_BX.sum(axis=1).max() == 1
    assert 90 < is_dead_BX.sum() < 150
    assert is_dead_BX.sum(axis=0).min() > 20


def test_epochs_differ_and_one_augmentation_leaves_the_others_as_they_are(counts_BXT):
    once_BXT, again_BXT = (augmented(counts_BXT, flip_sign=True) for _ in range(2))
    np.testing.assert_array_equal(once_BXT, again_BXT)
    assert (augmented(counts_BXT, epoch=2, flip_sign=True) != once_BXT).any()
    both_BXT = augmented(counts_BXT, flip_sign=True, dead_component_share=0.3)
    is_alive_BX1 = (both_BXT != 0).any(axis=2, keepdims=True)
    np.testing.assert_array_equal(both_BXT, once_BXT * is_alive_BX1)


def gapped(counts_BXT: np.ndarray, around: int = 0, **settings: object) -> tuple[np.ndarray, Onsets]:
    """With an arrival at each sample of each window."""
    config = DataConfig.model_validate({"dataset": "x", **settings})
    num_samples = counts_BXT.shape[2] - 2 * around
    window_K = np.repeat(np.arange(400), num_samples)
    none_K = np.zeros_like(window_K)
    onsets = Onsets(window_K, none_K, none_K, np.tile(np.arange(num_samples), 400), np.ones(len(window_K), bool))
    changed_BXT = counts_BXT.copy()
    return changed_BXT, with_gaps(changed_BXT, onsets, config, around, 0, 1, POSITIONS)


@pytest.mark.parametrize("around", [0, 10])
def test_a_gap_has_zeros_or_the_last_value_and_nobody_hears_an_arrival_in_it(counts_BXT, around):
    changed_BXT, onsets = gapped(counts_BXT, around, gap_share=0.5, gap_length_s=[0.05, 0.2])
    is_gap_BT = (changed_BXT != counts_BXT).any(axis=1)
    length_B = is_gap_BT.sum(axis=1)
    assert 0.4 < (length_B > 0).mean() < 0.6
    assert set(length_B) == {0, *range(5, 21)}
    kinds = {"zero": 0, "held": 0}
    is_heard_BT = onsets.is_heard_K.reshape(400, -1)
    for b in np.flatnonzero(length_B):
        first, end = int(is_gap_BT[b].argmax()), int(is_gap_BT[b].argmax() + length_B[b])
        is_zero = (changed_BXT[b, :, first:end] == 0).all()
        assert is_zero or (changed_BXT[b, :, first:end] == counts_BXT[b, :, first - 1 : first]).all()
        kinds["zero" if is_zero else "held"] += 1
        assert np.flatnonzero(~is_heard_BT[b]).tolist() == list(range(first - around, end - around))
    assert min(kinds.values()) > 60
    assert is_heard_BT[length_B == 0].all()


def test_a_gap_may_not_be_longer_than_its_window(counts_BXT):
    changed_BXT, _ = gapped(counts_BXT, gap_share=1.0, gap_length_s=[5, 5])
    np.testing.assert_array_equal(changed_BXT[:, :, 0], counts_BXT[:, :, 0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise_snr_db": [20, 5]}, r"noise_snr_db\n.*\[20,5\]: give the smaller one first"),
        ({"gap_length_s": [0, 5]}, r"gap_length_s\n.*\[0,5\]: both must be above 0"),
        ({"second_event_ratio": [-1, 1]}, r"second_event_ratio\n.*both must be above 0"),
        ({"rate_change": 0.5}, "rate_change"),
        ({"noise_share": 1.5}, "noise_share"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate({"dataset": "x", **settings})
