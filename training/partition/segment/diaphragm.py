"""The diaphragm between the lungs: a surface that continues the lungs' bases below the heart."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import spsolve

from training.partition.segment.lungs import Lungs
from training.partition.segment.shapes import Mask, Spacing

CELL_MM: Final = 6.0
"""The surface is worked out in cells of about this size."""

FAR_MM: Final = 5.0
"""How far below the surface the mediastinum may reach: it is known to about this much."""

RECESS_MM: Final = 35.0
LEVEL_MM: Final = 40.0
AERATED: Final = 0.6
"""A lung rests on the diaphragm if it reaches this far below its dome, into the recess, its foot is no more than the
second higher than the other's, and it has this share of the other's air; else it rests on airless lung or on fluid."""

Surface = npt.NDArray[np.float64]


def above_diaphragm(lungs: Lungs, spacing_mm: Spacing, domes: tuple[int, int], heart: float) -> Mask:
    """Return what lies above the diaphragm, bool of the shape of a lung; everything if neither lung shows where it is.

    Where a lung ends below the slice where the higher dome begins it rests on the diaphragm, and its height is known;
    where it ends above it rests on the heart. In between the surface is as smooth as it can be (Laplace's equation): a
    membrane stretched between the bases. On CTs with heart masks 98 % of the heart lies above it; the rest within 5 mm.

    Parameters
    ----------
    lungs
        Right, left and their air, [slice, row, column].
    spacing_mm
        Of ``lungs``.
    domes
        Slices where the right and the left dome begin.
    heart
        Slice above which there is heart in any case.
    """
    n, *plane = lungs.air.shape
    base, known = np.zeros(plane), np.zeros(plane, dtype=bool)
    sides = resting(lungs, spacing_mm[0], domes)
    highest = min((dome for _, dome in sides), default=n)
    for lung, _ in sides:
        lowest = np.where(lung.any(axis=0), n - 1 - np.argmax(lung[::-1], axis=0), -1)
        used = lowest >= highest
        base[used], known = lowest[used], known | used
    if not known.any():
        return np.ones_like(lungs.air)
    cells = [max(1, round(CELL_MM / mm)) for mm in spacing_mm[1:]]
    total, count = (_blocks(values, cells) for values in (base, known))
    surface = membrane(total / np.maximum(count, 1), count > 0)
    for axis, cell in enumerate(cells):
        surface = _stretched(surface, cell, plane[axis], axis)
    reach = np.maximum(surface, heart) + FAR_MM / spacing_mm[0]
    return np.asarray(np.arange(n)[:, None, None] <= reach)


def resting(lungs: Lungs, slice_mm: float, domes: tuple[int, int]) -> list[tuple[Mask, int]]:
    """Return the lungs that rest on the diaphragm, or go on below the last slice, with the slice of their dome."""
    sides = (lungs.right, lungs.left)
    feet = [int(np.flatnonzero(lung.any(axis=(1, 2)))[-1]) for lung in sides]
    air = [int(np.count_nonzero(lung & lungs.air)) for lung in sides]
    return [
        (lung, dome)
        for lung, foot, own, dome in zip(sides, feet, air, domes, strict=True)
        if own >= AERATED * max(air)
        and (
            foot == len(lung) - 1
            or ((foot - dome) * slice_mm >= RECESS_MM and (max(feet) - foot) * slice_mm <= LEVEL_MM)
        )
    ]


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
