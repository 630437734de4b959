"""Variation of training CTs: what moves, what is filled in, and that a draw can be repeated."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from training.fit.augment import Variation, augmented, case_stream, draw_variation, shifted
from training.fit.settings import AugmentSettings
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.partition.allowed import DOWNSAMPLING, RegionSettings, cell_values

STILL = AugmentSettings(flip_probability=0.0, rotate_probability=0.0)


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
    np.testing.assert_array_equal(vary(hu, STILL, 0), hu)


def test_flips_and_turns_keep_the_values_and_reach_every_axis(hu: np.ndarray) -> None:
    flips = AugmentSettings(1.0, 0.0)
    assert {vary(hu, flips, i).tobytes() for i in range(30)} == {np.flip(hu, axis).tobytes() for axis in range(3)}
    turns = AugmentSettings(0.0, 1.0)
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
    settings = AugmentSettings(0.0, 0.0, hu_shift=50.0, hu_noise=20.0)
    varied = [vary(flat, settings, seed) for seed in range(60)]
    np.testing.assert_array_equal(varied[-1], vary(flat, settings, 59))
    assert varied[0].dtype == np.int16
    assert 35 < max(abs(v.mean()) for v in varied) <= 51
    assert 15 < max(v.std() for v in varied) <= 20.5


def test_the_defaults_are_the_authors() -> None:
    drawn = [draw_variation(AugmentSettings(), case_stream(0, 0, case)) for case in range(4000)]
    for share, expected in (
        (np.mean([one.flip is not None for one in drawn]), 0.5),
        (np.mean([one.turns > 0 for one in drawn]), 0.5),
        (np.mean([one.flip is not None and one.turns > 0 for one in drawn]), 0.25),
        *((np.mean([one.flip == axis for one in drawn]), 1 / 6) for axis in range(3)),
        *((np.mean([one.turns == turns for one in drawn]), 1 / 6) for turns in (1, 2, 3)),
    ):
        assert share == pytest.approx(expected, abs=0.03)


def test_a_flip_comes_before_a_turn_and_a_region_follows_its_voxel() -> None:
    region = np.zeros((6, 4, 4), np.int16)
    region[1, 0, 3] = 1
    settings = AugmentSettings(1.0, 1.0)
    for seed in range(30):
        one = draw_variation(settings, np.random.default_rng(seed))
        expected = np.rot90(np.flip(region, one.flip), one.turns, axes=(1, 2))
        np.testing.assert_array_equal(one.moved(region, 0), expected)
        many = np.stack([region, region * 2])
        np.testing.assert_array_equal(one.moved(many, 0), np.stack([expected, expected * 2]))


def test_slices_that_are_not_square_cannot_be_turned() -> None:
    turned = Variation(None, 3, (0, 0, 0), 0.0, 0.0)
    with pytest.raises(ValueError, match="4 x 6 cannot be turned"):
        turned.moved(np.zeros((2, 4, 6)), 0)


def test_a_case_has_its_own_stream_in_every_epoch() -> None:
    draws = {key: case_stream(*key).random() for key in product((0, 1), repeat=3)}
    assert len(set(draws.values())) == 8
    assert case_stream(1, 0, 1).random() == draws[1, 0, 1]


@pytest.mark.parametrize("downsampling", [d for d in DOWNSAMPLING if d != "authors"])
def test_the_region_of_a_changed_scan_is_the_changed_region(downsampling: str) -> None:
    field = ReceptiveField(4, 4.0, 1.5)
    image, groups = Geometry.canonical((12, 24, 24), (2.0, 1.5, 1.5)), ReceptiveField(3, 3.0, 1.0)
    layout = CellLayout((4, 6, 6), (groups, field, field))
    mask = np.random.default_rng(1).random(image.shape) > 0.6
    settings = RegionSettings("stretch", downsampling)  # type: ignore[arg-type]
    for flip, turns in product((None, 0, 1, 2), range(4)):
        change = Variation(flip, turns, (0, 0, 0), 0.0, 0.0)
        changed = change.moved(cell_values(mask, image, layout, settings), 0)
        np.testing.assert_allclose(cell_values(change.moved(mask, 0), image, layout, settings), changed, atol=1e-6)
