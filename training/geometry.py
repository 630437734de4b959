"""One geometry for every array: shape and affine to patient LPS mm, and the placement of map cells by arithmetic.

Axes are always (slice, row, column). LPS: +x to the patient's left, +y to the back, +z to the head. Canonical order is
slices head to feet (-z), rows front to back (+y), columns patient right to left (+x).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

CANONICAL_DIRECTION: FloatArray = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Columns: unit LPS vectors of the slice, row and column axes of a canonical array."""

AXIS_ALIGNED_TOLERANCE = 1e-3
"""Largest off-axis component of a direction cosine that still counts as axis-aligned."""

_LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))  # LPS axis -> (negative end, positive end)


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where an array lies in the patient.

    Parameters
    ----------
    shape
        Array shape (slice, row, column).
    affine
        4 x 4, float64: homogeneous index (slice, row, column, 1) to LPS mm. Integer indices are voxel centres.

    Raises
    ------
    ValueError
        If the affine is not 4 x 4, not finite, or singular.
    """

    shape: tuple[int, int, int]
    affine: FloatArray

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError("affine must be a finite 4 x 4 matrix")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise ValueError("affine is singular")
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @classmethod
    def canonical(
        cls,
        shape: Sequence[int],
        spacing_mm: Sequence[float],
        origin_mm: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> Geometry:
        """Return an axis-aligned geometry in canonical order; ``origin_mm`` is the LPS centre of voxel (0, 0, 0)."""
        affine = np.eye(4)
        affine[:3, :3] = CANONICAL_DIRECTION * np.asarray(spacing_mm, dtype=np.float64)
        affine[:3, 3] = origin_mm
        return cls((int(shape[0]), int(shape[1]), int(shape[2])), affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along (slice, row, column), mm."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(lengths[0]), float(lengths[1]), float(lengths[2]))

    @property
    def direction(self) -> FloatArray:
        """3 x 3, columns are unit LPS vectors of the (slice, row, column) axes."""
        return np.asarray(self.affine[:3, :3] / np.asarray(self.spacing_mm), dtype=np.float64)

    @property
    def origin_mm(self) -> FloatArray:
        """LPS mm of the centre of voxel (0, 0, 0)."""
        return np.asarray(self.affine[:3, 3], dtype=np.float64)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel, mm3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def is_axis_aligned(self) -> bool:
        """True if every axis runs along a patient axis (either way) within ``AXIS_ALIGNED_TOLERANCE``."""
        off = np.sort(np.abs(self.direction), axis=0)[:2]
        return bool(off.max() <= AXIS_ALIGNED_TOLERANCE)

    @property
    def is_canonical(self) -> bool:
        """True if axis-aligned with slices head to feet, rows front to back, columns right to left."""
        return bool(np.abs(self.direction - CANONICAL_DIRECTION).max() <= AXIS_ALIGNED_TOLERANCE)

    def to_world(self, index: npt.ArrayLike) -> FloatArray:
        """Map indices (..., 3) to LPS mm (..., 3)."""
        points = np.asarray(index, dtype=np.float64)
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3], dtype=np.float64)

    def to_index(self, world_mm: npt.ArrayLike) -> FloatArray:
        """Map LPS mm (..., 3) to fractional indices (..., 3)."""
        points = np.asarray(world_mm, dtype=np.float64) - self.affine[:3, 3]
        return np.asarray(np.linalg.solve(self.affine[:3, :3], points.reshape(-1, 3).T).T.reshape(points.shape))

    def subgrid(self, start: Sequence[float], step: Sequence[float], shape: Sequence[int]) -> Geometry:
        """Return the geometry whose voxel i is at ``start + i * step`` in this one's index units.

        Serves cropping (step 1, start > 0), padding (start < 0), strides, flips (step -1) and map cells.
        """
        inner = np.eye(4)
        inner[:3, :3] = np.diag(np.asarray(step, dtype=np.float64))
        inner[:3, 3] = start
        return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), self.affine @ inner)

    def resampled(self, spacing_mm: Sequence[float]) -> Geometry:
        """Return this field of view on a grid of another spacing: round(size * spacing / new), same outer corner voxel.

        The centre of voxel (0, 0, 0) stays where it is, as SimpleITK's resampling with a kept origin does.
        """
        old = np.asarray(self.spacing_mm)
        new = np.asarray(spacing_mm, dtype=np.float64)
        shape = [max(1, int(n)) for n in np.floor(np.asarray(self.shape) * old / new + 0.5)]
        return self.subgrid((0, 0, 0), new / old, shape)

    def axis_letters(self) -> tuple[tuple[str, str], tuple[str, str], tuple[str, str]]:
        """For each array axis, the patient letters at index 0 and at the last index, from the affine alone.

        Canonical arrays give (("H", "F"), ("A", "P"), ("R", "L")). Oblique axes go by their largest component.
        """
        pairs = []
        for column in self.direction.T:
            axis = int(np.argmax(np.abs(column)))
            low, high = _LETTERS[axis]
            pairs.append((low, high) if column[axis] > 0 else (high, low))
        return (pairs[0], pairs[1], pairs[2])

    def allclose(self, other: Geometry, atol_mm: float = 1e-3) -> bool:
        """Return True if the shapes are equal and all corner voxels lie within ``atol_mm`` of their counterparts."""
        if self.shape != other.shape:
            return False
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij"), -1).reshape(-1, 3)
        return bool(np.abs(self.to_world(corners) - other.to_world(corners)).max() <= atol_mm)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON types: shape, affine (LPS mm, rows) and the axis order in words."""
        return {"shape": list(self.shape), "affine_lps_mm": self.affine.tolist(), "axes": "slice,row,column"}

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> Geometry:
        """Inverse of :meth:`to_dict`."""
        shape = [int(n) for n in data["shape"]]  # type: ignore[attr-defined]
        return cls((shape[0], shape[1], shape[2]), np.asarray(data["affine_lps_mm"], dtype=np.float64))

    def __repr__(self) -> str:
        spacing = " x ".join(f"{s:.4g}" for s in self.spacing_mm)
        ends = " ".join(f"{a}>{b}" for a, b in self.axis_letters())
        return f"Geometry({self.shape}, {spacing} mm, {ends})"


