"""Label arrays brought to other grids by physical space, nearest voxel; never by shape."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry


def nearest_labels(labels: npt.NDArray[np.generic], source: Geometry, target: Geometry) -> npt.NDArray[np.generic]:
    """Return ``labels`` (on ``source``) at the voxel centres of ``target``; 0 outside the source.

    Axes that run along each other are sampled one by one; oblique grids go slice by slice.
    """
    if labels.shape != source.shape:
        raise ValueError(f"labels have shape {labels.shape}, their geometry {source.shape}")
    matrix: npt.NDArray[np.float64] = np.asarray(np.linalg.solve(source.affine, target.affine), dtype=np.float64)
    permuted = np.abs(matrix[:3, :3]) > 1e-6 * np.abs(matrix[:3, :3]).max()
    if permuted.sum() == 3 and permuted.any(axis=0).all() and permuted.any(axis=1).all():
        return _along_axes(labels, matrix, target.shape)
    return _oblique(labels, matrix, target.shape)


def _along_axes(
    labels: npt.NDArray[np.generic], matrix: npt.NDArray[np.float64], shape: tuple[int, int, int]
) -> npt.NDArray[np.generic]:
    source_of = [int(np.argmax(np.abs(matrix[:3, axis]))) for axis in range(3)]  # target axis -> source axis
    moved = np.transpose(labels, source_of)
    index, inside = [], []
    for axis, (source, n) in enumerate(zip(source_of, shape, strict=True)):
        position = np.floor(matrix[source, axis] * np.arange(n) + matrix[source, 3] + 0.5).astype(np.intp)
        ok = (position >= 0) & (position < labels.shape[source])
        index.append(np.where(ok, position, 0))
        inside.append(ok)
    out = moved[np.ix_(*index)]
    for axis, ok in enumerate(inside):
        if not ok.all():
            hole: list[slice | npt.NDArray[np.bool_]] = [slice(None)] * 3
            hole[axis] = ~ok
            out[tuple(hole)] = 0
    return out


def _oblique(
    labels: npt.NDArray[np.generic], matrix: npt.NDArray[np.float64], shape: tuple[int, int, int]
) -> npt.NDArray[np.generic]:
    out = np.zeros(shape, dtype=labels.dtype)
    rows, columns = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    limits = np.asarray(labels.shape)[:, None, None]
    for slice_ in range(shape[0]):
        plane = np.stack([np.full_like(rows, slice_), rows, columns]).reshape(3, -1)
        position = np.floor(matrix[:3, :3] @ plane + matrix[:3, 3:] + 0.5).astype(np.intp).reshape(3, *rows.shape)
        ok = ((position >= 0) & (position < limits)).all(axis=0)
        out[slice_][ok] = labels[tuple(axis[ok] for axis in position)]
    return out
