"""Masks and label maps that were made elsewhere, in any grid, with their place in the patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from training.geometry import FloatArray, Geometry
from training.io.assemble import refused
from training.io.orient import canonical_order, is_sheared
from training.io.read import Kind, find_kind, readable

FORMATS = "NIfTI, NRRD, MetaImage or DICOM Segmentation"
_WAY_OUT = f"Export it again in {FORMATS}, from a tool that writes position and orientation."


def read_mask(path: Path) -> tuple[npt.NDArray[Any], Geometry]:
    """Return the values of a mask file in the closest canonical order, and where they lie in the patient.

    Parameters
    ----------
    path
        NIfTI, NRRD, MetaImage or DICOM Segmentation, in any grid, flipped or oblique; one volume. The values of a
        segmentation are the numbers of its segments.

    Returns
    -------
    tuple
        Values (slice, row, column) and their geometry (LPS mm). Nothing is interpolated.

    Raises
    ------
    InputError
        Nothing there; of another format; truncated or damaged; more than one volume; values that are no plain numbers;
        no, contradictory or sheared geometry.
    """
    with readable(path):
        values, affine = _stored(path)
    shape = values.shape
    if len(shape) > 3 and all(n == 1 for n in shape[3:]):
        values = values.reshape(shape[:3], order="A")
    if values.ndim != 3:
        words = " x ".join(map(str, shape))
        raise refused("mask-rank", f"its shape is {words}, not three axes", "Give one volume per file.", path)
    if values.dtype.kind not in "iuf":
        raise refused(
            "mask-values", f"its values are of type {values.dtype}, not plain numbers", "Export it as numbers.", path
        )
    try:
        view, geometry = canonical_order(values, affine)
    except ValueError as failure:
        raise refused("no-geometry", f"its position in the patient is unusable: {failure}", _WAY_OUT, path) from failure
    if is_sheared(geometry.affine):
        raise refused("sheared", "its axes are not at right angles", "Resample it to a regular grid.", path)
    return view, geometry


def _stored(path: Path) -> tuple[npt.NDArray[Any], FloatArray]:
    kind = find_kind(path)
    if kind in (Kind.NIFTI, Kind.NIFTI_GZ):
        from training.io.nifti import read_stored

        stored = read_stored(path)
        plain = (stored.slope, stored.intercept) == (1.0, 0.0)
        return stored.values if plain else stored.values * stored.slope + stored.intercept, stored.affine
    if kind in (Kind.NRRD, Kind.META):
        from training.io import itk

        return itk.stored_nrrd(path) if kind is Kind.NRRD else itk.stored_meta(path)
    if kind is Kind.DICOM:
        from training.io.dicom_masks import stored_segmentation

        return stored_segmentation(path)
    raise refused("mask-format", f"it is {kind}, not a mask in {FORMATS}", f"Convert it to {FORMATS}.", path)
