"""Variation of training CTs: what moves, what is filled in, and that a draw can be repeated."""

from __future__ import annotations

import numpy as np
import pytest

from training.fit.augment import augmented, draw_variation, shifted
from training.fit.config import AugmentSettings


@pytest.fixture
def hu() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, (6, 8, 8)).astype(np.int16)


def vary(hu: np.ndarray, settings: AugmentSettings, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return augmented(hu, draw_variation(settings, rng), rng)


def test_shift_moves_towards_higher_indices_and_fills(hu: np.ndarray) -> None:
    moved = shifted(hu, (1, -2, 0), -1000)
    np.testing.assert_array_equal(moved[1:, :-2], hu[:-1, 2:])
    assert (moved[0] == -1000).all()
    assert (moved[:, -2:] == -1000).all()


def test_nothing_asked_nothing_changed(hu: np.ndarray) -> None:
    np.testing.assert_array_equal(vary(hu, AugmentSettings(), 0), hu)


def test_flips_and_turns_keep_the_values_and_reach_every_axis(hu: np.ndarray) -> None:
    flips = AugmentSettings(flip_probability=1.0)
    assert {vary(hu, flips, i).tobytes() for i in range(30)} == {np.flip(hu, axis).tobytes() for axis in range(3)}
    turns = AugmentSettings(rotate_probability=1.0)
    assert {vary(hu, turns, i).tobytes() for i in range(30)} == {np.rot90(hu, k, (1, 2)).tobytes() for k in (1, 2, 3)}


def test_shifts_are_multiples_of_the_step_within_the_limits() -> None:
    settings = AugmentSettings(shift_px=(3, 17, 0), shift_step_px=(3, 8, 1))
    drawn = {draw_variation(settings, np.random.default_rng(i)).shift_px for i in range(300)}
    assert drawn == {(s, r, 0) for s in (-3, 0, 3) for r in (-16, -8, 0, 8, 16)}


def test_what_lies_on_the_grid_moves_with_the_ct() -> None:
    places = np.random.default_rng(1).integers(0, 2, (2, 4, 6, 6)).astype(np.uint8)
    hu = np.repeat(np.repeat(np.repeat(places[0], 3, 0), 8, 1), 8, 2).astype(np.int16)
    settings = AugmentSettings(1.0, 1.0, (3, 8, 16), (3, 8, 8))
    for seed in range(20):
        variation = draw_variation(settings, np.random.default_rng(seed))
        moved = variation.moved(places, 0, (3, 8, 8))
        inside = augmented(hu, variation, np.random.default_rng(0)) == 1
        np.testing.assert_array_equal(inside[1::3, 4::8, 4::8], moved[0] == 1)


def test_hu_changes_have_the_asked_size_and_repeat_by_seed() -> None:
    flat = np.zeros((20, 40, 40), dtype=np.int16)
    settings = AugmentSettings(hu_shift=50.0, hu_noise=20.0)
    varied = [vary(flat, settings, seed) for seed in range(60)]
    np.testing.assert_array_equal(varied[-1], vary(flat, settings, 59))
    assert varied[0].dtype == np.int16
    assert 35 < max(abs(v.mean()) for v in varied) <= 51
    assert 15 < max(v.std() for v in varied) <= 20.5
