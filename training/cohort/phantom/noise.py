"""Scanner noise: the same for a seed and a grid whatever is planted."""

from __future__ import annotations

import numpy as np

from training.cohort.phantom.grid import F32, PhantomGrid, Slab
from training.cohort.phantom.streams import stream

REFERENCE_MM3 = 0.8**3


def noise_hu(sigma: float, grid: PhantomGrid) -> float:
    """Return the noise of ``grid``'s voxels; averaging over larger voxels lowers it (as a power 1/4)."""
    voxel = float(np.prod(grid.spacing_mm))
    return float(sigma * min(1.0, (REFERENCE_MM3 / voxel) ** 0.25))


def add_noise(slab: Slab, seed: int, sigma: float) -> None:
    """Add zero-mean noise, correlated over neighbouring pixels as a soft kernel leaves it."""
    scale = np.float32(noise_hu(sigma, slab.grid) / 0.6124)  # the root of the sum of squares of (1/2, 3/4, ...)
    _, rows, columns = slab.grid.shape
    for k in range(slab.hu.shape[0]):
        white = stream(seed, "noise", slab.start + k).standard_normal((rows + 1, columns + 1), dtype=np.float32)
        slab.hu[k] += _smooth(white) * scale


def _smooth(white: F32) -> F32:
    """Average neighbours along both axes with weights 1 and 1/2."""
    rows = white[1:] + 0.5 * white[:-1]
    return np.asarray((rows[:, 1:] + 0.5 * rows[:, :-1]) * np.float32(0.49), dtype=np.float32)
