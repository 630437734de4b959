"""Organ masks at map grids: sampling, placement, sides, policies, flips and rotations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.geometry import CellLayout, Geometry, Layer, ReceptiveField, receptive_field
from training.partition.allowed import (
    DOWNSAMPLING,
    RegionSettings,
    allowed_regions,
    box_weights,
    cell_values,
    organ_cells,
    region_of,
)
from training.partition.grids import nearest_labels
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG, Organs, QualityControl, heuristic_masks

IMAGE = Geometry.canonical((12, 24, 24), (2.0, 1.5, 1.5), (-10.0, -20.0, 30.0))
FIELD = ReceptiveField(4, 4.0, 1.5)
CELLS = CellLayout((4, 6, 6), (ReceptiveField(3, 3.0, 1.0), FIELD, FIELD))


def _random_mask(seed: int = 0, shape: tuple[int, int, int] = (12, 24, 24)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) > 0.6


def _organs(labels: np.ndarray, geometry: Geometry, heuristic: str | None = None) -> Organs:
    return Organs(labels.astype(np.uint8), geometry, QualityControl(heuristic is None, heuristic=heuristic))


def test_fraction_is_the_mean_over_the_box() -> None:
    mask = _random_mask()
    expected = mask.reshape(4, 3, 6, 4, 6, 4).mean(axis=(1, 3, 5))
    found = cell_values(mask, IMAGE, CELLS, RegionSettings(downsampling="fraction"))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    area = cell_values(mask, IMAGE, CELLS, RegionSettings(downsampling="area"))
    np.testing.assert_array_equal(area, expected >= 0.5 - 1e-6)
    some = cell_values(mask, IMAGE, CELLS, RegionSettings(downsampling="any"))
    np.testing.assert_array_equal(some, expected > 0)


def test_nearest_is_the_voxel_at_the_cells_centre() -> None:
    mask = _random_mask()
    field = ReceptiveField(5, 4.0, 2.0)
    cells = CellLayout((4, 6, 6), (ReceptiveField(3, 3.0, 1.0), field, field))
    found = cell_values(mask, IMAGE, cells, RegionSettings())
    np.testing.assert_array_equal(found, mask[1::3, 2::4, 2::4])


def test_the_authors_sample_the_lower_corner_of_the_drawn_cell() -> None:
    mask = np.zeros((6, 420, 420), dtype=bool)
    mask[0, 70, 140] = True
    image = Geometry.canonical(mask.shape, (0.8, 0.8, 0.8))
    axis = receptive_field([Layer(7, 2, 3)])
    cells = CellLayout((2, 6, 6), (ReceptiveField(3, 3.0, 1.0), axis, axis))
    found = cell_values(mask, image, cells, RegionSettings(placement="stretch", downsampling="authors"))
    assert np.argwhere(found).tolist() == [[0, 1, 2]]
    with pytest.raises(ValueError, match="stretched"):
        RegionSettings(downsampling="authors")


def test_trilinear_sees_the_eight_neighbours_of_the_centre() -> None:
    mask = np.zeros((12, 24, 24), dtype=bool)
    mask[1, 1, 2] = True
    found = cell_values(mask, IMAGE, CELLS, RegionSettings(downsampling="trilinear"))
    assert np.argwhere(found).tolist() == [[0, 0, 0]]


def test_dilation_grows_by_one_cell() -> None:
    mask = np.zeros((12, 24, 24), dtype=bool)
    mask[3:6, 8:12, 8:12] = True
    found = cell_values(mask, IMAGE, CELLS, RegionSettings(downsampling="any", dilation=True))
    assert np.argwhere(found).min(axis=0).tolist() == [0, 1, 1]
    assert np.argwhere(found).max(axis=0).tolist() == [2, 3, 3]


@pytest.mark.parametrize("downsampling", [d for d in DOWNSAMPLING if d != "authors"])
@pytest.mark.parametrize("odd", [False, True])
def test_flips_and_rotations_of_scan_and_region_commute(downsampling: str, odd: bool) -> None:
    n = 7 if odd else 6
    image = Geometry.canonical((12, 20, 20), (2.0, 1.5, 1.5))
    cells = CellLayout((4, n, n), (ReceptiveField(), ReceptiveField(), ReceptiveField()))
    settings = RegionSettings(placement="stretch", downsampling=downsampling)
    mask = _random_mask(3, image.shape)
    region = cell_values(mask, image, cells, settings)
    for axis in range(3):
        flipped = cell_values(np.flip(mask, axis), image, cells, settings)
        np.testing.assert_allclose(flipped, np.flip(region, axis), atol=1e-6)
    for turns in (1, 2, 3):
        turned = cell_values(np.rot90(mask, turns, (1, 2)), image, cells, settings)
        np.testing.assert_allclose(turned, np.rot90(region, turns, (1, 2)), atol=1e-6)


def test_cells_stand_where_the_layers_put_them() -> None:
    axis = ReceptiveField(691, 32.0, 128.0)
    weights = box_weights(axis, 6, 420)
    assert weights.sum(axis=1) == pytest.approx(1.0)
    assert [float(row @ np.arange(420)) for row in weights] == pytest.approx([128, 160, 192, 224, 256, 288])


def test_boxes_outside_the_grid_count_as_empty() -> None:
    weights = box_weights(ReceptiveField(4, 4.0, -0.5), 2, 8)
    assert weights.sum(axis=1) == pytest.approx([0.5, 1.0])


def test_organs_are_laid_on_the_model_grid_by_physical_space() -> None:
    coarse = Geometry.canonical((6, 12, 12), (4.0, 3.0, 3.0), IMAGE.to_world((0.5, 0.5, 0.5)))
    labels = np.zeros(coarse.shape)
    labels[:, :, :6] = RIGHT_LUNG
    labels[:, :, 6:] = LEFT_LUNG
    found = organ_cells(_organs(labels, coarse), IMAGE, CELLS, RegionSettings())
    assert found[RIGHT_LUNG][:, :, :3].all()
    assert not found[RIGHT_LUNG][:, :, 3:].any()
    assert found[LEFT_LUNG][:, :, 3:].all()
    flipped = coarse.subgrid((0, 0, 11), (1, 1, -1), coarse.shape)
    mirrored = organ_cells(_organs(labels[:, :, ::-1], flipped), IMAGE, CELLS, RegionSettings())
    np.testing.assert_array_equal(mirrored[RIGHT_LUNG], found[RIGHT_LUNG])


def test_nearest_labels_agree_with_a_plain_loop_on_an_oblique_grid() -> None:
    rng = np.random.default_rng(1)
    source = Geometry.canonical((5, 6, 7), (3.0, 2.0, 1.5), (1.0, 2.0, 3.0))
    labels = rng.integers(0, 4, source.shape).astype(np.uint8)
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    target = Geometry((4, 5, 6), turn @ source.affine)
    found = nearest_labels(labels, source, target)
    for index in np.ndindex(*target.shape):
        place = np.floor(source.to_index(target.to_world(index)) + 0.5).astype(int)
        inside = ((place >= 0) & (place < source.shape)).all()
        assert found[index] == (labels[tuple(place)] if inside else 0)


def test_nearest_labels_follow_permuted_and_flipped_axes() -> None:
    source = Geometry.canonical((3, 4, 5), (1.0, 1.0, 1.0))
    labels = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    swapped = Geometry((5, 4, 3), source.affine @ np.eye(4)[[2, 1, 0, 3]])
    np.testing.assert_array_equal(nearest_labels(labels, source, swapped), labels.transpose(2, 1, 0))
    shifted = source.subgrid((1, 0, 0), (1, 1, 1), source.shape)
    found = nearest_labels(labels, source, shifted)
    np.testing.assert_array_equal(found[:2], labels[1:])
    assert not found[2].any()


def test_a_failed_segmentation_gives_the_heuristic_mask() -> None:
    organs = _organs(np.zeros(IMAGE.shape), IMAGE, heuristic="paper")
    found = organ_cells(organs, IMAGE, CELLS, RegionSettings())
    assert found[RIGHT_LUNG][:, :, :3].all()
    assert found[LEFT_LUNG][:, :, 3:].all()
    settings = RegionSettings(heuristic="authors")
    authors = organ_cells(None, IMAGE, CELLS, settings)
    assert authors[MEDIASTINUM][0, 0].tolist() == [0, 1, 1, 1, 1, 0]


def test_heuristic_masks_have_the_stated_widths() -> None:
    for variant, width in (("paper", 210), ("authors", 280)):
        assert heuristic_masks((1, 1, 420), variant)[MEDIASTINUM].sum() == width
    with pytest.raises(ValueError, match="heuristic"):
        heuristic_masks((1, 1, 4), "other")


def test_regions_of_labels_and_sides() -> None:
    values = {k: v.astype(np.float32) for k, v in heuristic_masks((2, 3, 4)).items()}
    both = region_of("pneumonia", values)
    assert both.all()
    np.testing.assert_array_equal(region_of("pneumonia", values, frozenset({"left"})), values[LEFT_LUNG])
    np.testing.assert_array_equal(region_of("cardiomegaly", values, frozenset({"left"})), values[MEDIASTINUM])


def test_absent_labels_are_forbidden_or_ignored() -> None:
    values = {k: v.astype(np.float32) for k, v in heuristic_masks((2, 3, 4)).items()}
    labels = ("pneumonia", "cardiomegaly")
    present = {"pneumonia": frozenset({"right"})}
    regions = allowed_regions(values, labels, present, RegionSettings())
    assert regions.considered.tolist() == [True, True]
    assert not regions.allowed[1].any()
    np.testing.assert_array_equal(regions.allowed[0], values[RIGHT_LUNG])
    ignored = allowed_regions(values, labels, present, replace(RegionSettings(), absent="ignored", side="both"))
    assert ignored.considered.tolist() == [True, False]
    assert ignored.allowed[0].all()
