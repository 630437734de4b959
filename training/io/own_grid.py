"""The grid that a file itself uses, before its axes are brought into canonical order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from training.geometry import Geometry
from training.io.orient import LPS_FROM_RAS
from training.io.read import Kind, find_kind


def own_grid(path: Path) -> Geometry | None:
    """Return the geometry of a file's voxels as stored, slowest axis first; None where a reader makes the order.

    A NIfTI, NRRD or MetaImage file has a grid of its own, which masks for it should share, voxel by voxel. A DICOM
    series and a RAD-ChestCT npz are read in canonical order, so the volume's geometry is theirs.
    """
    kind = find_kind(path)
    if kind in (Kind.NIFTI, Kind.NIFTI_GZ):
        import nibabel

        image: Any = nibabel.load(path)
        return _slowest_first(tuple(image.shape[:3]), LPS_FROM_RAS @ image.affine)
    if kind in (Kind.NRRD, Kind.META):
        import SimpleITK as sitk  # noqa: N813 - its usual name

        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * np.asarray(reader.GetSpacing())
        affine[:3, 3] = reader.GetOrigin()
        return _slowest_first(tuple(reader.GetSize()), affine)
    return None


def _slowest_first(shape: tuple[int, ...], affine: np.ndarray) -> Geometry:
    """Turn (i, j, k) with i fastest into axes (k, j, i), as arrays are held here."""
    return Geometry((shape[2], shape[1], shape[0]), affine[:, [2, 1, 0, 3]])
