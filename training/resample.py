"""Cubic B-spline resampling of HU arrays: along the axes as three small matrices, or obliquely through SimpleITK.

Both give the values of ITK's B-spline interpolation (order 3, coefficients mirrored at the ends, inside is within half
a voxel of the outermost centres). For axis-aligned grids the interpolation is separable: every output voxel is a sum
over input voxels with weights that are a product of one weight per axis, so that three banded matrices do it in float32
with a few tens of MB, where the general filter keeps eight bytes for every input voxel and takes several times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_banded

from training.geometry import FloatArray, Geometry
from training.issues import Cancelled

Int16Array = npt.NDArray[np.int16]

BLOCK_BYTES = 48 * 2**20
"""Working memory per block of output rows, about."""

NEGLIGIBLE_WEIGHT = 1e-9
"""Weights below this are cut: they are worth less than 1e-5 HU together. The prefilter decays by 0.268 a voxel."""

SAMPLES_PER_VOXEL = 4
"""Samples of the spline per input voxel from which the average over a wider output voxel is taken."""


@dataclass(frozen=True, eq=False)
class AxisSampling:
    """Which output voxels of an axis are filled, and from where.

    Parameters
    ----------
    size
        Input voxels.
    first
        Output index of ``positions[0]``; the others follow one by one.
    positions
        Fractional input indices, rising by a constant step.
    width
        Input voxels that an output voxel averages, centred on its position; 0 takes the value at the position.
    """

    size: int
    first: int
    positions: FloatArray
    width: float = 0.0

    @property
    def is_selection(self) -> bool:
        """True if every position is a voxel centre, so that nothing has to be interpolated."""
        return not self.width and bool((self.positions == np.rint(self.positions)).all())

    def inside(self) -> AxisSampling:
        """Return the same without the positions more than half a voxel outside the input."""
        keep = np.flatnonzero((self.positions >= -0.5) & (self.positions <= self.size - 0.5))
        if not keep.size:
            return replace(self, positions=self.positions[:0])
        return replace(self, first=self.first + int(keep[0]), positions=self.positions[keep[0] : keep[-1] + 1])

    def matrix(self) -> FloatArray:
        """Return the matrix [len(positions), size] that takes the input's values to the output's."""
        if not self.width:
            return cubic_bspline_matrix(self.size, self.positions)
        n = SAMPLES_PER_VOXEL * math.ceil(self.width)
        offsets = ((np.arange(n) + 0.5) / n - 0.5) * self.width
        samples = np.clip(self.positions[:, None] + offsets, -0.5, self.size - 0.5)
        matrix = cubic_bspline_matrix(self.size, samples.ravel())
        return np.asarray(matrix.reshape(len(self.positions), n, self.size).mean(axis=1))

    @property
    def output(self) -> slice:
        """Output indices that are filled."""
        return slice(self.first, self.first + len(self.positions))


def cubic_bspline_matrix(size: int, positions: FloatArray) -> FloatArray:
    """Return the matrix [len(positions), size] that interpolates samples by a cubic B-spline.

    The spline's coefficients c solve (c[i-1] + 4 c[i] + c[i+1]) / 6 = f[i] with c mirrored at both ends; its value at x
    is the sum of c[k] B(x - k) over the four nearest k.
    """
    if size == 1:
        return np.ones((len(positions), 1))
    base = np.floor(positions).astype(np.int64)
    t = positions - base
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    taps = np.zeros((len(positions), size))
    for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
        np.add.at(taps, (np.arange(len(positions)), _mirrored(base + offset, size)), weight)
    banded = np.full((3, size), 1 / 6)
    banded[1] = 4 / 6
    banded[0, 1] = banded[2, -2] = 2 / 6  # c[-1] = c[1], c[n] = c[n-2]
    transposed = np.stack([np.r_[0, banded[2, :-1]], banded[1], np.r_[banded[0, 1:], 0]])
    return np.asarray(solve_banded((1, 1), transposed, taps.T).T)


def _mirrored(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    period = 2 * size - 2
    index = np.abs(index) % period
    return np.where(index < size, index, period - index)


def resample_axes(
    hu: Int16Array,
    axes: tuple[AxisSampling, AxisSampling, AxisSampling],
    shape: tuple[int, int, int],
    fill: int,
    clip: tuple[int, int],
    cancelled: Callable[[], bool] | None = None,
) -> Int16Array:
    """Return ``hu`` sampled at the grid ``axes`` span, in an array of ``shape`` that holds ``fill`` elsewhere.

    Values are rounded half to even and clipped to ``clip``. Where every axis is a selection the values are copied.
    ``cancelled()`` is asked before every block of rows (some tens of MB).

    Raises
    ------
    Cancelled
        If ``cancelled()`` returned True.
    """
    out = np.full(shape, fill, dtype=np.int16)
    slices, rows, columns = (axis.inside() for axis in axes)
    if not all(len(axis.positions) for axis in (slices, rows, columns)):
        return out
    if slices.is_selection and rows.is_selection and columns.is_selection:
        taken = hu[_selected(slices), _selected(rows), _selected(columns)]
        out[slices.output, rows.output, columns.output] = np.clip(taken, *clip)
        return out
    along = [axis.matrix().astype(np.float32) for axis in (slices, rows, columns)]
    block = max(1, BLOCK_BYTES // (4 * hu.shape[2] * max(hu.shape[0], shape[0])))
    for start in range(0, len(rows.positions), block):
        if cancelled is not None and cancelled():
            raise Cancelled
        values = _block(hu, along[0], along[1][start : start + block], along[2])
        where = slice(rows.first + start, rows.first + start + len(values))
        out[slices.output, where, columns.output] = _to_int16(values, clip).transpose(1, 0, 2)
    return out


def _selected(axis: AxisSampling) -> slice:
    first, last = int(axis.positions[0]), int(axis.positions[-1])
    return slice(first, last + 1, max(1, (last - first) // max(1, len(axis.positions) - 1)))


def _block(
    hu: Int16Array, slices: npt.NDArray[np.float32], rows: npt.NDArray[np.float32], columns: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return slices x rows x columns applied to the part of ``hu`` that ``rows`` reach, as [row, slice, column].

    Rows come first in memory, so that each step is one or a few large products rather than many small ones.
    """
    used = np.flatnonzero((np.abs(rows) > NEGLIGIBLE_WEIGHT).any(axis=0))
    reach = slice(int(used[0]), int(used[-1]) + 1)
    part = np.ascontiguousarray(hu[:, reach].transpose(1, 0, 2), dtype=np.float32)
    values = rows[:, reach] @ part.reshape(len(part), -1)
    values = values.reshape(-1, hu.shape[2]) @ columns.T
    return np.asarray(slices @ values.reshape(len(rows), hu.shape[0], -1), dtype=np.float32)


