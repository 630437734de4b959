"""The CT as a reader sees it: on a canonical grid, in a gray-scale window; for the viewer and for figures alike.

The display frame is the canonical patient frame in mm: (slice head to feet, row front to back, column patient right to
left). Its third axis is LPS x, its second LPS y, its first LPS -z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.geometry import CANONICAL_DIRECTION, FloatArray, Geometry
from training.volume import AIR_HU, Volume


class WindowPreset(NamedTuple):
    """A gray-scale window in HU."""

    title: str
    level_hu: float
    width_hu: float

    @property
    def limits_hu(self) -> tuple[float, float]:
        """HU shown black and white."""
        return (self.level_hu - self.width_hu / 2, self.level_hu + self.width_hu / 2)


WINDOWS: Mapping[str, WindowPreset] = MappingProxyType(
    {
        "lung": WindowPreset("Lung", -600, 1500),
        "mediastinum": WindowPreset("Mediastinum", 50, 350),
        "bone": WindowPreset("Bone", 400, 1800),
        "soft_tissue": WindowPreset("Soft tissue", 40, 400),
    }
)
"""The usual windows of chest CT."""


def to_display(points_lps_mm: npt.ArrayLike) -> FloatArray:
    """Map LPS mm (..., 3) to (slice, row, column) mm of the display frame."""
    return np.asarray(np.asarray(points_lps_mm, dtype=np.float64) @ CANONICAL_DIRECTION)


def to_lps(points_display_mm: npt.ArrayLike) -> FloatArray:
    """Inverse of :func:`to_display`."""
    return np.asarray(np.asarray(points_display_mm, dtype=np.float64) @ CANONICAL_DIRECTION.T)


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
    grid = drawn_grid(volume.geometry)
    if grid is volume.geometry:
        return Picture(volume.hu, grid, volume.inverted_display)
    from training.resample import resample_oblique

    clip = (min(AIR_HU, int(volume.hu.min())), int(volume.hu.max()))
    hu = resample_oblique(volume.hu, volume.geometry, grid, AIR_HU, clip)
    return Picture(hu, grid, volume.inverted_display)


def drawn_grid(geometry: Geometry) -> Geometry:
    """Return the grid on which a CT of ``geometry`` is drawn: itself if canonical, else :func:`canonical_grid`.

    Known without the CT, so that maps stand in the same field of view whether or not it is at hand.
    """
    return geometry if geometry.is_canonical else canonical_grid(geometry)


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
