"""The backends ``lungmask`` and ``totalsegmentator``: other people's networks, if the user has installed them.

They bring their own weights; this project neither ships nor fetches any.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.geometry import FloatArray, Geometry
from training.issues import InputError, error
from training.partition.grids import nearest_labels
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG
from training.volume import Volume

INSTALL: Final = {"lungmask": "pip install lungmask", "totalsegmentator": "pip install TotalSegmentator"}

MEDIASTINAL: Final = (
    "heart", "atrial_appendage_left", "aorta", "pulmonary_vein", "superior_vena_cava", "esophagus", "trachea",
    "brachiocephalic_trunk", "brachiocephalic_vein_left", "brachiocephalic_vein_right",
)  # fmt: skip
"""Structures of TotalSegmentator's task ``total`` that belong to the mediastinum."""

LPS_AND_RAS: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0])

Labels = npt.NDArray[np.uint8]


def lungmask_labels(volume: Volume) -> Labels:
    """Return lungmask's lungs (1 right, 2 left) on the volume's grid.

    Raises
    ------
    InputError
        If lungmask is not installed, or answers in another shape.
    """
    module = _module("lungmask", "lungmask")
    import SimpleITK as sitk  # noqa: N813 - its usual name; installed with lungmask too

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.hu))
    image.SetSpacing(volume.geometry.spacing_mm[::-1])
    image.SetOrigin(volume.geometry.origin_mm.tolist())
    image.SetDirection(volume.geometry.direction[:, ::-1].ravel().tolist())
    found = np.asarray(module.LMInferer().apply(image))
    if found.shape != volume.hu.shape:
        raise _answered("lungmask", f"it returned the shape {found.shape} for a CT of {volume.hu.shape}")
    labels = np.zeros(found.shape, dtype=np.uint8)
    labels[found == 1], labels[found == 2] = RIGHT_LUNG, LEFT_LUNG
    return labels


def totalsegmentator_labels(volume: Volume) -> Labels:
    """Return TotalSegmentator's lungs and mediastinal structures on the volume's grid.

    Raises
    ------
    InputError
        If TotalSegmentator is not installed, or names no lung lobes.
    """
    api = _module("totalsegmentator", "totalsegmentator.python_api")
    names = _module("totalsegmentator", "totalsegmentator.map_to_binary").class_map["total"]
    import nibabel

    affine = _nifti_order(LPS_AND_RAS @ volume.geometry.affine)
    image = nibabel.Nifti1Image(np.ascontiguousarray(volume.hu.transpose(2, 1, 0)), affine)
    result: Any = api.totalsegmentator(image, task="total", ml=True, quiet=True)
    values = np.asarray(result.dataobj)
    organs = np.zeros(int(max(values.max(), max(names))) + 1, dtype=np.uint8)
    for value, name in names.items():
        organs[value] = _organ(name)
    if not {RIGHT_LUNG, LEFT_LUNG} <= set(organs.tolist()):
        raise _answered("totalsegmentator", "its class names hold no lung lobes")
    geometry = Geometry((values.shape[0], values.shape[1], values.shape[2]), LPS_AND_RAS @ result.affine)
    return np.asarray(nearest_labels(organs[values.astype(np.intp)], geometry, volume.geometry), dtype=np.uint8)


def _organ(name: str) -> int:
    if name.startswith("lung_"):
        return RIGHT_LUNG if name.endswith("_right") else LEFT_LUNG
    return MEDIASTINUM if name in MEDIASTINAL else 0


def _nifti_order(affine: FloatArray) -> FloatArray:
    """Return the affine of an array whose axes were reversed."""
    return np.asarray(affine[:, [2, 1, 0, 3]])


def _module(package: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        command = INSTALL[package]
        fact = f"the backend {package!r} needs the package {package}, which is not installed here ({missing})"
        raise InputError(error("backend-missing", fact, f"Install it: {command}")) from missing


def _answered(package: str, fact: str) -> InputError:
    way_out = "Install a version that returns it, or use another backend."
    return InputError(error("backend-answer", f"{package}: {fact}", way_out))