def _to_int16(values: npt.NDArray[np.float32], clip: tuple[int, int]) -> Int16Array:
    np.rint(values, out=values)
    return np.clip(values, *clip, out=values).astype(np.int16)


def resample_oblique(
    hu: Int16Array, source: Geometry, target: Geometry, fill: int, clip: tuple[int, int]
) -> Int16Array:
    """Return ``hu`` resampled from one geometry to any other by SimpleITK's cubic B-spline, rounded and clipped."""
    import SimpleITK as sitk  # noqa: N813 - heavy, and needed for oblique volumes only

    image = sitk.GetImageFromArray(np.ascontiguousarray(hu))
    _set_geometry(image, source)
    grid = sitk.ResampleImageFilter()
    grid.SetSize(target.shape[::-1])
    grid.SetOutputSpacing(target.spacing_mm[::-1])
    grid.SetOutputOrigin(target.origin_mm.tolist())
    grid.SetOutputDirection(target.direction[:, ::-1].ravel().tolist())
    grid.SetInterpolator(sitk.sitkBSpline)
    grid.SetDefaultPixelValue(float(fill))
    grid.SetOutputPixelType(sitk.sitkFloat32)
    return _to_int16(sitk.GetArrayFromImage(grid.Execute(image)), clip)


def _set_geometry(image: object, geometry: Geometry) -> None:
    """Give a SimpleITK image, whose index order is (column, row, slice), the place of ``geometry``."""
    image.SetSpacing(geometry.spacing_mm[::-1])  # type: ignore[attr-defined]
    image.SetOrigin(geometry.origin_mm.tolist())  # type: ignore[attr-defined]
    image.SetDirection(geometry.direction[:, ::-1].ravel().tolist())  # type: ignore[attr-defined]