class Layer(NamedTuple):
    """Kernel, stride and padding of one convolution or pooling layer along one axis, in px of its own input."""

    kernel: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class ReceptiveField:
    """What the cells of a map see along one axis of the model input, in px (0-based voxel centres).

    ``start_px`` is the centre of cell 0, ``jump_px`` the distance between neighbouring cells, ``size_px`` the full
    width that can influence a cell.
    """

    size_px: int = 1
    jump_px: float = 1.0
    start_px: float = 0.0

    def centres(self, n_cells: int) -> FloatArray:
        """Return the centres of ``n_cells`` cells, px."""
        return np.asarray(self.start_px + self.jump_px * np.arange(n_cells), dtype=np.float64)

    def box(self, cell: int) -> tuple[float, float]:
        """Return the outer edges (low, high) of what ``cell`` can see, px; voxel i spans i - 0.5 .. i + 0.5."""
        centre = self.start_px + self.jump_px * cell
        return (centre - self.size_px / 2, centre + self.size_px / 2)


def receptive_field(layers: Iterable[Layer]) -> ReceptiveField:
    """Compose layers, first to last, into the receptive field of the last one's output.

    With jump j, size r and start c before a layer (k, s, p): r += (k - 1) j; c += ((k - 1) / 2 - p) j; j *= s.
    """
    size, jump, start = 1, 1, 0.0
    for kernel, stride, padding in layers:
        size += (kernel - 1) * jump
        start += ((kernel - 1) / 2 - padding) * jump
        jump *= stride
    return ReceptiveField(size, float(jump), start)


def stretched(n_cells: int, n_px: int) -> ReceptiveField:
    """Return the paper's placement: ``n_cells`` equal cells stretched over ``n_px``, half-pixel centres.

    ``size_px`` is the drawn cell, rounded up; it says nothing of what the network saw.
    """
    jump = n_px / n_cells
    return ReceptiveField(int(np.ceil(jump)), jump, (jump - 1) / 2)


def output_size(n: int, layers: Iterable[Layer]) -> int:
    """Return how many cells ``layers`` leave of ``n`` px along one axis (floor mode); 0 if nothing is left."""
    for kernel, stride, padding in layers:
        n = (n + 2 * padding - kernel) // stride + 1
        if n <= 0:
            return 0
    return n


@dataclass(frozen=True)
class CellLayout:
    """How many cells a map has along (slice, row, column) and what each sees of the model input."""

    n_cells: tuple[int, int, int]
    fields: tuple[ReceptiveField, ReceptiveField, ReceptiveField]


def place_cells(image: Geometry, n_cells: Sequence[int], fields: Sequence[ReceptiveField]) -> Geometry:
    """Return the geometry of a map whose cells stand at ``fields`` (one per axis) of ``image``'s grid."""
    return image.subgrid([f.start_px for f in fields], [f.jump_px for f in fields], n_cells)
