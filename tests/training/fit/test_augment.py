"""Variation of training CTs: what moves, what is filled in, and that a draw can be repeated."""

from __future__ import annotations

import numpy as np
import pytest

from training.fit.augment import augmented, shifted
from training.fit.config import AugmentSettings


@pytest.fixture
def hu() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, (6, 8, 8)).astype(np.int16)


def test_shift_moves_towards_higher_indices_and_fills_with_air(hu: np.ndarray) -> None:
    moved = shifted(hu, np.array([1, -2, 0]))
    np.testing.assert_array_equal(moved[1:, :-2], hu[:-1, 2:])
    assert (moved[0] == -1000).all()
    assert (moved[:, -2:] == -1000).all()


def test_nothing_asked_nothing_changed(hu: np.ndarray) -> None:
    np.testing.assert_array_equal(augmented(hu, AugmentSettings(), np.random.default_rng(0)), hu)


def test_flips_and_turns_keep_the_values_and_reach_every_axis(hu: np.ndarray) -> None:
    flips = AugmentSettings(flip_probability=1.0)
    found = {augmented(hu, flips, np.random.default_rng(i)).tobytes() for i in range(30)}
    assert found == {np.flip(hu, axis).tobytes() for axis in range(3)}
    turns = AugmentSettings(rotate_probability=1.0)
    found = {augmented(hu, turns, np.random.default_rng(i)).tobytes() for i in range(30)}
    assert found == {np.rot90(hu, k, (1, 2)).tobytes() for k in (1, 2, 3)}


def test_hu_changes_have_the_asked_size_and_repeat_by_seed() -> None:
    flat = np.zeros((20, 40, 40), dtype=np.int16)
    settings = AugmentSettings(hu_shift=50.0, hu_noise=20.0)
    offsets, sigmas = [], []
    for seed in range(60):
        varied = augmented(flat, settings, np.random.default_rng(seed))
        offsets.append(varied.mean())
        sigmas.append(varied.std())
    np.testing.assert_array_equal(varied, augmented(flat, settings, np.random.default_rng(59)))
    assert varied.dtype == np.int16
    assert 35 < np.abs(offsets).max() <= 50.5
    assert 15 < max(sigmas) <= 20.5
