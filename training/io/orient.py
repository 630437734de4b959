"""Any array with an affine, brought into the closest canonical order by swapping and turning axes alone."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from training.geometry import CANONICAL_DIRECTION, FloatArray, Geometry

LPS_FROM_RAS: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI's world (+x right, +y front) to LPS, and back."""


def canonical_order(values: npt.NDArray[Any], affine: FloatArray) -> tuple[npt.NDArray[Any], Geometry]:
    """Return ``values`` with slices running most nearly head to feet, rows front to back, columns right to left.

    Parameters
    ----------
    values
        3-D, axes in any order. The result is a view; no value is interpolated.
    affine
        4 x 4, index along the axes of ``values`` to LPS mm. Oblique axes stay oblique.

    Returns
    -------
    tuple
        The view and its geometry: the affine follows, so every voxel stays where it is in the patient.

    Raises
    ------
    ValueError
        If the affine is singular or not finite.
    """
    shape = values.shape
    native = Geometry((shape[0], shape[1], shape[2]), affine)
    likeness = CANONICAL_DIRECTION.T @ native.direction  # [canonical axis, axis of values]
    order = max(permutations(range(3)), key=lambda p: sum(abs(likeness[k, p[k]]) for k in range(3)))
    turned = [likeness[k, order[k]] < 0 for k in range(3)]
    inner = np.zeros((4, 4))
    inner[3, 3] = 1
    for k, axis in enumerate(order):
        inner[axis, k] = -1 if turned[k] else 1
        inner[axis, 3] = shape[axis] - 1 if turned[k] else 0
    view = values.transpose(order)[tuple(slice(None, None, -1 if t else None) for t in turned)]
    return view, Geometry((view.shape[0], view.shape[1], view.shape[2]), native.affine @ inner)


def is_sheared(affine: FloatArray, tolerance: float = 1e-3) -> bool:
    """Return True if the axes are not at right angles: some pair has a cosine above ``tolerance``."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > tolerance)
