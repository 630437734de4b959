"""CTs and explanations as napari layer tuples, placed in mm; low-resolution maps stay low-resolution arrays.

The viewer's world is the display frame of :mod:`training.picture`, so that an axial slice is napari's plain 2-D view
with the patient's right on the left of the screen and the front at the top.
"""

from __future__ import annotations

from typing import Any

from training.explain.display import (
    AGAINST_COLORS,
    DIVERGING_CONTROLS,
    FOR_COLORS,
    FOR_CONTROLS,
    ColormapKind,
    PerLabel,
    Policy,
)
from training.explain.placement import Placement
from training.explain.result import METHOD_NAMES, Explanation, Method
from training.geometry import Geometry
from training.picture import WINDOWS, Picture, canonical_grid, picture_of, to_display, to_lps
from training.volume import Volume

__all__ = [
    "AXIS_LABELS",
    "TRUTH_KEY",
    "VOLUME_KEY",
    "LayerTuple",
    "Picture",
    "canonical_grid",
    "ct_layer",
    "gray",
    "map_colormap",
    "map_layer",
    "picture_of",
    "placement_mm",
    "to_display",
    "to_lps",
]

LayerTuple = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and layer type, as napari's readers return them."""

AXIS_LABELS = ("slice", "row", "column")
VOLUME_KEY, TRUTH_KEY = "hirescam_volume", "hirescam_truth"
"""Under these keys a layer's metadata hold the :class:`Volume` it shows and, for phantoms, which labels are present."""


def placement_mm(geometry: Geometry) -> dict[str, Any]:
    """Return scale, translate, units and axis labels for a canonical array.

    Raises
    ------
    ValueError
        If the geometry is not canonical: napari does not show oblique affines in 2-D.
    """
    if not geometry.is_canonical:
        raise ValueError(f"{geometry} is not canonical; resample it for display first")
    return {
        "scale": geometry.spacing_mm,
        "translate": tuple(to_display(geometry.origin_mm).tolist()),
        "units": ("mm", "mm", "mm"),
        "axis_labels": AXIS_LABELS,
    }


def ct_layer(volume: Volume, picture: Picture | None = None, window: str = "lung", name: str = "CT") -> LayerTuple:
    """Return the layer of a CT in its native resolution.

    ``picture`` is what :func:`picture_of` gave, if it is at hand. The metadata carry the volume, never a path.
    """
    picture = picture_of(volume) if picture is None else picture
    meta = {
        "name": name,
        "contrast_limits": WINDOWS[window].limits_hu,
        "colormap": gray(picture.inverted),
        "metadata": {VOLUME_KEY: volume},
        **placement_mm(picture.geometry),
    }
    return (picture.hu, meta, "image")


def gray(inverted: bool) -> str:
    """Return napari's name of the gray scale; inverted for MONOCHROME1."""
    return "gray_r" if inverted else "gray"


def map_layer(
    explanation: Explanation,
    label: str,
    method: Method = "hirescam",
    placement: Placement = "receptive_field",
    policy: Policy | None = None,
) -> LayerTuple:
    """Return the layer of one map: float32 (H, D1, D2) scaled by ``policy`` (own maximum by default), placed in mm."""
    display = (PerLabel() if policy is None else policy).show(explanation, label, method)
    meta = {
        "name": METHOD_NAMES[method],
        "contrast_limits": display.limits,
        "colormap": map_colormap(display.colormap),
        "blending": "translucent",
        **placement_mm(explanation.geometry(method, placement)),
    }
    return (display.values.copy(), meta, "image")


def map_colormap(kind: ColormapKind) -> dict[str, Any]:
    """Return a map's colormap, transparent where there is no evidence.

    Evidence for runs from transparent over red and orange to yellow; evidence against, where shown, is blue.
    """
    return _DIVERGING if kind == "diverging" else _SEQUENTIAL


_SEQUENTIAL: dict[str, Any] = {"name": "evidence", "colors": FOR_COLORS, "controls": FOR_CONTROLS}
_DIVERGING: dict[str, Any] = {
    "name": "evidence for and against",
    "colors": (*AGAINST_COLORS, *FOR_COLORS),
    "controls": DIVERGING_CONTROLS,
}
