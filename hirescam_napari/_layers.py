"""CTs and explanations as napari layer tuples, placed in mm; low-resolution maps stay low-resolution arrays.

The viewer's world is the canonical patient frame in mm: (slice head to feet, row front to back, column patient right
to left). Its third axis is LPS x, its second LPS y, its first LPS -z, so that an axial slice is napari's plain 2-D view
with the patient's right on the left of the screen and the front at the top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hirescam_napari._state import WINDOWS
from training.explain.display import ColormapKind, PerLabel, Policy
from training.explain.placement import Placement
from training.explain.result import METHOD_NAMES, Explanation, Method
from training.geometry import CANONICAL_DIRECTION, FloatArray, Geometry
from training.volume import AIR_HU, Volume

LayerTuple = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and layer type, as napari's readers return them."""

AXIS_LABELS = ("slice", "row", "column")
VOLUME_KEY, TRUTH_KEY = "hirescam_volume", "hirescam_truth"
"""Under these keys a layer's metadata hold the :class:`Volume` it shows and, for phantoms, which labels are present."""


def to_display(points_lps_mm: npt.ArrayLike) -> FloatArray:
    """Map LPS mm (..., 3) to the viewer's (slice, row, column) mm."""
    return np.asarray(np.asarray(points_lps_mm, dtype=np.float64) @ CANONICAL_DIRECTION)


def to_lps(points_display_mm: npt.ArrayLike) -> FloatArray:
    """Inverse of :func:`to_display`."""
    return np.asarray(np.asarray(points_display_mm, dtype=np.float64) @ CANONICAL_DIRECTION.T)


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


@dataclass(frozen=True, eq=False)
class Picture:
    """A CT as it is drawn: int16 HU on a canonical grid, read-only by convention."""

    hu: npt.NDArray[np.int16]
    geometry: Geometry
    inverted: bool = False


def picture_of(volume: Volume) -> Picture:
    """Return ``volume`` ready to draw: itself if canonical, else resampled to a canonical grid around it.

    The volume keeps its own affine; only the picture is resampled (cubic B-spline, air outside).
    """
    if volume.geometry.is_canonical:
        return Picture(volume.hu, volume.geometry, volume.inverted_display)
    from training.resample import resample_oblique

    grid = canonical_grid(volume.geometry)
    clip = (min(AIR_HU, int(volume.hu.min())), int(volume.hu.max()))
    hu = resample_oblique(volume.hu, volume.geometry, grid, AIR_HU, clip)
    return Picture(hu, grid, volume.inverted_display)


def canonical_grid(geometry: Geometry) -> Geometry:
    """Return the smallest canonical grid that holds all voxel centres of ``geometry``.

    Each axis has the spacing of the axis of ``geometry`` that runs closest to it.
    """
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in geometry.shape], indexing="ij"), -1).reshape(-1, 3)
    points = to_display(geometry.to_world(corners))
    along = np.abs(CANONICAL_DIRECTION.T @ geometry.direction)
    spacing = np.asarray(geometry.spacing_mm)[along.argmax(axis=1)]
    low, high = points.min(axis=0), points.max(axis=0)
    shape = np.ceil((high - low) / spacing - 1e-6).astype(int) + 1
    return Geometry.canonical(shape.tolist(), spacing.tolist(), to_lps(low).tolist())


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


_FOR = ((0.75, 0.0, 0.15, 0.0), (0.85, 0.10, 0.10, 0.55), (0.98, 0.45, 0.05, 0.9), (1.0, 0.9, 0.25, 1.0))
_AGAINST = ((0.45, 0.9, 1.0, 1.0), (0.15, 0.6, 0.95, 0.9), (0.10, 0.25, 0.8, 0.55), (0.05, 0.1, 0.6, 0.0))
_SEQUENTIAL: dict[str, Any] = {"name": "evidence", "colors": _FOR, "controls": (0.0, 0.25, 0.6, 1.0)}
_DIVERGING: dict[str, Any] = {
    "name": "evidence for and against",
    "colors": (*_AGAINST, *_FOR),
    "controls": (0.0, 0.2, 0.375, 0.5, 0.5, 0.625, 0.8, 1.0),
}
