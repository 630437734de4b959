"""Lesions from masks: parts, values and places by hand; what is wrong is named by row."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest

from training.evaluate.lesion_table import LesionRow, connected_lesions, read_lesion_mask, read_lesions
from training.geometry import Geometry
from training.io.write import write_nifti
from training.issues import InputError

GRID = Geometry.canonical((10, 12, 14), (2.0, 1.0, 1.0), (-7.0, -6.0, 50.0))


@pytest.fixture
def mask() -> npt.NDArray[np.uint8]:
    """Two parts of value 1, one of them touching by a corner alone, and one of value 2."""
    values = np.zeros(GRID.shape, np.uint8)
    values[1:3, 2:4, 2:4] = 1
    values[3, 4, 4] = 1
    values[7, 9, 2] = 1
    values[5:7, 5:9, 9:12] = 2
    return values


def test_parts_that_touch_are_one_lesion(mask: npt.NDArray[np.uint8]) -> None:
    found = connected_lesions(mask == 1, GRID)
    assert sorted(len(one.voxels_mm) for one in found) == [1, 9]
    alone = min(found, key=lambda one: len(one.voxels_mm))
    np.testing.assert_allclose(alone.centre_mm, GRID.to_world((7, 9, 2)))
    together = np.concatenate([one.voxels_mm for one in found])
    expected = GRID.to_world(np.argwhere(mask == 1))
    np.testing.assert_allclose(np.sort(together, axis=0), np.sort(expected, axis=0))


def test_rows_of_one_table_are_balls_or_masks(tmp_path: Path, mask: npt.NDArray[np.uint8]) -> None:
    (tmp_path / "masks").mkdir()
    write_nifti(tmp_path / "masks" / "a.nii.gz", mask, GRID)
    (tmp_path / "lesions.csv").write_text(
        "case,label,mask,value,x,y,z,diameter_mm\n"
        "a,lung nodule,masks/a.nii.gz,1,,,,\na,Lung-Mass,masks/a.nii.gz,2,,,,\na,atelectasis,masks/a.nii.gz,,,,,\n"
        "b,lung nodule,,,1,2,3,8\n"
    )
    found = read_lesions(tmp_path / "lesions.csv")
    assert {case: list(own) for case, own in found.items()} == {
        "a": ["lung nodule", "lung mass", "atelectasis"],
        "b": ["lung nodule"],
    }
    counts = {label: len(rows[0].lesions()) for label, rows in found["a"].items()}
    assert counts == {"lung nodule": 2, "lung mass": 1, "atelectasis": 3}
    sizes = [one.diameter_mm for one in found["a"]["lung nodule"][0].extents(GRID)]
    assert sorted(sizes) == pytest.approx([np.cbrt(6 * n * 2.0 / np.pi) for n in (1, 9)])
    (ball,) = found["b"]["lung nodule"]
    assert ball.extents(None)[0].diameter_mm == 8.0


def test_a_table_of_masks_alone_with_one_label(tmp_path: Path, mask: npt.NDArray[np.uint8]) -> None:
    write_nifti(tmp_path / "a.nii.gz", mask.astype(np.float32), GRID)
    (tmp_path / "lesions.csv").write_text("SeriesUID,Mask\n1.2.3,a.nii.gz\n1.2.3,a.nii.gz\n")
    rows = read_lesions(tmp_path / "lesions.csv", "lung nodule")["1.2.3"]["lung nodule"]
    assert [row.number for row in rows] == [2, 3]
    assert len(rows[0].lesions()) == 3


def test_faults_of_the_table_are_named_by_row(tmp_path: Path, mask: npt.NDArray[np.uint8]) -> None:
    write_nifti(tmp_path / "a.nii.gz", mask, GRID)
    (tmp_path / "lesions.csv").write_text(
        "case,label,mask,value\na,lung nodule,a.nii.gz,1\na,lung nodule,gone.nii.gz,1\na,lung nodule,a.nii.gz,-1\n"
        "a,lung nodule,,\nb,lung nodule,lost.nii.gz,\n"
    )
    with pytest.raises(InputError) as refused:
        read_lesions(tmp_path / "lesions.csv")
    told = {issue.code: str(issue) for issue in refused.value.issues}
    assert "masks are not there (2): row 3 (gone.nii.gz), row 6 (lost.nii.gz)" in told["no-mask"]
    assert "from the table's folder" in told["no-mask"]
    texts = " ".join(str(issue) for issue in refused.value.issues)
    assert "row 4: '-1'" in texts
    assert "a number that is none, and no mask (1): row 5" in texts
    assert {issue.file for issue in refused.value.issues} == {"lesions.csv"}


def test_masks_of_other_places_and_empty_ones_are_refused(tmp_path: Path, mask: npt.NDArray[np.uint8]) -> None:
    far = GRID.affine.copy()
    far[2, 3] += 500
    wide = Geometry.canonical((10, 12, 30), (2.0, 1.0, 1.0), (0.0, -6.0, 50.0))
    across = np.zeros(wide.shape, np.uint8)
    across[4, 4, :20] = 1
    files = {
        "far": (mask, Geometry(GRID.shape, far)),
        "shifted": (mask, Geometry.canonical(GRID.shape, (2.0, 1.0, 1.0), (-3.0, -6.0, 50.0))),
        "outside": (across[..., ::-1], wide.subgrid((0, 0, 20), (1, 1, 1), wide.shape)),
        "across": (across, wide),
        "empty": (mask * 0, GRID),
        "half": (mask.astype(np.float32) / 2, GRID),
    }
    for name, (values, grid) in files.items():
        write_nifti(tmp_path / f"{name}.nii.gz", values, grid)
    for name, code, words in (
        ("far", "mask-elsewhere", "as many voxels as their CT"),
        ("shifted", "mask-elsewhere", "as many voxels as their CT"),
        ("outside", "mask-elsewhere", "masks lie outside of their CT"),
        ("across", "mask-elsewhere", "masks lie partly outside of their CT"),
        ("empty", "empty-mask", "all voxels are 0"),
        ("half", "mask-values", "no whole numbers"),
    ):
        with pytest.raises(InputError, match=words) as refused:
            LesionRow(2, mask=tmp_path / f"{name}.nii.gz").extents(GRID)
        assert refused.value.issues[0].code == code
        assert refused.value.issues[0].way_out
    with pytest.raises(InputError, match="no voxel is 3"):
        read_lesion_mask(tmp_path / "far.nii.gz", 3)
    with pytest.raises(InputError, match="centres lie outside of their CT"):
        LesionRow(2, (0.0, 0.0, -400.0), 5.0).extents(GRID)


def test_a_file_that_is_turned_has_the_same_lesions(tmp_path: Path, mask: npt.NDArray[np.uint8]) -> None:
    write_nifti(tmp_path / "mask.nii.gz", mask, GRID)
    image = nibabel.load(tmp_path / "mask.nii.gz")
    flips = nibabel.orientations.axcodes2ornt(("R", "S", "A"), (("R", "L"), ("P", "A"), ("I", "S")))
    nibabel.save(image.as_reoriented(flips), tmp_path / "turned.nii.gz")
    assert not np.allclose(nibabel.load(tmp_path / "turned.nii.gz").affine, image.affine)
    plain, turned = (LesionRow(2, mask=tmp_path / f"{name}.nii.gz").extents(GRID) for name in ("mask", "turned"))
    np.testing.assert_allclose([one.centre_mm for one in plain], [one.centre_mm for one in turned])
    assert [one.diameter_mm for one in plain] == [one.diameter_mm for one in turned]
