from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from hirescam_napari._layers import (
    VOLUME_KEY,
    canonical_grid,
    ct_layer,
    map_layer,
    picture_of,
    placement_mm,
    to_display,
    to_lps,
)
from training.explain.result import Explanation
from training.geometry import Geometry
from training.volume import Volume


def oblique(degrees: float, shape: tuple[int, int, int] = (12, 20, 16)) -> Geometry:
    """A canonical grid turned about the head-feet axis."""
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Geometry(shape, turn @ Geometry.canonical(shape, (3.0, 2.0, 1.0), (10, -20, 30)).affine)


def test_the_viewers_world_is_head_to_feet_front_to_back_right_to_left() -> None:
    assert to_display((1.0, 2.0, 3.0)).tolist() == [-3.0, 2.0, 1.0]
    assert to_lps(to_display((4.0, 5.0, 6.0))).tolist() == [4.0, 5.0, 6.0]


def test_napari_puts_every_voxel_where_the_affine_says(volume: Volume) -> None:
    data, meta, _ = ct_layer(volume)
    layer = Image(data, **meta)
    for index in ((0, 0, 0), (3, 10, 20), tuple(n - 1 for n in volume.hu.shape)):
        assert to_lps(layer.data_to_world(index)) == pytest.approx(volume.geometry.to_world(index))


def test_a_ct_keeps_its_own_pixels_and_has_limits(volume: Volume) -> None:
    data, meta, kind = ct_layer(volume, window="mediastinum")
    assert data is volume.hu
    assert (kind, meta["contrast_limits"], meta["units"]) == ("image", (-125, 225), ("mm",) * 3)
    assert meta["metadata"][VOLUME_KEY] is volume


def test_monochrome1_is_shown_inverted(volume: Volume) -> None:
    inverted = Volume(volume.hu, volume.geometry, inverted_display=True)
    assert ct_layer(inverted)[1]["colormap"] == "gray_r"
    assert ct_layer(volume)[1]["colormap"] == "gray"


@pytest.mark.parametrize("placement", ["receptive_field", "stretch"])
def test_a_map_stays_low_resolution_and_stands_where_its_cells_stand(explanation: Explanation, placement: str) -> None:
    data, meta, _ = map_layer(explanation, explanation.labels[0], "hirescam", placement)  # type: ignore[arg-type]
    layer, geometry = Image(data, **meta), explanation.geometry("hirescam", placement)  # type: ignore[arg-type]
    assert layer.data.shape == explanation.cells.n_cells
    assert to_lps(layer.data_to_world((4, 2, 5))) == pytest.approx(geometry.to_world((4, 2, 5)))
    assert np.array_equal(layer.data, explanation.map(explanation.labels[0]))


def test_oblique_geometries_are_not_placed_as_they_are() -> None:
    with pytest.raises(ValueError, match="not canonical"):
        placement_mm(oblique(10))


def test_an_oblique_ct_is_resampled_for_display_and_keeps_its_affine() -> None:
    geometry = oblique(20)
    index = np.indices(geometry.shape).reshape(3, -1).T
    field = geometry.to_world(index) @ [3.0, 2.0, 5.0]
    volume = Volume(np.rint(field).reshape(geometry.shape).astype(np.int16), geometry)
    picture = picture_of(volume)
    assert picture.geometry.is_canonical
    assert not volume.geometry.is_canonical
    middle = geometry.to_world(np.array(geometry.shape) / 2)
    at = tuple(np.rint(picture.geometry.to_index(middle)).astype(int))
    expected = picture.geometry.to_world(at) @ [3.0, 2.0, 5.0]
    assert picture.hu[at] == pytest.approx(expected, abs=3)
    assert picture.hu[0, 0, 0] == -1000


def test_the_canonical_grid_holds_every_corner() -> None:
    geometry = oblique(33)
    grid = canonical_grid(geometry)
    assert grid.is_canonical
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in geometry.shape], indexing="ij"), -1).reshape(-1, 3)
    inside = grid.to_index(geometry.to_world(corners))
    assert inside.min() > -1e-6
    assert (inside <= np.array(grid.shape) - 1 + 1e-6).all()
