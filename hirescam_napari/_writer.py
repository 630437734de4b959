"""napari's writer: one image or mask as NIfTI, at its place in the patient."""

from __future__ import annotations

from typing import Any

import numpy as np

from hirescam_napari._layers import to_lps
from training.geometry import Geometry
from training.issues import InputError, error


def write_nifti_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a 3-D image or labels layer to ``path`` (.nii or .nii.gz) in its own resolution.

    Maps keep their signed values. The layer's scale and translate are the viewer's mm.

    Returns
    -------
    list of str
        The path, as napari expects.

    Raises
    ------
    InputError
        If the layer is not 3-D, or rotated or sheared.
    """
    from training.io.write import write_nifti

    values = np.asarray(data)
    write_nifti(path, values, geometry_of(values.shape, attributes))
    return [path]


def geometry_of(shape: tuple[int, ...], attributes: dict[str, Any]) -> Geometry:
    """Return where a layer lies in the patient from napari's layer attributes.

    Raises
    ------
    InputError
        If the layer is not 3-D, or rotated or sheared.
    """
    name = str(attributes.get("name", "layer"))
    if len(shape) != 3:
        way_out = "Save a layer with three axes."
        raise InputError(error("not-3d", f"the layer has {len(shape)} axes, not three", way_out, name))
    turned = [
        not np.allclose(attributes.get("affine", np.eye(4)), np.eye(4)),
        not np.allclose(attributes.get("rotate", np.eye(3)), np.eye(3)),
        not np.allclose(attributes.get("shear", 0), 0),
    ]
    if any(turned):
        raise InputError(error("oblique-layer", "the layer is rotated or sheared", "Save another layer.", name))
    origin = to_lps(attributes.get("translate", (0.0, 0.0, 0.0)))
    return Geometry.canonical(shape, attributes.get("scale", (1.0, 1.0, 1.0)), origin.tolist())
