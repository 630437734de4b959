"""Geometry: indices and world, letters, subgrids, and where the cells of a map stand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training.geometry import (
    CANONICAL_DIRECTION,
    Geometry,
    Layer,
    output_size,
    place_cells,
    receptive_field,
    stretched,
)

RESNET18 = [Layer(7, 2, 3), Layer(3, 2, 1)] + [Layer(3, 1, 1)] * 4 + ([Layer(3, 2, 1)] + [Layer(3, 1, 1)] * 3) * 3
AXIALNET = RESNET18 + [Layer(3)] * 4


def rotation(axis: int, degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    out = np.eye(3)
    out[i, i] = out[j, j] = np.cos(a)
    out[i, j], out[j, i] = -np.sin(a), np.sin(a)
    return out


def turned(degrees: tuple[float, float, float], spacing: tuple[float, float, float] = (2.5, 0.7, 0.8)) -> Geometry:
    affine = np.eye(4)
    turn = rotation(0, degrees[0]) @ rotation(1, degrees[1]) @ rotation(2, degrees[2])
    affine[:3, :3] = turn @ CANONICAL_DIRECTION * np.asarray(spacing)
    affine[:3, 3] = (-101.5, 33.25, 1204.0)
    return Geometry((30, 40, 50), affine)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (20, 0, 0), (5, -13, 77), (180, 0, 0), (0, 0, 90)])
def test_world_and_back(degrees: tuple[float, float, float]) -> None:
    geometry = turned(degrees)
    index = np.random.default_rng(0).uniform(-20, 60, (4, 7, 3))
    world = geometry.to_world(index)
    assert world.shape == index.shape
    np.testing.assert_allclose(geometry.to_index(world), index, atol=1e-9)
    np.testing.assert_allclose(geometry.to_world((0, 0, 0)), (-101.5, 33.25, 1204.0))
    one_step = geometry.to_world(index + np.array((0, 1, 0))) - world
    np.testing.assert_allclose(np.linalg.norm(one_step, axis=-1), 0.7)


def test_canonical_axes_run_head_to_feet_front_to_back_right_to_left() -> None:
    geometry = Geometry.canonical((3, 4, 5), (2.5, 0.7, 0.8), (10, 20, 30))
    np.testing.assert_allclose(geometry.to_world((1, 0, 0)), (10, 20, 27.5))
    np.testing.assert_allclose(geometry.to_world((0, 1, 0)), (10, 20.7, 30))
    np.testing.assert_allclose(geometry.to_world((0, 0, 1)), (10.8, 20, 30))
    assert geometry.axis_letters() == (("H", "F"), ("A", "P"), ("R", "L"))
    assert geometry.is_canonical
    assert geometry.is_axis_aligned
    assert geometry.spacing_mm == pytest.approx((2.5, 0.7, 0.8))
    assert geometry.voxel_mm3 == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("degrees", "letters"),
    [
        ((0, 0, 180), (("H", "F"), ("P", "A"), ("L", "R"))),  # prone: turned about the body's long axis
        ((180, 0, 0), (("F", "H"), ("P", "A"), ("R", "L"))),
        ((0, 180, 0), (("F", "H"), ("A", "P"), ("L", "R"))),  # feet first, on the back
        ((0, 0, 90), (("H", "F"), ("L", "R"), ("A", "P"))),  # decubitus
        ((20, 10, -15), (("H", "F"), ("A", "P"), ("R", "L"))),
    ],
)
def test_letters_follow_the_affine(degrees: tuple[float, float, float], letters: tuple[tuple[str, str], ...]) -> None:
    geometry = turned(degrees)
    found = geometry.axis_letters()
    for axis, pair in enumerate(found):  # independent of the table above: walk along the axis and look where it leads
        step = np.zeros(3)
        step[axis] = 1
        move = geometry.to_world(step) - geometry.to_world((0, 0, 0))
        largest = int(np.argmax(np.abs(move)))
        assert pair[1] == ("LPH" if move[largest] > 0 else "RAF")[largest]
    assert found == letters
    assert geometry.is_canonical == (degrees == (0, 0, 0))


def test_axis_alignment_has_a_tolerance() -> None:
    assert turned((0.05, 0, 0)).is_axis_aligned
    assert turned((0.05, 0, 0)).is_canonical
    assert not turned((0.1, 0, 0)).is_axis_aligned
    assert not turned((0, 1, 0)).is_canonical


@pytest.mark.parametrize(
    ("start", "step"),
    [((2, 3, 4), (1, 1, 1)), ((-5, 0, -7), (1, 1, 1)), ((0, 0, 0), (3, 2, 4)), ((1, 0.5, 1.5), (3, 1, 4))],
)
def test_subgrid_places_voxels_where_they_were(start: tuple[float, ...], step: tuple[float, ...]) -> None:
    whole = turned((5, -13, 77))
    part = whole.subgrid(start, step, (4, 5, 6))
    index = np.random.default_rng(1).integers(0, 5, (10, 3))
    np.testing.assert_allclose(part.to_world(index), whole.to_world(np.asarray(start) + index * np.asarray(step)))
    assert part.shape == (4, 5, 6)


def test_flip_moves_voxels_to_the_mirrored_index_and_back() -> None:
    whole = turned((5, -13, 77))
    flipped = whole.subgrid((0, 0, 49), (1, 1, -1), whole.shape)
    np.testing.assert_allclose(flipped.to_world((3, 4, 0)), whole.to_world((3, 4, 49)))
    assert flipped.axis_letters()[2] == whole.axis_letters()[2][::-1]
    assert flipped.subgrid((0, 0, 49), (1, 1, -1), whole.shape).allclose(whole)
    assert not flipped.allclose(whole)


def test_resampled_grid_keeps_the_first_voxel_and_the_field_of_view() -> None:
    grid = turned((0, 0, 0)).resampled((0.8, 0.8, 0.8))
    assert grid.shape == (94, 35, 50)  # 30 * 2.5 / 0.8 = 93.75, 40 * 0.7 / 0.8 = 35, 50
    np.testing.assert_allclose(grid.spacing_mm, 0.8)
    np.testing.assert_allclose(grid.origin_mm, turned((0, 0, 0)).origin_mm)
    assert turned((0, 0, 0)).resampled((900, 900, 900)).shape == (1, 1, 1)


def test_json_round_trip() -> None:
    geometry = turned((5, -13, 77))
    again = Geometry.from_dict(json.loads(json.dumps(geometry.to_dict())))
    assert again.shape == geometry.shape
    np.testing.assert_array_equal(again.affine, geometry.affine)


@pytest.mark.parametrize("affine", [np.eye(3), np.full((4, 4), np.nan), np.diag([1.0, 0.0, 1.0, 1.0])])
def test_impossible_affines_are_refused(affine: np.ndarray) -> None:
    with pytest.raises(ValueError, match="affine"):
        Geometry((1, 1, 1), affine)


def test_affine_cannot_be_changed_behind_its_back() -> None:
    affine = np.eye(4)
    geometry = Geometry((2, 2, 2), affine)
    affine[0, 0] = 5
    assert geometry.affine[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine[0, 0] = 2


def test_allclose_looks_at_corners_and_shape() -> None:
    geometry = turned((0, 0, 0))
    nudged = Geometry.canonical((30, 40, 50), (2.5, 0.7, 0.8001), geometry.origin_mm)
    assert not nudged.allclose(geometry)  # 50 * 0.0001 mm at the far corner
    assert nudged.allclose(geometry, atol_mm=0.01)
    assert not geometry.allclose(geometry.subgrid((0, 0, 0), (1, 1, 1), (30, 40, 49)))


def test_resnet18_cells_stand_at_every_32nd_pixel() -> None:
    field = receptive_field(RESNET18)
    assert (field.size_px, field.jump_px, field.start_px) == (435, 32, 0)
    assert output_size(420, RESNET18) == 14
    assert field.centres(14).tolist() == list(range(0, 417, 32))


def test_axialnet_cells_stand_in_the_middle_and_see_more_than_the_slice() -> None:
    field = receptive_field(AXIALNET)
    assert output_size(420, AXIALNET) == 6
    assert field.centres(6).tolist() == [128, 160, 192, 224, 256, 288]
    assert field.size_px == 691
    assert field.box(0) == (128 - 345.5, 128 + 345.5)
    assert field.box(5)[1] > 419.5


def test_the_papers_stretch_draws_them_elsewhere() -> None:
    drawn = stretched(6, 420).centres(6)
    assert drawn.tolist() == [34.5, 104.5, 174.5, 244.5, 314.5, 384.5]
    error = drawn - receptive_field(AXIALNET).centres(6)
    assert error.tolist() == [-93.5, -55.5, -17.5, 20.5, 58.5, 96.5]


@pytest.mark.parametrize(
    ("layers", "n", "cells", "first", "jump"),
    [
        ([Layer(3, 3)], 405, 135, 1, 3),  # slice groups
        ([Layer(3, 3)] * 4, 420, 5, 40, 81),  # 3DConv
        ([*RESNET18, Layer(3, 1), Layer(3, 1), Layer(2, 2)], 420, 5, 80, 64),  # BodyConv
        ([Layer(1)], 7, 7, 0, 1),
        ([Layer(5)], 4, 0, 2, 1),
    ],
)
def test_other_networks(layers: list[Layer], n: int, cells: int, first: float, jump: float) -> None:
    field = receptive_field(layers)
    assert (output_size(n, layers), field.start_px, field.jump_px) == (cells, first, jump)


def test_receptive_field_agrees_with_walking_back_from_a_cell() -> None:
    """Independent check: the lowest and highest input index of cell i, layer by layer from the end."""
    for layers in (RESNET18, AXIALNET, [Layer(5, 2, 1), Layer(4, 3, 2), Layer(3)]):
        field = receptive_field(layers)
        for cell in (0, 3):
            low = high = cell
            for kernel, stride, padding in reversed(layers):
                low, high = low * stride - padding, high * stride - padding + kernel - 1
            assert field.box(cell) == (low - 0.5, high + 0.5)


def test_placed_cells_go_there_and_back() -> None:
    image = turned((5, -13, 77)).subgrid((-10, -20, 5), (1, 1, 1), (405, 420, 420))
    fields = (receptive_field([Layer(3, 3)]), receptive_field(AXIALNET), receptive_field(AXIALNET))
    cells = place_cells(image, (135, 6, 6), fields)
    assert cells.shape == (135, 6, 6)
    np.testing.assert_allclose(image.to_index(cells.to_world((0, 0, 0))), (1, 128, 128))
    np.testing.assert_allclose(image.to_index(cells.to_world((134, 5, 2))), (403, 288, 192))
    np.testing.assert_allclose(cells.to_index(image.to_world((1, 160, 256))), (0, 1, 4), atol=1e-9)
    np.testing.assert_allclose(np.asarray(cells.spacing_mm) / np.asarray(image.spacing_mm), (3, 32, 32))


def test_stretched_cells_fill_the_image_edge_to_edge() -> None:
    image = Geometry.canonical((405, 420, 420), (0.8, 0.8, 0.8))
    cells = place_cells(image, (135, 6, 6), (stretched(135, 405), stretched(6, 420), stretched(6, 420)))
    np.testing.assert_allclose(image.to_index(cells.to_world((-0.5, -0.5, -0.5))), (-0.5, -0.5, -0.5), atol=1e-9)
    np.testing.assert_allclose(image.to_index(cells.to_world((134.5, 5.5, 5.5))), (404.5, 419.5, 419.5))


def test_repr_shows_shape_spacing_and_orientation() -> None:
    text = repr(Geometry.canonical((3, 4, 5), (2.5, 0.7, 0.8)))
    assert text == "Geometry((3, 4, 5), 2.5 x 0.7 x 0.8 mm, H>F A>P R>L)"
