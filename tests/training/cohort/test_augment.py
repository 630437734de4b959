"""Augmentation: one object for scans and regions, undone exactly, drawn per case, and true to where organs lie."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from training.cohort.augment import Augmentation, case_stream
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.partition.allowed import DOWNSAMPLING, RegionSettings, cell_values

ALL = [Augmentation(flip, turns) for flip, turns in product((None, 0, 1, 2), range(4))]
IMAGE = Geometry.canonical((12, 24, 24), (2.0, 1.5, 1.5))
FIELD = ReceptiveField(4, 4.0, 1.5)
CELLS = CellLayout((4, 6, 6), (ReceptiveField(3, 3.0, 1.0), FIELD, FIELD))


def test_flip_then_turn() -> None:
    scan = np.arange(8, dtype=np.int16).reshape(2, 2, 2)
    np.testing.assert_array_equal(Augmentation(0).apply(scan), scan[::-1])
    np.testing.assert_array_equal(Augmentation(2).apply(scan), scan[..., ::-1])
    np.testing.assert_array_equal(Augmentation(None, 1).apply(scan)[0], [[1, 3], [0, 2]])
    np.testing.assert_array_equal(Augmentation(1, 1).apply(scan)[0], [[3, 1], [2, 0]])
    result = Augmentation(1, 3).apply(scan)
    assert result.dtype == np.int16
    assert result.flags.c_contiguous


@pytest.mark.parametrize("change", ALL)
def test_the_inverse_undoes_it(change: Augmentation) -> None:
    scan = np.random.default_rng(0).integers(-1000, 1000, (6, 5, 5), dtype=np.int16)
    np.testing.assert_array_equal(change.inverse().apply(change.apply(scan)), scan)
    np.testing.assert_array_equal(change.apply(change.inverse().apply(scan)), scan)


@pytest.mark.parametrize("change", ALL)
@pytest.mark.parametrize("downsampling", [d for d in DOWNSAMPLING if d != "authors"])
def test_the_region_of_a_changed_scan_is_the_changed_region(change: Augmentation, downsampling: str) -> None:
    mask = np.random.default_rng(1).random(IMAGE.shape) > 0.6
    settings = RegionSettings("stretch", downsampling)  # type: ignore[arg-type]
    of_changed = cell_values(change.apply(mask), IMAGE, CELLS, settings)
    changed = change.apply(np.stack([cell_values(mask, IMAGE, CELLS, settings)]))[0]
    np.testing.assert_allclose(of_changed, changed, atol=1e-6)


@pytest.mark.parametrize("change", ALL)
def test_slice_groups_change_as_the_scan_does(change: Augmentation) -> None:
    scan = np.random.default_rng(2).integers(-1000, 1000, (12, 6, 6), dtype=np.int16)
    means_of_changed = change.apply(scan).reshape(4, 3, 6, 6).mean(axis=1)
    np.testing.assert_allclose(means_of_changed, change.apply(scan.reshape(4, 3, 6, 6).mean(axis=1)))


def test_the_authors_sampling_does_not_follow_flips() -> None:
    mask = np.random.default_rng(1).random(IMAGE.shape) > 0.6
    settings = RegionSettings("stretch", "authors")
    changed = Augmentation(2).apply(cell_values(mask, IMAGE, CELLS, settings))
    assert (cell_values(Augmentation(2).apply(mask), IMAGE, CELLS, settings) != changed).any()


def test_draws_follow_from_seed_epoch_and_case_alone() -> None:
    drawn = [Augmentation.of_case(1, epoch, case) for epoch in range(4) for case in ("a", "b")]
    again = [Augmentation.of_case(1, epoch, case) for epoch in reversed(range(4)) for case in ("b", "a")]
    assert drawn == again[::-1]
    streams = {case_stream(*key).integers(1 << 62) for key in [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b")]}
    assert len(streams) == 4


def test_frequencies_are_the_authors() -> None:
    drawn = [Augmentation.of_case(0, epoch, "case") for epoch in range(4000)]
    flips = np.bincount([4 if d.flip_axis is None else d.flip_axis for d in drawn], minlength=5) / 4000
    turns = np.bincount([d.turns for d in drawn], minlength=4) / 4000
    np.testing.assert_allclose(flips, [1 / 6, 1 / 6, 1 / 6, 0, 1 / 2], atol=0.03)
    np.testing.assert_allclose(turns, [1 / 2, 1 / 6, 1 / 6, 1 / 6], atol=0.03)
    both = np.mean([d.flip_axis is not None and d.turns > 0 for d in drawn])
    assert both == pytest.approx(0.25, abs=0.03)
    assert Augmentation.of_case(0, 0, "case", 0.0, 0.0) == Augmentation()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="6 x 5 cannot be turned"):
        Augmentation(None, 1).apply(np.zeros((3, 6, 5), np.int16))
    np.testing.assert_array_equal(Augmentation(None, 2).apply(np.ones((3, 6, 5))), 1)
    for wrong in ((3, 0), (None, 4), (None, -1)):
        with pytest.raises(ValueError, match="no axis"):
            Augmentation(*wrong)
