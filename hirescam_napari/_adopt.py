"""CTs that others put into the viewer: readers, sample data, the user's own image layers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from napari.layers import Image, Layer

from hirescam_napari._case import Case
from hirescam_napari._checks import checked
from hirescam_napari._layers import TRUTH_KEY, VOLUME_KEY, picture_of, to_lps
from training.geometry import Geometry
from training.issues import InputError, error
from training.volume import Provenance, Volume, pixels_sha256

SURELY_AIR_HU = -500
"""A chest CT in HU holds lung and air below this."""


def ct_layers(layers: Iterable[Layer]) -> list[Image]:
    """Return the layers that may be CTs: those of this plugin's readers, and other 3-D gray images."""
    images = [layer for layer in layers if isinstance(layer, Image) and layer.ndim == 3 and not layer.rgb]
    return [layer for layer in images if VOLUME_KEY in layer.metadata or _may_be_hu(layer)]


def _may_be_hu(layer: Image) -> bool:
    return not layer.multiscale and np.dtype(layer.dtype).kind in "if" and min(layer.data.shape) >= 3


def case_of_layer(layer: Image) -> Case:
    """Return the CT that ``layer`` shows.

    Raises
    ------
    InputError
        If the layer is not a CT in HU, or lies obliquely.
    """
    volume = layer.metadata.get(VOLUME_KEY)
    volume = volume if isinstance(volume, Volume) else checked(volume_of_layer(layer))
    return Case(volume, picture_of(volume), truth=dict(layer.metadata.get(TRUTH_KEY, {})))


def volume_of_layer(layer: Image) -> Volume:
    """Return an image layer that did not come from this plugin as a volume; its scale and translate are taken as mm.

    Raises
    ------
    InputError
        If its axes are rotated or sheared, or its values do not look like HU.
    """
    matrix = np.asarray(layer.affine.linear_matrix) @ np.asarray(layer._transforms["data2physical"].linear_matrix)
    if not np.allclose(matrix, np.diag(np.diag(matrix))) or (np.diag(matrix) <= 0).any():
        fact = "its axes are rotated, sheared or flipped"
        raise InputError(error("oblique-layer", fact, "Open the file with this plugin instead.", layer.name))
    values = np.asarray(layer.data)
    if not np.isfinite(values).all() or values.min() > SURELY_AIR_HU or abs(values).max() > np.iinfo(np.int16).max:
        fact = "its values are not Hounsfield units (no air, or out of range)"
        raise InputError(error("not-hu", fact, "Choose a CT layer, or open the file with this plugin.", layer.name))
    origin = to_lps(layer.data_to_world((0, 0, 0)))
    hu = np.ascontiguousarray(np.rint(values), dtype=np.int16)
    geometry = Geometry.canonical(hu.shape, np.diag(matrix).tolist(), origin.tolist())
    return Volume(hu, geometry, provenance=Provenance("layer", pixels_sha256=pixels_sha256(hu)), case_id="layer")
