"""Where cells stand and what they saw, for the three members of the family."""

from __future__ import annotations

import numpy as np
import pytest

from training.explain import placement
from training.geometry import CellLayout, Geometry, ReceptiveField

TRUE = [128, 160, 192, 224, 256, 288]
STRETCHED = [34.5, 104.5, 174.5, 244.5, 314.5, 384.5]


def column_px(explanation, how):
    """Column positions of the cells in px of the model input, through the affines."""
    geometry = explanation.geometry(placement=how)
    world = geometry.to_world([[0, 0, j] for j in range(geometry.shape[2])])
    return explanation.input_geometry.to_index(world)[:, 2]


def test_cells_stand_where_arithmetic_says(explanation_factory):
    e = explanation_factory(n_groups=5)
    assert np.allclose(column_px(e, "receptive_field"), TRUE, rtol=0, atol=1e-9)
    assert np.allclose(column_px(e, "stretch"), STRETCHED, rtol=0, atol=1e-9)


@pytest.mark.parametrize("how", placement.PLACEMENTS)
def test_slice_groups_stand_at_their_middle_slice(explanation_factory, how):
    e = explanation_factory(n_groups=5)
    world = e.geometry(placement=how).to_world([[h, 0, 0] for h in range(5)])
    assert np.allclose(e.input_geometry.to_index(world)[:, 0], [1, 4, 7, 10, 13], rtol=0, atol=1e-9)


def test_no_such_placement(explanation_factory):
    with pytest.raises(ValueError, match="receptive_field, stretch"):
        explanation_factory(n_groups=2).geometry(placement="centre")


def test_sizes_in_px_and_mm(explanation_factory):
    e = explanation_factory(n_groups=2)
    assert e.receptive_field_px == (3, 691, 691)
    assert e.receptive_field_mm == pytest.approx((2.4, 552.8, 552.8))


def test_words_where_the_field_covers_the_slice(explanation_factory):
    e = explanation_factory(n_groups=2)
    assert e.field_covers_slice
    assert e.where_words == (
        "Each cell of this map could see the whole slice: "
        "the map can tell which slices carried the evidence, not where in the slice."
    )


def test_words_where_corner_cells_see_most_of_the_slice(explanation_factory):
    e = explanation_factory(n_groups=2, cells=(14, 14), architecture="axialnet-same")
    assert e.field_covers_slice
    # the corner cell is centred on px 0 and sees px 0 .. 345 of 420 along each axis
    assert placement.smallest_view(e.input_geometry, e.cells) == pytest.approx((346 / 420) ** 2, abs=1e-9)
    assert "or most of it (never less than 68%)" in e.where_words
    assert e.where_words.endswith("not where in the slice.")


def test_words_where_the_field_is_a_box(explanation_factory):
    e = explanation_factory(n_groups=2, cells=(53, 53), architecture="axialnet-local")
    assert not e.field_covers_slice
    assert e.where_words == "Each cell saw a box of 79 x 79 mm."


def test_box_of_a_cell(explanation_factory):
    e = explanation_factory(n_groups=4, cells=(53, 53), architecture="axialnet-local")
    box = e.cell_box((2, 20, 30))
    assert box.low_px == (5.5, 160 - 49.5, 240 - 49.5)
    assert box.high_px == (8.5, 160 + 49.5, 240 + 49.5)
    assert not box.is_cut
    assert np.allclose(e.input_geometry.to_index(box.centre_mm), [7, 160, 240], rtol=0, atol=1e-9)
    assert np.allclose(np.ptp(box.corners_mm, axis=0), [79.2, 79.2, 2.4])
    assert np.allclose(e.input_geometry.to_index(box.corners_mm[0b100]), [8.5, 110.5, 190.5])


def test_box_is_cut_to_the_input(explanation_factory):
    box = explanation_factory(n_groups=4).cell_box((0, 0, 0))
    assert box.is_cut
    assert box.low_px == (-0.5, -0.5, -0.5)
    assert box.high_px == (2.5, 419.5, 419.5)
    assert box.full_low_px[1:] == (128 - 345.5, 128 - 345.5)


@pytest.mark.parametrize("cell", [(4, 0, 0), (0, 6, 0), (0, 0, -1)])
def test_no_such_cell(explanation_factory, cell):
    with pytest.raises(IndexError, match="no cell"):
        explanation_factory(n_groups=4).cell_box(cell)


@pytest.mark.parametrize("how", placement.PLACEMENTS)
def test_every_cell_is_found_at_its_own_centre(explanation_factory, how):
    e = explanation_factory(n_groups=3)
    geometry = e.geometry(placement=how)
    for cell in np.ndindex(geometry.shape):
        assert e.cell_at(geometry.to_world(cell), placement=how) == cell


def test_outside_the_map_there_is_no_cell(explanation_factory):
    e = explanation_factory(n_groups=3)
    at = e.input_geometry.to_world
    assert e.cell_at(at([1, 20, 20])) is None  # the paper's unpadded head has no cell there
    assert e.cell_at(at([1, 20, 20]), placement="stretch") == (0, 0, 0)
    assert e.cell_at(at([1, 112.5, 303.5])) == (0, 0, 5)
    assert e.cell_at(at([1, 111.5, 303.5])) is None
    assert e.cell_at(at([-2, 200, 200])) is None


def test_oblique_input_keeps_cells_on_its_own_axes():
    turn = np.eye(4)
    turn[:3, :3] = [[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]
    image = Geometry((6, 40, 40), turn @ Geometry.canonical((6, 40, 40), (1, 1, 1)).affine)
    cells = CellLayout((2, 4, 4), (ReceptiveField(3, 3.0, 1.0), *(2 * (ReceptiveField(9, 8.0, 4.0),))))
    box = placement.cell_box(image, cells, (1, 2, 1))
    assert np.allclose(image.to_index(box.centre_mm), [4, 20, 12], rtol=0, atol=1e-9)
    assert placement.cell_at(placement.place(image, cells), box.centre_mm) == (1, 2, 1)
