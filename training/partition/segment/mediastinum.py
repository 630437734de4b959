"""Mediastinum: what lies between the lungs, in front of the spine and behind the sternum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.partition.segment.analysis import Analysis
from training.partition.segment.body import IN_PLANE
from training.partition.segment.diaphragm import above_diaphragm
from training.partition.segment.lungs import Lungs
from training.partition.segment.shapes import Mask, convex_hull, dilate, erode, fill_enclosed
from training.partition.segment.spine import Spine

UNION_MM: Final = 60.0
"""The lungs of this much above a slice show where the chest wall is in front of the heart."""

DOME_SHARE: Final = 0.985
"""A lung's cross-section falls below this share of its largest where the diaphragm's dome begins."""

BELOW_DOME_MM: Final = (10.0, 40.0, 60.0)
"""The heart reaches at most this far below the left dome, the right dome; a left dome counts up to the third below."""

LATERAL_MM: Final = 55.0
BEHIND_HEART_MM: Final = 30.0
"""The domes are looked for farther to the right than this, and farther back than this in front of the spine."""

BELOW_CARINA_MM: Final = 100.0
"""How far below the carina there is heart in any case, such as with effusions that hide the domes."""

HEART_MM: Final = 85.0
"""The same where lungs end higher than the diaphragm, such as with airless lobes: a heart is taller than this."""

SPREAD: Final = (0.1, 0.4)
"""How much wider the mediastinum may get to the right and left below a dome, mm per mm: liver and stomach begin there.

The apex of the heart may still widen it to the left.
"""

FLANK_MM: Final = 40.0
FLANKED: Final = 0.4
"""The heart ends where lung is left in less than this share of the rows farther than this in front of the spine."""

POCKET_MM2: Final = 1200.0
"""Largest cross-section of what a lung may wrap round."""

PREVERTEBRAL_MM: Final = (14.0, 32.0, 28.0, 6.0)
"""Reach to the right and left of the spine's middle, before and behind its front, of aorta and oesophagus behind the
diaphragm; the aorta lies on the left."""

RECESSES_MM: Final = 70.0
"""What lies between the lungs' recesses, no farther apart than this, is mediastinum too: an aorta beside the spine."""

THIN_MM: Final = 8.0
"""Rims thinner than this, along the lungs where the diaphragm falls off, are none."""

VERTEBRA_HALF_MM: Final = 19.0

Plane = npt.NDArray[np.bool_]


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
    bounds = _Bounds(ct.hu.shape[1:], ct.spacing_mm[0] / ct.spacing_mm[2])
    domes = (levels.right_dome, levels.left_dome)
    dome = min(domes)
    chest = above_diaphragm(lungs, ct.spacing_mm, domes, _heart(ct, carina))
    chest[levels.bottom + 1 :] = False
    free = np.zeros_like(out)
    for index in np.flatnonzero(both.any(axis=(1, 2))).tolist():
        free[index] = inside[index] & ~both[index] & ~_behind(ct, spine, index)
        region = _between(edges, index, union[index]) & free[index]
        held = (index > levels.right_dome, index > levels.left_dome)
        region &= bounds.within(*held)
        bounds.follow(region, *held)
        if index > dome:
            region &= chest[index] | _prevertebral(ct, spine, index) | _flanked(edges, index, ct)
        out[index] = region
    out[dome + 1 :] &= dilate(erode(out, THIN_MM / 2, ct.spacing_mm), THIN_MM / 2, ct.spacing_mm)[dome + 1 :]
    out |= _pockets(ct, free, out, both, levels)
    out[dome:] &= ~lungs.gas[dome:]
    return fill_enclosed(out | both) & ~both & inside & ~lungs.gas


def _pockets(ct: Analysis, tissue: Mask, region: Mask, lungs: Mask, levels: _Levels) -> Mask:
    """Return what lung wraps round from behind, such as the aorta: lung on both sides, mediastinum beside it."""
    top = slice(0, min(levels.right_dome, levels.left_dome))
    right = np.logical_or.accumulate(lungs[top], axis=2)
    left = np.logical_or.accumulate(lungs[top, :, ::-1], axis=2)[:, :, ::-1]
    labels, n = ndimage.label(tissue[top] & right & left & ~region[top], IN_PLANE)
    area = np.bincount(labels.reshape(-1), minlength=n + 1) * ct.spacing_mm[1] * ct.spacing_mm[2]
    beside = np.bincount(labels[ndimage.binary_dilation(region[top], IN_PLANE)], minlength=n + 1)
    taken = (area < POCKET_MM2) & (beside >= 2)
    taken[0] = False
    out = np.zeros_like(region)
    out[top] = taken[labels]
    return out


