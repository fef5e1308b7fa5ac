# B window of a batch, X component (E, N, Z), T time sample

from __future__ import annotations

import numpy as np
import pytest

from trainables.data.augmentations import augment
from trainables.data.config import DataConfig

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
