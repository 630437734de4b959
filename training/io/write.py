"""Maps and masks as NIfTI, in the place their geometry says."""

from __future__ import annotations

import os
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from training.geometry import FloatArray, Geometry
from training.io.atomic import atomic_path
from training.io.orient import LPS_FROM_RAS

_SCANNER = 1  # nifti1.h: NIFTI_XFORM_SCANNER_ANAT


def write_nifti(path: str | os.PathLike[str], values: npt.NDArray[Any], geometry: Geometry) -> None:
    """Write ``values`` (slice, row, column) to ``path`` (.nii or .nii.gz), complete or not at all.

    The file's axes are (column, row, slice), its world is RAS mm, qform and sform agree; every voxel stays where it is
    in the patient. The header holds no text.

    Parameters
    ----------
    values
        3-D; bool becomes uint8, all other types are kept as NIfTI allows (uint8, int16, float32, ...).
    geometry
        Of ``values``.

    Raises
    ------
    ValueError
        If ``values`` and ``geometry`` have different shapes.
    InputError
        If the place is not writable or the disk is full.
    """
    if values.shape != geometry.shape:
        raise ValueError(f"values have shape {values.shape}, their geometry {geometry.shape}")
    stored = values.astype(np.uint8) if values.dtype == bool else values
    affine = nifti_affine(geometry)
    image = nibabel.Nifti1Image(stored.transpose(2, 1, 0), affine)
    image.set_sform(affine, _SCANNER)
    image.set_qform(affine, _SCANNER)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as partial:
        image.to_filename(partial)


def nifti_affine(geometry: Geometry) -> FloatArray:
    """Return the 4 x 4 affine from index (column, row, slice) to RAS mm."""
    return np.asarray(LPS_FROM_RAS @ geometry.affine[:, [2, 1, 0, 3]], dtype=np.float64)