class _Bounds:
    """The right and left border of the mediastinum, row by row, carried from slice to slice."""

    def __init__(self, shape: tuple[int, ...], step: float) -> None:
        self._columns = np.arange(shape[1])
        self._first = np.full(shape[0], np.inf)
        self._last = np.full(shape[0], -np.inf)
        self._spread = [mm * step for mm in SPREAD]

    def within(self, right: bool, left: bool) -> Plane:
        """Return what lies between the borders of the slice above, each a little wider, where they hold."""
        inside = np.ones((len(self._first), len(self._columns)), dtype=bool)
        if right:
            self._first -= self._spread[0]
            inside &= self._columns >= self._first[:, None]
        if left:
            self._last += self._spread[1]
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
    """Find the domes and how far below them there may be heart."""
    slice_mm = ct.spacing_mm[0]
    right, left = dome_levels(ct, lungs, spine)
    low, reach, most = (round(mm / slice_mm) for mm in BELOW_DOME_MM)
    bottom = max(right + reach, min(left, right + most) + low)
    if carina is not None:
        bottom = max(bottom, carina + round(BELOW_CARINA_MM / slice_mm))
    bottom = max(min(bottom, _last_flanked(ct, lungs, spine) + low), min(right, left))
    return _Levels(right, left, bottom)


def dome_levels(ct: Analysis, lungs: Lungs, spine: Spine) -> tuple[int, int]:
    """Return the slices where the right dome begins, in the lateral lung, and the left one, behind the heart."""
    slice_mm, row_mm, column_mm = ct.spacing_mm
    lateral = np.arange(ct.hu.shape[2]) < (spine.column - LATERAL_MM / column_mm)[:, None]
    back = np.arange(ct.hu.shape[1]) > (spine.front - BEHIND_HEART_MM / row_mm)[:, None]
    return _dome(lungs.right & lateral[:, None], slice_mm), _dome(lungs.left & back[:, :, None], slice_mm)


def _last_flanked(ct: Analysis, lungs: Lungs, spine: Spine) -> int:
    """Return the last slice in which lung stands beside the heart, in rows well in front of the spine."""
    rows = (lungs.right | lungs.left).any(axis=2)
    ahead = np.arange(ct.hu.shape[1]) < (spine.front - FLANK_MM / ct.spacing_mm[1])[:, None]
    flanked = (rows & ahead).sum(axis=1).astype(float) * ct.spacing_mm[1]
    most = np.percentile(flanked[flanked > 0], 90) if flanked.any() else 0.0
    return int(np.flatnonzero(flanked >= FLANKED * most)[-1])


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
    return np.asarray((columns > right) & (columns < left) & convex_hull(union))


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
    right, left, before, behind = PREVERTEBRAL_MM
    across = (np.arange(ct.hu.shape[2]) - spine.column[index]) * ct.spacing_mm[2]
    ahead = (spine.front[index] - np.arange(ct.hu.shape[1])[:, None]) * ct.spacing_mm[1]
    return np.asarray((across >= -right) & (across <= left) & (ahead <= before) & (ahead >= -behind))


def _flanked(edges: _Edges, index: int, ct: Analysis) -> Plane:
    """Return the rows with lung on both sides that is close together."""
    right, left = edges.right[index], edges.left[index]
    close = (left - right) * ct.spacing_mm[2] <= RECESSES_MM
    held = (right >= 0) & (left < ct.hu.shape[2]) & close
    return np.broadcast_to(held[:, None], ct.hu.shape[1:])


def _heart(ct: Analysis, carina: int | None) -> float:
    """Return the slice above which there is heart in any case; -1 if unknown."""
    return -1.0 if carina is None else carina + HEART_MM / ct.spacing_mm[0]
