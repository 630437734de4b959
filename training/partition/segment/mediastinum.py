"""Mediastinum: what lies between the lungs, in front of the spine and behind the sternum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.partition.segment.analysis import Analysis
from training.partition.segment.lungs import Lungs
from training.partition.segment.shapes import Mask, fill_enclosed
from training.partition.segment.spine import Spine

UNION_MM: Final = 60.0
"""The lungs of this much above a slice show where the chest wall is in front of the heart."""

DOME_SHARE: Final = 0.97
"""A lung's cross-section falls below this share of its largest where the diaphragm's dome begins."""

BELOW_DOME_MM: Final = (10.0, 40.0, 60.0)
"""The heart reaches at most this far below the left dome, the right dome; a left dome counts up to the third below."""

LATERAL_MM: Final = 55.0
BEHIND_HEART_MM: Final = 30.0
"""The domes are looked for farther to the right than this, and farther back than this in front of the spine."""

BELOW_CARINA_MM: Final = 100.0
"""How far below the carina there is heart in any case, such as with effusions that hide the domes."""

SPREAD: Final = 0.1
"""How much wider the mediastinum may get below a dome, mm per mm: the liver and the stomach begin there."""

PREVERTEBRAL_MM: Final = (40.0, 45.0)
"""Half width and depth of the zone of aorta and oesophagus below the heart."""

VERTEBRA_HALF_MM: Final = 19.0

Plane = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Edges:
    """Per (slice, row): last column of the right lung and first of the left; -1 and n where there is none."""

    right: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Levels:
    """Slices: where each dome begins, and the last one that may hold heart."""

    right_dome: int
    left_dome: int
    bottom: int


def find_mediastinum(ct: Analysis, inside: Mask, lungs: Lungs, spine: Spine, carina: int | None) -> Mask:
    """Find the mediastinum; empty without two lungs."""
    out = np.zeros_like(lungs.right)
    if not (lungs.right.any() and lungs.left.any()):
        return out
    both = lungs.right | lungs.left
    edges = _Edges(_last(lungs.right), _first(lungs.left))
    union = _above(both, UNION_MM / ct.spacing_mm[0])
    levels = _levels(ct, lungs, spine, carina)
    bounds = _Bounds(ct.hu.shape[1:], SPREAD * ct.spacing_mm[0] / ct.spacing_mm[2])
    for index in np.flatnonzero(both.any(axis=(1, 2))).tolist():
        region = _between(edges, index, union[index]) & ~_behind(ct, spine, index)
        region &= inside[index] & ~both[index]
        held = (index > levels.right_dome, index > levels.left_dome)
        region &= bounds.within(*held)
        bounds.follow(region, *held)
        if index > levels.bottom:
            region &= _prevertebral(ct, spine, index)
        out[index] = region
    return fill_enclosed(out | both) & ~both & inside if out.any() else out


class _Bounds:
    """The right and left border of the mediastinum, row by row, carried from slice to slice."""

    def __init__(self, shape: tuple[int, ...], spread: float) -> None:
        self._columns = np.arange(shape[1])
        self._first = np.full(shape[0], np.inf)
        self._last = np.full(shape[0], -np.inf)
        self._spread = spread

    def within(self, right: bool, left: bool) -> Plane:
        """Return what lies between the borders of the slice above, each a little wider, where they hold."""
        inside = np.ones((len(self._first), len(self._columns)), dtype=bool)
        if right:
            self._first -= self._spread
            inside &= self._columns >= self._first[:, None]
        if left:
            self._last += self._spread
            inside &= self._columns <= self._last[:, None]
        return inside

    def follow(self, region: Plane, right: bool, left: bool) -> None:
        """Take the borders of ``region``; rows without any take those of their neighbours."""
        used = region.any(axis=1)
        first = np.argmax(region, axis=1).astype(np.float64)
        last = region.shape[1] - 1 - np.argmax(region[:, ::-1], axis=1).astype(np.float64)
        if right:
            first = np.maximum(first - 1, self._first)
        if left:
            last = np.minimum(last + 1, self._last)
        self._first = ndimage.minimum_filter1d(np.where(used, first, np.inf), 3)
        self._last = ndimage.maximum_filter1d(np.where(used, last, -np.inf), 3)


def _levels(ct: Analysis, lungs: Lungs, spine: Spine, carina: int | None) -> _Levels:
    """Find the domes: the right one where the lateral right lung gets smaller, the left one behind the heart."""
    slice_mm, row_mm, column_mm = ct.spacing_mm
    lateral = np.arange(ct.hu.shape[2]) < (spine.column - LATERAL_MM / column_mm)[:, None]
    back = np.arange(ct.hu.shape[1]) > (spine.front - BEHIND_HEART_MM / row_mm)[:, None]
    right = _dome(lungs.right & lateral[:, None], slice_mm)
    left = _dome(lungs.left & back[:, :, None], slice_mm)
    low, reach, most = (round(mm / slice_mm) for mm in BELOW_DOME_MM)
    bottom = max(right + reach, min(left, right + most) + low)
    if carina is not None:
        bottom = max(bottom, carina + round(BELOW_CARINA_MM / slice_mm))
    return _Levels(right, left, bottom)


def _dome(lung: Mask, slice_mm: float) -> int:
    """Return the last slice whose cross-section is close to the largest."""
    area = ndimage.uniform_filter1d(lung.sum(axis=(1, 2)).astype(float), max(1, round(15 / slice_mm)), mode="nearest")
    return int(np.flatnonzero(area >= DOME_SHARE * area.max())[-1])


def _last(mask: Mask) -> npt.NDArray[np.int64]:
    n = mask.shape[2]
    return np.asarray(np.where(mask.any(axis=2), n - 1 - np.argmax(mask[:, :, ::-1], axis=2), -1))


def _first(mask: Mask) -> npt.NDArray[np.int64]:
    return np.asarray(np.where(mask.any(axis=2), np.argmax(mask, axis=2), mask.shape[2]))


def _above(mask: Mask, slices: float) -> Mask:
    """Return, for each slice, the union of itself and the slices up to that many above it."""
    size = max(1, round(slices))
    origin = (size - 1) - size // 2
    out = ndimage.maximum_filter1d(mask.view(np.uint8), size, axis=0, mode="constant", origin=origin)
    return np.asarray(out, dtype=bool)


def _between(edges: _Edges, index: int, union: Plane) -> Plane:
    columns = np.arange(union.shape[1])
    right, left = edges.right[index][:, None], edges.left[index][:, None]
    return np.asarray((columns > right) & (columns < left) & hull(union))


def hull(mask: Plane) -> Plane:
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


def _envelope(x: npt.NDArray[np.integer], y: Rows) -> tuple[Rows, Rows]:
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


def _behind(ct: Analysis, spine: Spine, index: int) -> Plane:
    """Return the vertebral body and all that lies behind its back."""
    _, rows, columns = ct.hu.shape
    _, row_mm, column_mm = ct.spacing_mm
    across = (np.arange(columns) - spine.column[index]) * column_mm / VERTEBRA_HALF_MM
    depth = max(1.0, (spine.back[index] - spine.front[index]) * row_mm)
    along = (np.arange(rows) - spine.back[index])[:, None] * row_mm / depth
    body = (np.abs(across) ** 2.5 + np.abs(along) ** 2.5 <= 1) | (along >= 0)
    return np.asarray(body)


def _prevertebral(ct: Analysis, spine: Spine, index: int) -> Plane:
    half, depth = PREVERTEBRAL_MM
    across = np.abs(np.arange(ct.hu.shape[2]) - spine.column[index]) * ct.spacing_mm[2] <= half
    rows = np.arange(ct.hu.shape[1])[:, None]
    return np.asarray(across & (rows >= spine.front[index] - depth / ct.spacing_mm[1]))
