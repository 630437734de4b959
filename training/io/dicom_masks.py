"""DICOM Segmentation objects (PS3.3 A.51) as label maps, placed by the positions of their own frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.geometry import FloatArray
from training.io.assemble import damaged, refused

if TYPE_CHECKING:
    import highdicom as hd

SEGMENTATION_UIDS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Storage classes: segmentation, label map segmentation."""

INSIDE = 0.5
"""From which fraction on a voxel of a fractional segment is inside."""

_ONE_GRID = "Export it again with position and orientation of every frame, evenly spaced."


def stored_segmentation(path: Path) -> tuple[npt.NDArray[Any], FloatArray]:
    """Return the segment number of every voxel (0: none) and the affine, index to LPS mm, in the order of the library.

    Frames that were left out because they are empty are filled with 0.

    Raises
    ------
    InputError
        A folder, or DICOM of another kind; damaged; not on one regular grid in the patient; segments overlap.
    """
    if path.is_dir():
        raise refused("mask-format", "it is a folder, not a mask", "Give the file of the segmentation.", path)
    seg = _read(path)
    try:
        geometry = seg.get_volume_geometry(allow_missing_positions=True)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):
        geometry = None
    if geometry is None or str(geometry.coordinate_system.value) != "PATIENT":
        raise refused("no-geometry", "its frames lie on no regular grid in the patient", _ONE_GRID, path)
    values = _numbers(seg, path)
    if values.shape != tuple(geometry.spatial_shape):
        raise refused("no-geometry", "its frames do not fill the grid that they lie on", _ONE_GRID, path)
    return values, np.asarray(geometry.affine, dtype=np.float64)


def _read(path: Path) -> hd.seg.Segmentation:
    import highdicom as hd
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        found = pydicom.dcmread(os.fspath(path), specific_tags=["SOPClassUID"], stop_before_pixels=True)
        if found.get("SOPClassUID") not in SEGMENTATION_UIDS:
            fact = "it is DICOM, but not a DICOM Segmentation"
            raise refused("mask-format", fact, "Export the mask as DICOM Segmentation or NIfTI.", path)
        return hd.seg.segread(os.fspath(path))
    except (AttributeError, EOFError, InvalidDicomError, KeyError, RuntimeError, TypeError, ValueError) as failure:
        raise damaged(path, f"{type(failure).__name__}") from failure


def _numbers(seg: hd.seg.Segmentation, path: Path) -> npt.NDArray[Any]:
    """Return the segment number of every voxel."""
    try:
        if seg.segmentation_type.value == "LABELMAP":
            return np.asarray(seg.get_volume(combine_segments=True).array)
        labels: npt.NDArray[Any] | None = None
        for number in seg.segment_numbers:
            inside = np.asarray(seg.get_volume(segment_numbers=[number]).array)[..., 0] >= INSIDE
            labels = np.zeros(inside.shape, np.uint16) if labels is None else labels
            if labels[inside].any():
                break
            labels[inside] = number
        else:
            return np.zeros((1, 1, 1), np.uint16) if labels is None else labels
    except (AttributeError, EOFError, KeyError, RuntimeError, TypeError, ValueError) as failure:
        raise damaged(path, f"{type(failure).__name__}") from failure
    raise refused("mask-overlap", "its segments overlap", "Export each segment to a file of its own.", path)
