"""The grid that anatomy is looked for on: about 2 mm, block means of the CT; and the way back to native voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry

TARGET_MM: Final = 2.4
"""Voxels finer than this are averaged in blocks whose size comes closest to it."""

HU_RANGE: Final = (-1024, 1500)
"""Padding and metal are clipped to this before averaging."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """A CT on its analysis grid.

    Parameters
    ----------
    hu
        int16 (slice, row, column), canonical order, clipped to ``HU_RANGE``.
    geometry
        Of ``hu``.
    block
        Native voxels per analysis voxel along each axis.
    native_shape
        Shape of the CT.
    """

    hu: npt.NDArray[np.int16]
    geometry: Geometry
    block: tuple[int, int, int]
    native_shape: tuple[int, int, int]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Of the analysis grid."""
        return self.geometry.spacing_mm

    @property
    def voxel_ml(self) -> float:
        """Volume of an analysis voxel."""
        return self.geometry.voxel_mm3 / 1000

    def voxels(self, ml: float) -> float:
        """Return how many analysis voxels make ``ml``."""
        return ml / self.voxel_ml


def analysis_grid(
    hu: npt.NDArray[np.int16],
    geometry: Geometry,
    target_mm: float = TARGET_MM,
    step: Callable[[int, int], None] | None = None,
) -> Analysis:
    """Return the block means of ``hu``; an axis already as coarse as the target stays as it is.

    ``step(done, total)`` is called after every analysis slice; it may raise to stop.
    """
    block = tuple(min(n, max(1, round(target_mm / s))) for n, s in zip(hu.shape, geometry.spacing_mm, strict=True))
    shape = tuple(-(-n // b) for n, b in zip(hu.shape, block, strict=True))
    out = np.empty(shape, dtype=np.int16)
    for index in range(shape[0]):
        out[index] = _mean(hu[index * block[0] : (index + 1) * block[0]], block)
        if step is not None:
            step(index + 1, shape[0])
    start = [(b - 1) / 2 for b in block]
    native = (hu.shape[0], hu.shape[1], hu.shape[2])
    return Analysis(out, geometry.subgrid(start, block, shape), (block[0], block[1], block[2]), native)


def _mean(slab: npt.NDArray[np.int16], block: tuple[int, ...]) -> npt.NDArray[np.int16]:
    """Return the in-plane block means of a few slices; blocks at the far edges may be smaller."""
    clipped = np.clip(slab, *HU_RANGE)
    if slab.shape[0] == 1 and block[1:] == (1, 1):
        return np.asarray(clipped[0])
    total = clipped.sum(axis=0, dtype=np.int32)
    starts = [np.arange(0, n, b) for n, b in zip(total.shape, block[1:], strict=True)]
    total = np.add.reduceat(np.add.reduceat(total, starts[0], axis=0), starts[1], axis=1)
    rows, columns = (np.diff(np.r_[s, n]) for s, n in zip(starts, slab.shape[1:], strict=True))
    return np.asarray(np.rint(total / (slab.shape[0] * rows[:, None] * columns)), dtype=np.int16)


def enlarge(plane: npt.NDArray[Any], block: tuple[int, int, int], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Return one analysis slice repeated to native rows and columns."""
    return np.repeat(np.repeat(plane, block[1], axis=0), block[2], axis=1)[: shape[0], : shape[1]]
