"""Signed levels of simple shapes (mm, negative inside) and how much of a voxel they cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.grid import F32, Box


def soft(level: F32, width: float) -> F32:
    """Return the covered fraction of voxels ``width`` mm wide at a signed ``level`` (mm, negative inside)."""
    cover = np.multiply(level, np.float32(-1 / width), dtype=np.float32)
    cover += np.float32(0.5)
    return np.clip(cover, 0, 1, out=cover)


def smooth_max(a: F32, b: F32, radius: float) -> F32:
    """Return max(a, b) with the edge rounded over ``radius`` mm (polynomial fillet)."""
    edge: F32 = np.abs(a - b)
    np.subtract(np.float32(radius), edge, out=edge)
    np.maximum(edge, 0, out=edge)
    edge *= edge
    edge *= np.float32(0.25 / radius)
    edge += np.maximum(a, b)
    return edge


def sheet(level: F32, thickness: float, width: float) -> F32:
    """Return the fraction of voxels ``width`` mm wide that a sheet around level 0 covers; thin ones fade."""
    half = max(thickness, width) / 2
    return soft(np.abs(level) - np.float32(half), width) * np.float32(min(1.0, thickness / (2 * half)))


def ellipsoid(box: Box, centre: npt.ArrayLike, radii: npt.ArrayLike, frame: npt.ArrayLike | None = None) -> F32:
    """Return the approximate signed distance (mm) to an ellipsoid in local LPS; rows of ``frame`` are its axes."""
    c, r = np.asarray(centre, dtype=np.float32), np.asarray(radii, dtype=np.float32)
    x, y, z = box.x - c[0], box.y - c[1], box.z - c[2]
    if frame is None:
        square = (x / r[0]) ** 2 + ((y / r[1]) ** 2 + (z / r[2]) ** 2)
    else:
        axes = np.asarray(frame, dtype=np.float32) / r[:, None]
        square = np.zeros(box.hu.shape, np.float32)
        for a in axes:
            along = (a[0] * x) + (a[1] * y + a[2] * z)
            along *= along
            square += along
    np.sqrt(square, out=square)
    square -= 1
    square *= r.min()
    return np.asarray(square, dtype=np.float32)


def capsule(box: Box, p0: npt.ArrayLike, p1: npt.ArrayLike, r0: float, r1: float) -> F32:
    """Return the signed distance (mm) to a round-ended cone from ``p0`` to ``p1`` (local LPS)."""
    a, b = np.asarray(p0, dtype=np.float32), np.asarray(p1, dtype=np.float32)
    d = b - a
    x, y, z = box.x - a[0], box.y - a[1], box.z - a[2]
    t = (x * (d[0] / (d @ d))) + ((y * d[1] + z * d[2]) / (d @ d))
    np.clip(t, 0, 1, out=t)
    distance = (x - t * d[0]) ** 2
    distance += (y - t * d[1]) ** 2
    distance += (z - t * d[2]) ** 2
    np.sqrt(distance, out=distance)
    distance -= np.float32(r0) + t * np.float32(r1 - r0)
    return np.asarray(distance, dtype=np.float32)
