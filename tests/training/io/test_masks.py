"""Masks from files: in place however they are stored, and refused where their place is not told."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name

from training.geometry import Geometry
from training.io.masks import read_mask
from training.io.write import write_nifti
from training.issues import InputError

GRID = Geometry.canonical((6, 8, 10), (2.0, 1.5, 1.0), (-20.0, -30.0, 40.0))


@pytest.fixture
def mask() -> npt.NDArray[np.uint8]:
    values = np.zeros(GRID.shape, np.uint8)
    values[1:3, 2:5, 1:4] = 1
    values[4, 6, 8] = 3
    return values


def points(values: npt.NDArray[np.number], geometry: Geometry) -> set[tuple[float, ...]]:
    """Return where the voxels other than 0 lie, with their values."""
    where = np.argwhere(values != 0)
    world = np.round(geometry.to_world(where), 4)
    return {(*p.tolist(), float(v)) for p, v in zip(world, values[tuple(where.T)], strict=True)}


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SLA"])
def test_the_axes_of_a_nifti_file_do_not_matter(tmp_path: Path, mask: npt.NDArray[np.uint8], axes: str) -> None:
    write_nifti(tmp_path / "mask.nii.gz", mask, GRID)
    turned = nibabel.load(tmp_path / "mask.nii.gz").as_reoriented(
        nibabel.orientations.ornt_transform(
            nibabel.orientations.io_orientation(nibabel.load(tmp_path / "mask.nii.gz").affine),
            nibabel.orientations.axcodes2ornt(tuple(axes)),
        )
    )
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    values, geometry = read_mask(tmp_path / "turned.nii.gz")
    assert geometry.allclose(GRID)
    np.testing.assert_array_equal(values, mask)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_other_formats_and_oblique_grids(tmp_path: Path, mask: npt.NDArray[np.uint8], suffix: str) -> None:
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
    affine = GRID.affine.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    oblique = Geometry(GRID.shape, affine)
    image = sitk.GetImageFromArray(mask)
    image.SetSpacing(oblique.spacing_mm[::-1])
    image.SetOrigin(oblique.origin_mm.tolist())
    image.SetDirection(oblique.direction[:, ::-1].ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / f"mask{suffix}"))
    values, geometry = read_mask(tmp_path / f"mask{suffix}")
    assert points(values, geometry) == points(mask, oblique)


def test_masks_without_a_place_and_other_files_are_refused(tmp_path: Path, mask: npt.NDArray[np.uint8]) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(mask), str(tmp_path / "mask.nrrd"))
    header = (tmp_path / "mask.nrrd").read_bytes()
    (tmp_path / "mask.nrrd").write_bytes(header.replace(b"space: left-posterior-superior\n", b""))
    np.savez(tmp_path / "mask.npz", mask=mask)
    write_nifti(tmp_path / "four.nii.gz", mask, GRID)
    image = nibabel.load(tmp_path / "four.nii.gz")
    four = np.stack([np.asanyarray(image.dataobj)] * 2, axis=3)
    nibabel.save(nibabel.Nifti1Image(four, image.affine), tmp_path / "four.nii.gz")
    write_nifti(tmp_path / "sheared.nii.gz", mask, GRID)
    plain = nibabel.load(tmp_path / "sheared.nii.gz")
    tilted = plain.affine.copy()
    tilted[1, 2] = 1.0
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(plain.dataobj), tilted), tmp_path / "sheared.nii.gz")
    for name, code in (
        ("mask.nrrd", "no-geometry"),
        ("mask.npz", "mask-format"),
        ("four.nii.gz", "mask-rank"),
        ("sheared.nii.gz", "sheared"),
        ("none.nii.gz", "not-found"),
    ):
        with pytest.raises(InputError) as refused:
            read_mask(tmp_path / name)
        assert (refused.value.issues[0].code, refused.value.issues[0].file) == (code, name)
