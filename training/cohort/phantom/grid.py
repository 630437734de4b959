"""The voxel grid of a phantom and the slabs of slices it is painted in.

World coordinates are patient LPS mm with the centre of the field of view at the origin, so grids of different size
and spacing show the same anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry

F32 = npt.NDArray[np.float32]
Flat = npt.NDArray[np.int32]

SLAB_VOXELS = 700_000
"""About how many voxels are painted at once: bounds memory, and stays near the processor's cache."""


@dataclass(frozen=True)
class PhantomGrid:
    """Shape and spacing (mm), both (slice, row, column), of a phantom in canonical order."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        if min(self.shape) < 2 or min(self.spacing_mm) <= 0:
            raise ValueError(f"a phantom needs at least 2 voxels and a positive spacing along every axis, got {self}")

    @property
    def geometry(self) -> Geometry:
        """Canonical geometry with the centre of the field of view at the LPS origin."""
        half = [(n - 1) / 2 * s for n, s in zip(self.shape, self.spacing_mm, strict=True)]
        return Geometry.canonical(self.shape, self.spacing_mm, (-half[2], -half[1], half[0]))

    @property
    def slab_slices(self) -> int:
        """How many slices are painted at once; depends on the grid alone, never on the machine."""
        return max(2, min(self.shape[0], SLAB_VOXELS // (self.shape[1] * self.shape[2])))


FULL = PhantomGrid((405, 420, 420), (0.8, 0.8, 0.8))
SMALL = PhantomGrid((96, 128, 128), (3.4, 2.6, 2.6))


@dataclass(frozen=True)
class Bend:
    """Where the body's mid-line stands at each height: local = world - (dx(z), dy(z)), mm."""

    x_mm: float = 0.0
    y_mm: float = 0.0
    tilt: float = 0.0
    curve_mm: float = 0.0
    curve_phase: float = 0.0

    def dx(self, z: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Shift to the left at height ``z`` (mm): position, tilt and a scoliotic curve."""
        return np.asarray(self.x_mm + self.tilt * z + self.curve_mm * np.sin(z * 0.022 + self.curve_phase))

    def to_world(self, local: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Map local LPS points (..., 3) to world LPS mm."""
        world = np.array(local, dtype=np.float64)
        world[..., 0] += self.dx(world[..., 2])
        world[..., 1] += self.y_mm
        return world

    def to_local(self, world: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Inverse of :meth:`to_world`."""
        local = np.array(world, dtype=np.float64)
        local[..., 0] -= self.dx(local[..., 2])
        local[..., 1] -= self.y_mm
        return local


@dataclass(eq=False)
class Box:
    """A crop of a slab: local coordinates that broadcast together, and views of the slab's arrays."""

    slab: Slab
    where: tuple[slice, slice, slice]
    z: F32
    y: F32
    x: F32
    hu: F32
    lung: F32
    organ: npt.NDArray[np.uint8]

    def blend(self, value: float | F32, cover: F32) -> None:
        """Replace the fraction ``cover`` of every voxel by tissue of ``value`` HU."""
        self.hu += cover * (value - self.hu)

    def displace(self, value: float | F32, cover: F32) -> None:
        """Blend in a structure of the mediastinum: it takes the place of lung and belongs to organ 3."""
        self.blend(value, cover)
        self.lung *= 1 - cover
        np.putmask(self.organ, cover > 0.5, np.uint8(3))

    def flat(self, mask: npt.NDArray[np.bool_]) -> Flat:
        """Return the flat indices, in the whole volume, of the voxels of ``mask`` (this box's shape)."""
        s, r, c = np.nonzero(mask)
        _, rows, columns = self.slab.grid.shape
        s = s + (self.slab.start + self.where[0].start)
        flat: Flat = (((s * rows) + r + self.where[1].start) * columns + c + self.where[2].start).astype(np.int32)
        return flat


@dataclass(eq=False)
class Slab:
    """Slices ``start`` to ``stop`` of a grid while they are painted.

    ``hu`` holds HU, ``lung`` the fraction of each voxel that is lung (or pleural space), ``organ`` the truth labels.
    ``z``, ``y``, ``x`` are local coordinates of shapes (n, 1, 1), (1, R, 1) and (n, 1, C).
    """

    grid: PhantomGrid
    bend: Bend
    start: int
    stop: int
    clouds: dict[int, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, (slices, rows, columns) = self.stop - self.start, self.grid.shape
        sz, sy, sx = self.grid.spacing_mm
        z = ((slices - 1) / 2 - np.arange(self.start, self.stop)) * sz
        y = (np.arange(rows) - (rows - 1) / 2) * sy - self.bend.y_mm
        x = (np.arange(columns) - (columns - 1) / 2) * sx - self.bend.dx(z)[:, None]
        self.z: F32 = z.astype(np.float32)[:, None, None]
        self.y: F32 = y.astype(np.float32)[None, :, None]
        self.x: F32 = x.astype(np.float32)[:, None, :]
        shape = (count, rows, columns)
        self.hu: F32 = np.full(shape, -1000, np.float32)
        self.lung: F32 = np.zeros(shape, np.float32)
        self.organ = np.zeros(shape, np.uint8)
        self.h = float((sz + 1.5 * sy + 1.5 * sx) / 4)
        self.h_plane = float((sy + sx) / 2)

    def box(self, low: npt.ArrayLike, high: npt.ArrayLike) -> Box | None:
        """Return the crop that holds the local LPS box ``low`` to ``high`` (mm), or None if it misses the slab."""
        lo, hi = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        z = self.z[:, 0, 0]
        rows = _range(-z, -hi[2], -lo[2])
        if rows is None:
            return None
        across = self.x[rows, 0, :]
        columns = _range(across.max(axis=0), lo[0], np.inf), _range(across.min(axis=0), -np.inf, hi[0])
        lines = _range(self.y[0, :, 0], lo[1], hi[1])
        if columns[0] is None or columns[1] is None or lines is None or columns[0].start >= columns[1].stop:
            return None
        return self.crop((rows, lines, slice(columns[0].start, columns[1].stop)))

    def crop(self, where: tuple[slice, slice, slice]) -> Box:
        """Return the crop at array slices ``where``."""
        s, r, c = where
        return Box(
            self, where, self.z[s], self.y[:, r], self.x[s, :, c], self.hu[where], self.lung[where], self.organ[where]
        )

    def whole(self) -> Box:
        """Return the slab as one box."""
        return self.crop((slice(0, self.hu.shape[0]), slice(0, self.hu.shape[1]), slice(0, self.hu.shape[2])))


def _range(rising: F32, low: float, high: float) -> slice | None:
    start, stop = int(np.searchsorted(rising, low)), int(np.searchsorted(rising, high, side="right"))
    return slice(start, stop) if start < stop else None
