"""Morphology in millimetres: dilation, erosion and closing by Euclidean distance, components by volume."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, Literal

import cc3d
import fill_voids  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from edt import edt  # type: ignore[import-not-found]

Mask = npt.NDArray[np.bool_]
Line = npt.NDArray[np.float64]
Spacing = tuple[float, float, float]

THREADS: Final = max(1, min(4, os.cpu_count() or 1))
"""Threads of one distance transform."""


def distance_mm(mask: Mask, spacing_mm: Spacing) -> npt.NDArray[np.float32]:
    """Return each True voxel's distance to the nearest False one, mm; 0 at False voxels.

    What lies outside the array counts as neither, so that nothing is eroded at the edge of the field of view.
    """
    flat = np.ascontiguousarray(mask)
    return np.asarray(edt(flat, anisotropy=spacing_mm, black_border=False, parallel=THREADS), dtype=np.float32)


def dilate(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Return the voxels within ``radius_mm`` of ``mask`` (centre to centre)."""
    if not mask.any():
        return np.zeros_like(mask)
    out = mask.copy()
    window = bounding_box(mask, radius_mm, spacing_mm)
    out[window] = distance_mm(~mask[window], spacing_mm) <= radius_mm
    return out


def erode(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Return the voxels of ``mask`` farther than ``radius_mm`` from everything else."""
    if mask.all() or not mask.any():
        return mask.copy()
    out = np.zeros_like(mask)
    window = bounding_box(mask, max(spacing_mm), spacing_mm)
    out[window] = distance_mm(mask[window], spacing_mm) > radius_mm
    return out


def close(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Return the closing of ``mask`` by a ball; always a superset of it."""
    if not mask.any():
        return mask.copy()
    window = bounding_box(mask, 0.0, spacing_mm)
    pad = [int(np.ceil(radius_mm / s)) + 1 for s in spacing_mm]
    wide = np.pad(mask[window], [(p, p) for p in pad])
    near = distance_mm(~wide, spacing_mm) <= radius_mm
    filled = distance_mm(near, spacing_mm) > radius_mm
    inner = tuple(slice(p, n - p) for p, n in zip(pad, filled.shape, strict=True))
    out = mask.copy()
    out[window] |= filled[inner]
    return out


def bounding_box(mask: Mask, margin_mm: float, spacing_mm: Spacing) -> tuple[slice, slice, slice]:
    """Return the box around the True voxels, widened by ``margin_mm``; an empty box if there are none."""
    box = []
    for axis, step in enumerate(spacing_mm):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(mask.any(axis=others))
        if not used.size:
            return (slice(0, 0), slice(0, 0), slice(0, 0))
        margin = int(np.ceil(margin_mm / step))
        box.append(slice(max(0, int(used[0]) - margin), min(mask.shape[axis], int(used[-1]) + 1 + margin)))
    return (box[0], box[1], box[2])


def components(
    mask: Mask, connectivity: Literal[6, 18, 26] = 6
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.int64]]:
    """Return labels 1..N of the connected parts of ``mask`` and their voxel counts (index 0: the rest)."""
    labels = np.asarray(cc3d.connected_components(np.ascontiguousarray(mask), connectivity=connectivity))
    return labels, np.bincount(labels.reshape(-1))


def by_size(counts: npt.NDArray[np.int64], least: float) -> Iterator[int]:
    """Yield the labels of components of at least ``least`` voxels, largest first."""
    for label in (np.argsort(-counts[1:], kind="stable") + 1).tolist():
        if counts[label] < least:
            return
        yield label


def largest(mask: Mask, connectivity: Literal[6, 18, 26] = 6) -> Mask:
    """Return the largest connected part of ``mask``."""
    labels, counts = components(mask, connectivity)
    if len(counts) < 2:
        return np.zeros_like(mask)
    return np.asarray(labels == int(np.argmax(counts[1:])) + 1)


def select(labels: npt.NDArray[np.integer], wanted: Iterator[int] | list[int], n: int) -> Mask:
    """Return the voxels whose label is in ``wanted``; ``n`` is the number of labels with the background."""
    table = np.zeros(n, dtype=bool)
    table[list(wanted)] = True
    return np.asarray(table[labels])


def fill_slices(mask: Mask, axis: int = 0) -> Mask:
    """Return ``mask`` with the holes of every slice across ``axis`` filled."""
    out = mask.copy()
    planes, filled = np.moveaxis(mask, axis, 0), np.moveaxis(out, axis, 0)
    for index in np.flatnonzero(planes.any(axis=(1, 2))):
        filled[index] = fill_voids.fill(np.ascontiguousarray(planes[index]))
    return out


def fill_enclosed(mask: Mask) -> Mask:
    """Return ``mask`` with what it surrounds in at least two of the three planes: nodules held by a vessel, not a dome.

    A dome of the diaphragm is surrounded in axial slices only.
    """
    axial, coronal, sagittal = (fill_slices(mask, axis) for axis in range(3))
    return (axial & coronal) | (axial & sagittal) | (coronal & sagittal)


def convex_hull(mask: Mask) -> Mask:
    """Return the convex hull of a slice's mask, filled."""
    rows = np.flatnonzero(mask.any(axis=1))
    out = np.zeros_like(mask)
    if rows.size < 2:
        return mask.copy()
    first = np.argmax(mask[rows], axis=1).astype(np.float64)
    last = mask.shape[1] - 1 - np.argmax(mask[rows, ::-1], axis=1).astype(np.float64)
    every = np.arange(rows[0], rows[-1] + 1)
    low = np.interp(every, *_envelope(rows, first))
    high = -np.interp(every, *_envelope(rows, -last))
    columns = np.arange(mask.shape[1])
    out[every] = (columns >= low[:, None]) & (columns <= high[:, None])
    return out


def _envelope(x: npt.NDArray[np.integer], y: Line) -> tuple[Line, Line]:
    """Return the corners of the lower convex envelope of points sorted by x."""
    kept: list[tuple[float, float]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while len(kept) > 1 and _turns_down(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    corners = np.asarray(kept, dtype=np.float64)
    return corners[:, 0], corners[:, 1]


def _turns_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0
