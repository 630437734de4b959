"""Lesions from tables and masks, and what maps are worth on them, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.evaluate.baselines import CENTRE, PRIOR, RANDOM_WEIGHTS, UNIFORM, centre_map, with_baselines
from training.evaluate.lesion_table import read_lesions
from training.evaluate.lesions import (
    MEASURES,
    Extent,
    LesionCase,
    ball,
    covered,
    diameter_mm,
    lesion_tables,
    lesions_from_bits,
    measure_map,
    measure_uniform,
    relative_centres,
)
from training.evaluate.pointing import Lesion
from training.geometry import Geometry
from training.issues import InputError

IMAGE = Geometry.canonical((16, 32, 32), (2.0, 1.0, 1.0), (0.0, 0.0, 100.0))
CELLS = IMAGE.subgrid((1.5, 3.5, 3.5), (4.0, 8.0, 8.0), (4, 4, 4))  # boxes of 4 x 8 x 8 voxels that fill the image


def _box(start: tuple[int, int, int], stop: tuple[int, int, int]) -> Lesion:
    mask = np.zeros(IMAGE.shape, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return Lesion.from_mask(mask, IMAGE)


def test_share_of_cells_by_hand() -> None:
    # slices 2..5 reach two cells of four slices, rows 0..7 fill one cell, columns 6..9 a quarter of two
    shares = covered(CELLS, [_box((2, 0, 6), (6, 8, 10))])
    expected = np.zeros((4, 4, 4))
    expected[0:2, 0, 0:2] = 0.5 * 1.0 * 0.25
    np.testing.assert_allclose(shares, expected, atol=1e-12)


def test_shares_add_up_to_the_lesions_volume_on_any_parallel_grid() -> None:
    lesion = _box((3, 5, 9), (11, 20, 22))
    for cells in (CELLS, IMAGE.subgrid((0.7, 1.2, 0.1), (1.3, 2.9, 3.7), (12, 11, 9)), IMAGE):
        volume = covered(cells, [lesion]).sum() * cells.voxel_mm3
        assert volume == pytest.approx(8 * 15 * 13 * 2.0)
    flipped = CELLS.subgrid((3, 3, 3), (-1, -1, -1), (4, 4, 4))
    np.testing.assert_allclose(covered(flipped, [lesion]), covered(CELLS, [lesion])[::-1, ::-1, ::-1], atol=1e-12)


def test_permuted_axes_are_parallel_too() -> None:
    lesion = _box((2, 0, 6), (6, 8, 10))
    permuted = Geometry((4, 4, 4), CELLS.affine[:, [2, 0, 1, 3]])
    np.testing.assert_allclose(covered(permuted, [lesion]), np.moveaxis(covered(CELLS, [lesion]), 2, 0), atol=1e-12)


def test_oblique_grids_use_points_that_agree_with_the_exact_shares() -> None:
    lesion = _box((2, 3, 6), (6, 14, 15))
    angle = 2e-6  # too much to count as parallel, too little to matter
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = Geometry(CELLS.shape, turn @ CELLS.affine)
    np.testing.assert_allclose(covered(oblique, [lesion]), covered(CELLS, [lesion]), atol=0.02)


def test_overlapping_lesions_never_cover_more_than_all() -> None:
    whole = _box((0, 0, 0), (16, 32, 32))
    np.testing.assert_allclose(covered(CELLS, [whole, whole]), 1.0)


def test_ball_has_its_diameter_volume_and_centre() -> None:
    lesion = ball((1.0, -2.0, 3.0), 12.0)
    np.testing.assert_allclose(lesion.voxels_mm.mean(axis=0), (1, -2, 3), atol=1e-9)
    assert diameter_mm([lesion]) == pytest.approx(12.0, rel=0.02)
    assert lesion.length_mm == pytest.approx(12.0)
    assert lesion.distance_to_mask((1 + 10.0, -2, 3)) == pytest.approx(4.0, abs=0.3)
    assert lesion.distance_to_mask((1 + 5.5, -2, 3)) == 0.0


@pytest.mark.parametrize(("centre", "diameter"), [((0, 0, np.nan), 3), ((0, 0, 0), 0), ((0, 0, 0), np.inf)])
def test_impossible_balls_are_refused(centre: tuple[float, ...], diameter: float) -> None:
    with pytest.raises(ValueError, match="positive diameter"):
        ball(centre, diameter)


def test_measures_of_a_map_by_hand() -> None:
    lesion = _box((4, 8, 16), (8, 16, 24))  # exactly cell (1, 1, 2)
    attention = np.full((4, 4, 4), -5.0)
    attention[1, 1, 2], attention[1, 1, 1] = 3.0, 1.0
    found = measure_map(attention, CELLS, [lesion])
    assert found.mass_inside == pytest.approx(0.75)
    assert (found.hit, found.cell_hit, found.error_mm, found.to_mask_mm) == (1.0, 1.0, pytest.approx(0, abs=1e-9), 0.0)

    attention[1, 1, 1] = 4.0  # one cell to the right of the patient: 8 mm from centre to centre, 4 mm to the box
    found = measure_map(attention, CELLS, [lesion])
    assert found.mass_inside == pytest.approx(3 / 7)
    assert (found.hit, found.cell_hit) == (0.0, 0.0)
    assert (found.error_mm, found.to_mask_mm) == (pytest.approx(8.0), pytest.approx(4.0))


@pytest.mark.parametrize("shift", [-1e-5, 1e-5])
def test_rounding_in_a_files_header_changes_no_hit(shift: float) -> None:
    moved = IMAGE.affine.copy()
    moved[:3, 3] += shift  # mm, as a NIfTI header in single precision may
    grid = Geometry(IMAGE.shape, moved)
    mask = np.zeros(IMAGE.shape, dtype=bool)
    mask[4:8, 8:16, 16:24] = True  # exactly cell (1, 1, 2)
    lesion = Lesion.from_mask(mask, grid)
    attention = np.zeros((4, 4, 4))
    attention[1, 1, 1] = 1.0  # its neighbour, which the lesion touches
    assert measure_map(attention, CELLS, [lesion]).cell_hit == 0.0
    on_edge = np.zeros(IMAGE.shape)
    on_edge[5, 9, 15] = 1.0
    fine = IMAGE.subgrid((0, 0, 0.5), (1, 1, 1), IMAGE.shape)  # its points lie on the edges of columns
    assert measure_map(on_edge, fine, [lesion]).hit == 1.0


def test_a_small_lesion_in_the_peak_cell_is_a_hit_of_the_cell_only() -> None:
    attention = np.zeros((4, 4, 4))
    attention[1, 1, 2] = 1.0
    found = measure_map(attention, CELLS, [_box((4, 8, 16), (5, 9, 17))])
    assert (found.hit, found.cell_hit) == (0.0, 1.0)
    assert found.mass_inside == pytest.approx(1 / 256)


def test_maps_that_say_nothing() -> None:
    lesion = _box((4, 8, 16), (8, 16, 24))
    constant = measure_map(np.full((4, 4, 4), -1.0), CELLS, [lesion])
    assert np.isnan([getattr(constant, name) for name in MEASURES]).all()
    negative = np.full((4, 4, 4), -2.0)
    negative[1, 1, 2] = -1.0
    found = measure_map(negative, CELLS, [lesion])  # the peak of a signed map is a peak; there is no positive mass
    assert found.hit == 1.0
    assert np.isnan(found.mass_inside)


def test_uniform_map_has_the_lesions_share_of_the_cells() -> None:
    lesion = _box((4, 8, 16), (8, 16, 24))
    found = measure_uniform(CELLS, [lesion], (0, 1))
    assert found.mass_inside == pytest.approx(1 / 64)
    assert found == measure_uniform(CELLS, [lesion], (0, 1))
    hits = [measure_uniform(CELLS, [lesion], (0, k)).hit for k in range(400)]
    assert np.mean(hits) == pytest.approx(1 / 64, abs=0.02)


def test_tables_hold_every_source_and_the_baselines() -> None:
    lesion = _box((4, 8, 16), (8, 16, 24))
    attention = np.zeros((2, 4, 4, 4))
    attention[0, 1, 1, 2] = 1.0
    cases = [
        LesionCase({"HiResCAM": attention}, CELLS, IMAGE, {"nodule": [lesion]}),
        LesionCase({"HiResCAM": attention}, CELLS, IMAGE, {}),
    ]
    prior = relative_centres([(IMAGE, {"nodule": Extent(lesion.centre_mm, diameter_mm([lesion]))})])
    tables = lesion_tables(cases, ("nodule", "mass"), prior)
    assert list(tables) == ["HiResCAM", UNIFORM, CENTRE, PRIOR]
    np.testing.assert_array_equal(tables["HiResCAM"]["hit"], [[1.0, np.nan], [np.nan, np.nan]])
    assert tables[PRIOR]["to_centre_mm"][0, 0] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(tables[PRIOR]["mass_inside"]).all()
    assert 1 / 64 < tables[CENTRE]["mass_inside"][0, 0] < 1  # the lesion is next to the centre


def test_centres_are_relative_to_that_of_the_image() -> None:
    centre = IMAGE.to_world((6.0, 12.0, 20.0))
    centres = relative_centres([(IMAGE, {"nodule": Extent(centre, 9.0)}), (IMAGE, {})])
    assert list(centres) == ["nodule"]
    np.testing.assert_allclose(centres["nodule"], [centre - IMAGE.to_world((7.5, 15.5, 15.5))])


def test_centre_map_peaks_in_the_middle_and_is_symmetric() -> None:
    values = centre_map(CELLS, IMAGE)
    np.testing.assert_allclose(values, values[::-1, ::-1, ::-1])
    assert values.max() == values[1, 1, 1] == pytest.approx(np.exp(-0.5 * 3 * 0.5**2))  # half a deviation off each way


def test_baselines_stand_beside_the_maps() -> None:
    maps = {"HiResCAM": np.zeros((2, 4, 4, 4))}
    assert list(with_baselines(maps, CELLS, IMAGE)) == ["HiResCAM", UNIFORM, CENTRE]
    assert list(with_baselines(maps, CELLS, IMAGE, np.ones((2, 4, 4, 4)))) == [
        "HiResCAM",
        UNIFORM,
        CENTRE,
        RANDOM_WEIGHTS,
    ]
    with pytest.raises(ValueError, match="kept for baselines"):
        with_baselines({UNIFORM: np.zeros((2, 4, 4, 4))}, CELLS, IMAGE)


def test_masks_kept_as_bits() -> None:
    bits = np.zeros(IMAGE.shape, dtype=np.int32)
    bits[2:4, 5, 5] |= 1
    bits[3:6, 5, 5] |= 2
    findings = [
        {"bit": k, "label": name, "centre_lps_mm": (5.0, 5.0, 94.0)} for k, name in enumerate(("nodule", "mass"))
    ]
    lesions = lesions_from_bits(bits, IMAGE, findings)
    assert {name: len(own[0].voxels_mm) for name, own in lesions.items()} == {"nodule": 2, "mass": 3}


def test_tables_of_phantoms_and_of_luna16_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "findings.csv").write_text(
        "case,label,side,x,y,z,diameter_mm\n"
        "a,lung nodule,left,1,2,3,10\na,Lung-Nodule,right,4,5,6,8\nb,mass,,7,8,9,30\n"
    )
    found = read_lesions(tmp_path / "findings.csv")
    assert {case: {name: len(own) for name, own in labels.items()} for case, labels in found.items()} == {
        "a": {"lung nodule": 2},
        "b": {"mass": 1},
    }
    (tmp_path / "annotations.csv").write_text(
        "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2.3,-36.5,-76.25,-155.5,15.0\n"
    )
    (row,) = read_lesions(tmp_path / "annotations.csv", "lung nodule")["1.2.3"]["lung nodule"]
    (lesion,) = row.lesions()
    np.testing.assert_allclose(lesion.centre_mm, (-36.5, -76.25, -155.5))


def test_the_luna16_table_of_a_real_ct(shared_data: Path) -> None:
    (path,) = (shared_data / "ct" / "lidc-idri-1011").glob("LUNA16*.csv")
    (labels,) = read_lesions(path, "lung nodule").values()
    assert [round(diameter_mm(row.lesions())) for row in labels["lung nodule"]] == [15, 20, 22]


@pytest.mark.parametrize(
    ("text", "code", "fact"),
    [
        ("case,x,y,z,label\na,1,2,3,mass\n", "no-lesion-columns", "diameter_mm"),
        ("case,x,y,z,diameter_mm\na,1,2,3,4\n", "no-lesion-columns", "label"),
        (
            "case,label,x,y,z,diameter_mm\na,mass,1,2,3,4\na,mass,1,two,3,4\nb,mass,1,2,,4\n,mass,1,2,3,4\n",
            "bad-lesion",
            r"row 3, row 4[^0-9]*\n.*no case or no label \(1\): row 5",
        ),
        ("case,label,x,y,z,diameter_mm\na,mass,1,2,3,-4\n", "bad-lesion", "row 2"),
    ],
)
def test_tables_that_are_none_are_refused_by_row(tmp_path: Path, text: str, code: str, fact: str) -> None:
    path = tmp_path / "lesions.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=fact) as caught:
        read_lesions(path)
    assert caught.value.issues[0].code == code
    assert caught.value.issues[0].file == "lesions.csv"
