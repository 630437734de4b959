"""From the values and the affine of a file to a checked :class:`Volume`: the last steps of every non-DICOM reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training import __version__
from training.geometry import FloatArray, Geometry
from training.io.extent import why_no_patient
from training.io.hu import not_hu, padding_to_air, why_not_hu
from training.io.orient import canonical_order, is_sheared
from training.io.privacy import case_id_for
from training.issues import InputError, Issue, error, warning
from training.volume import AIR_HU, Provenance, Volume, pixels_sha256
from training.words import counted_of

MIN_VOXELS = 3
"""Fewer along any axis is no volume."""

_INT16 = np.iinfo(np.int16)


def damaged(path: Path, detail: str) -> InputError:
    """Return the error for a file that ends early or does not hold what it promises."""
    message = f"the file is truncated or damaged: {detail}"
    return InputError(error("damaged-file", message, "Copy or export it again.", path.name))


def refused(code: str, message: str, way_out: str, path: Path) -> InputError:
    """Return an error about ``path``."""
    return InputError(error(code, message, way_out, path.name))


def assemble(
    values: npt.NDArray[Any],
    affine: FloatArray,
    path: Path,
    source: str,
    software: str,
    slope: float = 1.0,
    intercept: float = 0.0,
    issues: tuple[Issue, ...] = (),
) -> Volume:
    """Return the CT that ``values * slope + intercept`` (HU) make at ``affine``.

    Parameters
    ----------
    values
        Any real number type; trailing axes of length 1 beyond the third are dropped.
    affine
        4 x 4, index along the axes of ``values`` to LPS mm.
    path
        Its base name appears in issues.
    source, software
        For the provenance.
    issues
        What the reader noticed already.

    Raises
    ------
    InputError
        Not three axes, fewer than ``MIN_VOXELS`` voxels along one, 8-bit or otherwise not HU, outside int16, sheared or
        unusable affine.
    """
    values = _three_axes(values, path)
    _check_type(values, path)
    view, geometry = _ordered(values, affine, path)
    reason = why_not_hu(view if (slope, intercept) == (1.0, 0.0) else _scaled_sample(view, slope, intercept))
    if reason:
        raise InputError(not_hu(reason, path.name))
    hu, nan_issues = _to_int16(view, slope, intercept, path)
    found = (*issues, *nan_issues, *padding_to_air(hu, path.name))
    digest = pixels_sha256(hu)
    provenance = Provenance(source, software=f"hirescam {__version__}, {software}", pixels_sha256=digest)
    return Volume(hu, geometry, found, provenance, case_id_for(digest))


def _three_axes(values: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    shape = values.shape
    if len(shape) > 3 and all(n == 1 for n in shape[3:]):
        values = values.reshape(shape[:3], order="A")
    if values.ndim != 3:
        words = " x ".join(str(n) for n in shape)
        raise refused("wrong-rank", f"its shape is {words}, not three axes", "Export one volume per file.", path)
    if min(values.shape) < MIN_VOXELS:
        words = " x ".join(str(n) for n in shape)
        raise refused("too-few-slices", f"its size is {words}, too thin for a CT", "Export the whole series.", path)
    return values


def _check_type(values: npt.NDArray[Any], path: Path) -> None:
    if values.dtype.kind not in "iuf":
        message = f"its values are of type {values.dtype}, not plain numbers"
        raise refused("wrong-type", message, "Export the CT as 16-bit integers in Hounsfield units.", path)
    if values.dtype.itemsize == 1:
        raise InputError(not_hu("they are 8-bit gray values, which cannot hold -1000 to 3000", path.name))


def _ordered(values: npt.NDArray[Any], affine: FloatArray, path: Path) -> tuple[npt.NDArray[Any], Geometry]:
    way_out = "Resample it to a regular grid, or convert it again from the DICOM files."
    try:
        view, geometry = canonical_order(values, affine)
    except ValueError as failure:
        raise refused("no-geometry", f"its position in the patient is unusable: {failure}", way_out, path) from failure
    if is_sheared(geometry.affine):
        raise refused("sheared", "its axes are not at right angles (gantry tilt?)", way_out, path)
    reason = why_no_patient(geometry.shape, geometry.spacing_mm)
    if reason:
        raise refused("implausible-size", f"{reason}, so its spacing cannot be right", way_out, path)
    return view, geometry


def _scaled_sample(view: npt.NDArray[Any], slope: float, intercept: float) -> npt.NDArray[np.float32]:
    step = max(1, round((view.size / 2_000_000) ** (1 / 3)))
    return view[::step, ::step, ::step].astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _to_int16(
    view: npt.NDArray[Any], slope: float, intercept: float, path: Path
) -> tuple[npt.NDArray[np.int16], tuple[Issue, ...]]:
    """Scale, round and narrow slice by slice, so that no second full-size array is needed."""
    if view.dtype == np.int16 and (slope, intercept) == (1.0, 0.0):
        return np.array(view, dtype=np.int16, order="C"), ()
    convert = _converter(view.dtype, slope, intercept)
    hu = np.empty(view.shape, np.int16)
    missing = 0
    for k in range(view.shape[0]):
        one = convert(view[k])
        gaps = ~np.isfinite(one)
        missing += int(np.count_nonzero(gaps))
        one[gaps] = AIR_HU
        if one.max() > _INT16.max:
            message = f"its largest value, {one.max():g} HU, is no radiodensity"
            raise refused("out-of-range", message, "Export the CT again in Hounsfield units.", path)
        hu[k] = np.maximum(one, _INT16.min)
    if not missing:
        return hu, ()
    message = f"{counted_of(missing, view.size, 'voxel is')} no finite numbers; treated as air"
    return hu, (warning("not-a-number", message, "Look whether they lie inside the body.", path.name),)


def _converter(
    dtype: np.dtype[Any], slope: float, intercept: float
) -> Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]]:
    def convert(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        wide = values.astype(np.float64)
        if (slope, intercept) != (1.0, 0.0):
            wide = wide * slope + intercept
        return np.rint(wide) if dtype.kind == "f" or slope % 1 or intercept % 1 else wide

    return convert
