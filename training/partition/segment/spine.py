"""The spine: where the midline runs, and what of the posterior midline is vertebra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.partition.segment.analysis import Analysis
from training.partition.segment.shapes import Mask

BONE_HU: Final = 160
WINDOW_MM: Final = 45.0
"""Length of spine that is looked at together: more than a vertebra with its disc."""

BACK_MM: Final = 75.0
"""The back wall of a vertebral body is at most this far in front of the spinous processes' tips."""

LEAST_FOUND: Final = 0.2
"""Share of the slices in which a spine must be seen; else it counts as outside the field of view."""

CANAL_MM: Final = 8.0
"""Depth of a spinal canal, at least."""

CUT_SHARE: Final = 0.6
"""Share of the last row that is tissue where the field of view cuts through the back."""

SKIN_MM: Final = 6.0
"""Soft tissue behind the spine, at least; without it the field of view ends in or before the spine."""

Line = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spine:
    """Per analysis slice, in index units: ``column`` of the midline, ``front`` and ``back`` rows of the vertebral body.

    ``found`` is False where too little bone was seen; the lines are then continued from other slices.
    """

    column: Line
    front: Line
    back: Line
    found: npt.NDArray[np.bool_]


def find_spine(ct: Analysis, tissue: Mask) -> Spine:
    """Find the spine as the densest column of bone near the middle of the back."""
    n = ct.hu.shape[0]
    slice_mm, row_mm, column_mm = ct.spacing_mm
    size = max(1, round(WINDOW_MM / slice_mm))
    bone = ((ct.hu > BONE_HU) & tissue).astype(np.float32)
    share = ndimage.uniform_filter1d(bone, size, axis=0, mode="nearest")
    middle, front_of_back, rear = _middle(tissue)
    column, canal, front = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    for index in range(n):
        if np.isnan(middle[index]):
            continue
        x = _midline(share[index], middle[index], int(rear[index]), column_mm)
        if x is None:
            continue
        column[index] = x
        canal[index], front[index] = _canal_and_front(share[index], x, int(front_of_back[index]), row_mm, column_mm)
    found = ~np.isnan(front)
    smooth = max(3, round(2 * WINDOW_MM / slice_mm) | 1)
    fallback = float(np.nanmedian(middle)) if not np.isnan(middle).all() else (ct.hu.shape[2] - 1) / 2
    if found.mean() < LEAST_FOUND or _back_is_cut(tissue):
        column[:] = front[:] = canal[:] = np.nan
    outside = ct.hu.shape[1] + WINDOW_MM / row_mm
    return Spine(
        _smoothed(column, smooth, fallback),
        _smoothed(front, smooth, outside),
        _smoothed(canal, smooth, outside),
        found,
    )


def _back_is_cut(tissue: Mask) -> bool:
    """Return True if the patient's back lies outside the field of view, and the spinous processes perhaps with it."""
    return bool(np.median(tissue[:, -1].mean(axis=1)) > CUT_SHARE)


def _middle(tissue: Mask) -> tuple[Line, Line, Line]:
    """Return, per slice, the middle column of the tissue and the rows where its back 60 % and 35 % begin."""
    n = tissue.shape[0]
    middle, half, rear = np.full(n, np.nan), np.zeros(n), np.zeros(n)
    columns = tissue.sum(axis=1, dtype=np.int64)
    rows = tissue.sum(axis=2, dtype=np.int64)
    for index in np.flatnonzero(columns.any(axis=1)):
        middle[index] = _quantile(columns[index], 0.5)
        low, high = _quantile(rows[index], 0.02), _quantile(rows[index], 0.98)
        half[index], rear[index] = low + 0.4 * (high - low), low + 0.65 * (high - low)
    return middle, half, rear


def _quantile(counts: npt.NDArray[np.int64], q: float) -> float:
    return float(np.searchsorted(np.cumsum(counts), q * counts.sum()))


def _midline(share: npt.NDArray[np.float32], middle: float, top: int, column_mm: float) -> float | None:
    """Return the column where most bone of the back lies, searched in narrowing windows."""
    profile = share[top:].sum(axis=0)
    at = middle
    for half_mm in (70.0, 30.0, 22.0):
        low, high = max(0, int(at - half_mm / column_mm)), int(at + half_mm / column_mm) + 1
        weights = profile[low:high]
        if weights.sum() * column_mm < 20:
            return None
        at = low + float((weights * np.arange(weights.size)).sum() / weights.sum())
    return at


def _canal_and_front(
    share: npt.NDArray[np.float32], column: float, top: int, row_mm: float, column_mm: float
) -> tuple[float, float]:
    """Return the rows of the vertebral body's back (front wall of the canal) and front."""
    half = max(1, round(9 / column_mm))
    low = max(0, round(column) - half)
    profile = share[top:, low : round(column) + half + 1].mean(axis=1)
    strong = np.flatnonzero(profile > 0.2)
    if profile.max() < 0.15 or not strong.size or (profile.size - 1 - strong[-1]) * row_mm < SKIN_MM:
        return np.nan, np.nan
    back = _canal_front(profile, int(strong[-1]), row_mm)
    front = back
    while front > 0 and profile[front - 1] > 0.4 * profile[max(0, back - round(25 / row_mm)) : back + 1].max():
        front -= 1
    front = min(max(front, back - round(36 / row_mm)), back - round(18 / row_mm))
    return float(top + back), float(top + max(0, front))


def _canal_front(profile: npt.NDArray[np.float32], tip: int, row_mm: float) -> int:
    """Return the row just in front of the canal, the rearmost dip with bone on both sides; ``tip``: the back's."""
    start = max(0, tip - round(BACK_MM / row_mm))
    if start:
        return start + _canal_front(profile[start:], tip - start, row_mm)
    before = np.maximum.accumulate(profile)
    behind = np.maximum.accumulate(profile[::-1])[::-1]
    depth = np.minimum(before, behind) - profile
    dip = _last_dip(depth, round(CANAL_MM / row_mm))
    wall = dip
    while wall > 0 and profile[wall - 1] < 0.5 * before[dip]:
        wall -= 1
    return wall


def _last_dip(depth: npt.NDArray[np.float32], least: int) -> int:
    """Return the deepest row of the rearmost dip that is at least ``least`` rows long: those in front are vessels."""
    labels, n = ndimage.label(depth > 0.1)
    for label in range(n, 0, -1):
        rows = np.flatnonzero(labels == label)
        if rows.size >= least:
            return int(rows[np.argmax(depth[rows])])
    return int(np.argmax(depth))


def _smoothed(values: Line, size: int, fallback: float) -> Line:
    """Return ``values`` without gaps and outliers: running median, then mean."""
    known = np.flatnonzero(~np.isnan(values))
    if not known.size:
        return np.full(len(values), fallback)
    full = np.interp(np.arange(len(values)), known, values[known])
    full = ndimage.median_filter(full, size, mode="nearest")
    return np.asarray(ndimage.uniform_filter1d(full, max(1, size // 2), mode="nearest"))
