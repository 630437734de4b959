"""Pointing errors on constructed maps and lesions, exact in mm."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate.pointing import (
    Lesion,
    PointingError,
    peak_mm,
    pointing_error,
    prior_point,
    summarise,
    uniform_point,
)
from training.geometry import Geometry, ReceptiveField, place_cells

IMAGE = Geometry.canonical((30, 64, 64), (3.0, 2.0, 2.0), (10.0, -20.0, 300.0))


def _box(start: tuple[int, int, int], stop: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(IMAGE.shape, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


def _map_geometry() -> Geometry:
    fields = (ReceptiveField(3, 3.0, 1.0), ReceptiveField(27, 8.0, 3.5), ReceptiveField(27, 8.0, 3.5))
    return place_cells(IMAGE, (10, 8, 8), fields)


def test_peak_is_placed_by_the_receptive_field_in_mm() -> None:
    attention = np.zeros((10, 8, 8))
    attention[4, 2, 5] = 1.0
    attention[9, 7, 7] = -3.0
    row, column, slices = 3.5 + 8 * 2, 3.5 + 8 * 5, 1 + 3 * 4
    expected = IMAGE.to_world((slices, row, column))
    np.testing.assert_allclose(peak_mm(attention, _map_geometry()), expected)
    np.testing.assert_allclose(expected, (10 + 2 * column, -20 + 2 * row, 300 - 3 * slices))


def test_error_to_a_planted_lesion_is_exact() -> None:
    attention = np.zeros((10, 8, 8))
    attention[4, 2, 5] = 1.0  # slice 13, row 19.5, column 43.5
    lesion = Lesion.from_mask(_box((13, 24, 43), (14, 25, 45)), IMAGE)  # centre: slice 13, row 24, column 43.5
    error = pointing_error(peak_mm(attention, _map_geometry()), [lesion])
    assert error.to_centre_mm == pytest.approx(9.0)
    assert error.to_mask_mm == pytest.approx(8.0)  # the voxel's face is 1 mm before its centre
    assert lesion.length_mm == pytest.approx(4.0)
    assert error.error_mm == error.to_centre_mm  # compact: the centre counts
    assert not error.hit


def test_a_point_inside_the_mask_is_a_hit_whatever_the_centre() -> None:
    long = Lesion.from_mask(_box((0, 10, 10), (30, 11, 11)), IMAGE)
    error = pointing_error(IMAGE.to_world((0, 10, 10)), [long])
    assert error.hit
    assert error.to_centre_mm == pytest.approx(14.5 * 3)
    assert long.length_mm == pytest.approx(90.0)
    assert error.error_mm == 0.0  # long: the mask counts


def test_the_nearest_lesion_counts_for_each_distance_on_its_own() -> None:
    near_face = Lesion.from_mask(_box((0, 0, 0), (30, 20, 20)), IMAGE)
    near_centre = Lesion.from_mask(_box((15, 30, 10), (16, 31, 11)), IMAGE)
    point = IMAGE.to_world((15, 21, 10))
    error = pointing_error(point, [near_face, near_centre])
    assert error.to_mask_mm == pytest.approx(near_face.distance_to_mask(point)) == pytest.approx(3.0)
    assert error.to_centre_mm == pytest.approx(near_centre.distance_to_centre(point)) == pytest.approx(18.0)


def test_distances_hold_on_an_oblique_grid() -> None:
    angle = np.deg2rad(30)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag((2.0, 4.0, 6.0))
    grid = Geometry((5, 5, 5), affine)
    mask = np.zeros(grid.shape, dtype=bool)
    mask[2, 2, 2] = True
    lesion = Lesion.from_mask(mask, grid)
    assert lesion.distance_to_mask(grid.to_world((4, 2, 2))) == pytest.approx(3.0)
    assert lesion.distance_to_mask(grid.to_world((2, 2, 4))) == pytest.approx(9.0)
    assert lesion.distance_to_mask(grid.to_world((4, 2, 4))) == pytest.approx(np.hypot(3.0, 9.0))


def test_given_centre_replaces_the_centre_of_mass() -> None:
    lesion = Lesion.from_mask(_box((5, 5, 5), (6, 6, 6)), IMAGE, centre_mm=(1.0, 2.0, 3.0))
    assert lesion.distance_to_centre((1.0, 2.0, 7.0)) == 4.0


def test_summary_by_hand() -> None:
    summary = summarise([PointingError(10, 10, 0), PointingError(20, 30, 20), PointingError(40, 50, 40)])
    assert summary is not None
    assert summary.to_dict() == {
        "n": 3,
        "median_mm": 20.0,
        "median_to_centre_mm": 30.0,
        "median_to_mask_mm": 20.0,
        "hit_rate": 0.333,
        "within_25_mm": 0.667,
    }
    assert summarise([]) is None


def test_baselines_stand_where_they_should() -> None:
    geometry = _map_geometry()
    points = np.array([uniform_point(geometry, (7, i)) for i in range(400)])
    index = geometry.to_index(points)
    np.testing.assert_allclose(index, np.rint(index), atol=1e-6)
    assert (index > -0.5).all()
    assert (index < np.array(geometry.shape) - 0.5).all()
    np.testing.assert_allclose(index.mean(axis=0), (np.array(geometry.shape) - 1) / 2, atol=0.5)
    np.testing.assert_allclose(uniform_point(geometry, (7, 3)), points[3])
    np.testing.assert_allclose(prior_point([[0, 0, 2], [2, 4, 0]], (10, 20, 30)), (11, 22, 31))


@pytest.mark.parametrize(
    ("attention", "fact"), [(np.zeros((2, 2, 2)), "shape"), (np.full((10, 8, 8), np.nan), "finite")]
)
def test_maps_that_cannot_be_placed_are_refused(attention: np.ndarray, fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        peak_mm(attention, _map_geometry())


@pytest.mark.parametrize(("shape", "fact"), [(IMAGE.shape, "empty"), ((2, 2, 2), "shape")])
def test_masks_that_are_no_lesion_are_refused(shape: tuple[int, int, int], fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        Lesion.from_mask(np.zeros(shape, dtype=bool), IMAGE)


def test_an_absent_label_cannot_be_pointed_to() -> None:
    with pytest.raises(ValueError, match="no lesion"):
        pointing_error((0, 0, 0), [])
