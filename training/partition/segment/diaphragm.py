"""The diaphragm between the lungs: a surface that continues the lungs' bases below the heart."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import spsolve

from training.partition.segment.shapes import Mask, Spacing

CELL_MM: Final = 6.0
"""The surface is worked out in cells of about this size."""

FAR_MM: Final = 5.0
"""How far below the surface the mediastinum may reach: it is known to about this much."""

Surface = npt.NDArray[np.float64]


def above_diaphragm(lungs: Mask, spacing_mm: Spacing, dome: int, heart: float) -> Mask:
    """Return what lies above the diaphragm, bool of the shape of ``lungs``.

    Where lungs end below the slice ``dome`` they rest on the diaphragm, and its height is known; where they end above
    it they rest on the heart. In between the surface is as smooth as it can be (Laplace's equation): a membrane
    stretched between the bases. On CTs with heart masks 98 % of the heart lies above it, all but the last 5 mm.

    Parameters
    ----------
    lungs
        Both lungs, [slice, row, column].
    spacing_mm
        Of ``lungs``.
    dome
        Slice where the higher dome begins.
    heart
        Slice above which there is heart in any case.
    """
    n = len(lungs)
    base = np.where(lungs.any(axis=0), n - 1 - np.argmax(lungs[::-1], axis=0), -1)
    known = base >= dome
    if not known.any():
        return np.ones_like(lungs)
    cells = [max(1, round(CELL_MM / mm)) for mm in spacing_mm[1:]]
    total, count = (_blocks(values, cells) for values in (np.where(known, base, 0), known))
    surface = membrane(total / np.maximum(count, 1), count > 0)
    for axis, cell in enumerate(cells):
        surface = _stretched(surface, cell, base.shape[axis], axis)
    reach = np.maximum(surface, heart) + FAR_MM / spacing_mm[0]
    return np.asarray(np.arange(n)[:, None, None] <= reach)


def membrane(height: Surface, known: npt.NDArray[np.bool_]) -> Surface:
    """Return ``height`` where it is ``known``, and the solution of Laplace's equation from there elsewhere.

    At the edges of the array the surface runs on level.
    """
    index = np.full(known.shape, -1)
    free = ~known
    index[free] = np.arange(free.sum())
    if not free.any():
        return height.copy()
    rows, columns, right = [], [], np.zeros(int(free.sum()))
    degree = np.zeros(int(free.sum()))
    for axis in (0, 1):
        for low, high in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
            here, there = ((s, slice(None)) if axis == 0 else (slice(None), s) for s in (low, high))
            ours, next_to, value = index[here], index[there], height[there]
            used = ours >= 0
            np.add.at(degree, ours[used], 1)
            fixed = used & (next_to < 0)
            np.add.at(right, ours[fixed], value[fixed])
            rows.append(ours[used & ~fixed])
            columns.append(next_to[used & ~fixed])
    every, others = np.concatenate(rows), np.concatenate(columns)
    matrix = sparse.coo_array((-np.ones(len(every)), (every, others)), shape=(len(right), len(right))).tocsc()
    out = height.astype(np.float64)
    out[free] = spsolve(matrix + sparse.diags_array(degree, format="csc"), right)
    return out


def _blocks(values: npt.NDArray[np.generic], cells: list[int]) -> Surface:
    """Return the sums over blocks of ``cells`` rows and columns; those at the far edges may be smaller."""
    out = values.astype(np.float64)
    for axis, cell in enumerate(cells):
        out = np.add.reduceat(out, np.arange(0, out.shape[axis], cell), axis=axis)
    return out


def _stretched(surface: Surface, cell: int, n: int, axis: int) -> Surface:
    """Return ``surface`` interpolated along ``axis`` from the middles of its cells to ``n`` voxels."""
    middles = (np.arange(surface.shape[axis]) + 0.5) * cell - 0.5
    moved = np.moveaxis(surface, axis, -1)
    out = np.stack([np.interp(np.arange(n), middles, line) for line in moved])
    return np.moveaxis(out, -1, axis)
