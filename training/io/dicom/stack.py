"""Image planes sorted by where they lie, and how well they make a regular grid (PS3.3 C.7.6.2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.geometry import FloatArray
from training.io.dicom.records import Frame

MIN_SLICES = 3
"""Fewer slices are no volume."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes in ascending order along the normal (row direction x column direction), so always right-handed.

    Parameters
    ----------
    frames
        Sorted planes.
    axes
        3 x 3, columns: unit LPS vectors of the normal, down a column, along a row.
    z_mm
        Position along the normal, ascending.
    shift_mm
        (n, 2): how far each first pixel lies off the line along the normal through that of the first plane; down a
        column, along a row.
    deviation
        (n,): largest difference of each plane's direction cosines from ``axes``.
    own_deviation
        (n,): largest difference of each plane's direction cosines from the closest orthonormal pair.
    spacing_mm
        Between rows, between columns.
    """

    frames: tuple[Frame, ...]
    axes: FloatArray
    z_mm: FloatArray
    shift_mm: FloatArray
    deviation: FloatArray
    own_deviation: FloatArray
    spacing_mm: tuple[float, float]

    @property
    def step_mm(self) -> float:
        """Mean distance between neighbouring planes."""
        return float((self.z_mm[-1] - self.z_mm[0]) / (len(self.z_mm) - 1))

    @property
    def origin_mm(self) -> FloatArray:
        """LPS centre of the first pixel of the first plane."""
        return np.asarray(self.frames[0].position_mm, dtype=np.float64)


def make_stack(frames: Sequence[Frame]) -> Stack | None:
    """Return the planes in order; None if one has no position, orientation or pixel spacing."""
    if any(f.position_mm is None or f.orientation is None or f.spacing_mm is None for f in frames):
        return None
    pairs = _pairs(frames)
    axes = _common_axes(pairs)
    positions = np.asarray([f.position_mm for f in frames], dtype=np.float64)
    order = np.argsort(positions @ axes[:, 0], kind="stable")
    along = positions[order] @ axes
    reference = np.stack([axes[:, 2], axes[:, 1]], axis=1)
    spacing = np.median(np.asarray([f.spacing_mm for f in frames], dtype=np.float64), axis=0)
    return Stack(
        frames=tuple(frames[k] for k in order),
        axes=axes,
        z_mm=along[:, 0],
        shift_mm=along[:, 1:] - along[0, 1:],
        deviation=np.abs(pairs - reference).max(axis=(1, 2))[order],
        own_deviation=np.abs(pairs - _orthonormal(pairs)).max(axis=(1, 2))[order],
        spacing_mm=(float(spacing[0]), float(spacing[1])),
    )


def positions_along_normal(frames: Sequence[Frame]) -> FloatArray | None:
    """Return where each plane lies along the common normal, mm; None if one has no position or orientation."""
    if any(f.position_mm is None or f.orientation is None for f in frames):
        return None
    normal = _common_axes(_pairs(frames))[:, 0]
    return np.asarray(np.asarray([f.position_mm for f in frames], dtype=np.float64) @ normal)


def _pairs(frames: Sequence[Frame]) -> FloatArray:
    """Return (n, 3, 2): direction along a row, direction down a column."""
    cosines = np.asarray([f.orientation for f in frames], dtype=np.float64)
    return np.ascontiguousarray(cosines.reshape(-1, 2, 3).transpose(0, 2, 1))


def _orthonormal(pairs: FloatArray) -> FloatArray:
    """Return the orthonormal pairs closest to ``pairs`` (..., 3, 2): the polar factor."""
    u, _, vt = np.linalg.svd(pairs, full_matrices=False)
    return np.asarray(u @ vt)


def _common_axes(pairs: FloatArray) -> FloatArray:
    along_row, down_column = _orthonormal(np.median(pairs, axis=0)).T
    return np.stack([np.cross(along_row, down_column), down_column, along_row], axis=1)
