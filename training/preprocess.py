"""From a CT to what a network sees: resample, centre, group into triples, scale; described by an :class:`InputSpec`.

The defaults are the values the paper's authors ran with: 0.8 mm, 405 x 420 x 420, clip to [-1000, 800] HU, scale to
[0, 1], minus 0.449, groups of three adjacent slices. A resampled CT is clipped to [-1000, 1000] HU and rounded to int16
before that, as theirs is stored. Two details are ours: the fill outside the field of view is air, and grids that
already have the asked spacing are not interpolated at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry
from training.resample import AxisSampling, resample_axes, resample_oblique
from training.volume import AIR_HU, Volume

STORED_HU = (-1000, 1000)
"""Range to which a volume is clipped before it is rounded to int16, HU, as the authors stored their CTs."""

SPACING_TOLERANCE = 1e-5
"""Largest relative difference of spacings that still counts as equal: 0.004 voxels over 400."""


@dataclass(frozen=True)
class InputSpec:
    """What a network wants to see. Axes are (slice, row, column).

    Parameters
    ----------
    spacing_mm
        Distance of voxel centres.
    shape
        Voxels after centred padding and cropping.
    clip_hu
        HU range that is scaled to [0, 1].
    offset
        Added after scaling.
    group
        Adjacent slices per slice group; they are the channels of the network's 2-D input.
    average
        Along axes where the network's voxels are larger than the CT's, take the average over the larger voxel rather
        than the value at its centre (the authors'), which passes on the noise of the finer grid and can miss what lies
        between two centres.

    Raises
    ------
    ValueError
        If a number is not finite or not positive where it must be, or ``shape[0]`` is no multiple of ``group``.
    """

    spacing_mm: tuple[float, float, float] = (0.8, 0.8, 0.8)
    shape: tuple[int, int, int] = (405, 420, 420)
    clip_hu: tuple[float, float] = (-1000.0, 800.0)
    offset: float = -0.449
    group: int = 3
    average: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing_mm", tuple(float(s) for s in self.spacing_mm))
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "clip_hu", tuple(float(h) for h in self.clip_hu))
        if len(self.spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise ValueError(f"spacing_mm must be three positive numbers, got {self.spacing_mm}")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape must be three positive whole numbers, got {self.shape}")
        if len(self.clip_hu) != 2 or not np.isfinite(self.clip_hu).all() or self.clip_hu[0] >= self.clip_hu[1]:
            raise ValueError(f"clip_hu must be a low and a higher HU, got {self.clip_hu}")
        if not np.isfinite(self.offset):
            raise ValueError(f"offset must be finite, got {self.offset}")
        if self.group < 1 or self.shape[0] % self.group:
            raise ValueError(f"{self.shape[0]} slices cannot be split into groups of {self.group}")
        if not isinstance(self.average, bool):
            raise ValueError(f"average must be true or false, got {self.average!r}")

    @property
    def n_groups(self) -> int:
        """Number of slice groups, the paper's H."""
        return self.shape[0] // self.group

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> InputSpec:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not valid. ``average`` may be missing: older files have the value False.
        """
        data = {"average": False, **data}
        if set(data) != set(cls.__dataclass_fields__):
            raise ValueError(f"an input spec has the fields {sorted(cls.__dataclass_fields__)}, got {sorted(data)}")
        try:
            return cls(**data)
        except TypeError as reason:
            raise ValueError(f"not an input spec: {reason}") from reason


@dataclass(frozen=True, eq=False)
class ModelInput:
    """A CT on the grid of a network.

    Parameters
    ----------
    hu
        int16, shape ``spec.shape``, HU in ``STORED_HU``; -1000 where the CT has no data.
    geometry
        Where that grid lies in the patient.
    spec
        The specification it was made by.
    """

    hu: npt.NDArray[np.int16]
    geometry: Geometry
    spec: InputSpec

    def __post_init__(self) -> None:
        if self.hu.dtype != np.int16 or self.hu.shape != self.spec.shape or self.geometry.shape != self.spec.shape:
            raise ValueError(f"hu must be int16 of shape {self.spec.shape}, got {self.hu.dtype} {self.hu.shape}")

    def group(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return slice groups ``start`` to ``stop`` as the network sees them: float32 [n, group, row, column]."""
        return self._normalised(self._grouped()[start:stop])

    def groups(self, indices: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the slice groups at ``indices``, in that order: float32 [n, group, row, column]."""
        return self._normalised(self._grouped()[np.asarray(indices, dtype=np.intp)])

    def padding_groups(self) -> npt.NDArray[np.bool_]:
        """Return bool [n_groups]: True where a slice group is air at the clip's lower end throughout.

        Such groups are equal after scaling, so a network without memory of the slice position need see one only.
        """
        return np.array([block.max() <= self.spec.clip_hu[0] for block in self._grouped()])

    def _grouped(self) -> npt.NDArray[np.int16]:
        _, rows, columns = self.spec.shape
        return self.hu.reshape(self.spec.n_groups, self.spec.group, rows, columns)

    def _normalised(self, hu: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
        low, high = self.spec.clip_hu
        out = np.ascontiguousarray(hu, dtype=np.float32)
        np.clip(out, low, high, out=out)
        out -= np.float32(low)
        out /= np.float32(high - low)
        out += np.float32(self.spec.offset)
        return out


def prepare(volume: Volume, spec: InputSpec, cancelled: Callable[[], bool] | None = None) -> ModelInput:
    """Return ``volume`` on the grid that ``spec`` asks for.

    Axis-aligned volumes are turned to canonical order and resampled along their own axes: round(size * spacing / new)
    voxels, first voxel centre kept, cubic B-spline (its average over the new voxel where ``spec.average`` asks for it
    and the new voxel is larger). Oblique ones are resampled into the patient axes over the bounding box of their voxel
    centres, first at their own spacing if averages are asked for. Then follow centred padding (the smaller half first)
    with -1000 and centred cropping. ``geometry`` follows from the affines alone. Peak memory is the result plus some
    tens of MB, for oblique volumes plus eight bytes for every voxel of the volume.

    Raises
    ------
    Cancelled
        If ``cancelled()``, which is asked several times a second (not within an oblique resampling), returned True.
    """
    if volume.geometry.is_axis_aligned or spec.average:
        hu, geometry = _canonical(volume) if volume.geometry.is_axis_aligned else _straightened(volume)
        grid = _grid_along_own_axes(geometry, spec.spacing_mm)
        target, start = _centred(grid, spec.shape)
        axes = [_axis_sampling(geometry, grid, start, spec, k) for k in range(3)]
        out = resample_axes(hu, (axes[0], axes[1], axes[2]), spec.shape, AIR_HU, STORED_HU, cancelled)
        return ModelInput(out, target, spec)
    target, _ = _centred(patient_grid(volume.geometry, spec.spacing_mm), spec.shape)
    return ModelInput(resample_oblique(volume.hu, volume.geometry, target, AIR_HU, STORED_HU), target, spec)


def patient_grid(geometry: Geometry, spacing_mm: tuple[float, float, float]) -> Geometry:
    """Return the canonical grid of ``spacing_mm`` over the bounding box of ``geometry``'s voxel centres."""
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in geometry.shape], indexing="ij"), -1).reshape(-1, 3)
    world = geometry.to_world(corners)
    low, high = world.min(axis=0), world.max(axis=0)
    extent = (high - low)[[2, 1, 0]]
    shape = [int(n) + 1 for n in np.floor(extent / np.asarray(spacing_mm) + 0.5)]
    return Geometry.canonical(shape, spacing_mm, (low[0], low[1], high[2]))


def _canonical(volume: Volume) -> tuple[npt.NDArray[np.int16], Geometry]:
    """Return HU and geometry of an axis-aligned volume in canonical order, without copying."""
    if volume.geometry.is_canonical:
        return volume.hu, volume.geometry
    from training.io.orient import canonical_order  # the readers' packages are needed for turned volumes only

    return canonical_order(volume.hu, volume.geometry.affine)


def _straightened(volume: Volume) -> tuple[npt.NDArray[np.int16], Geometry]:
    """Return an oblique volume in the patient axes, every axis at the spacing of the volume's axis nearest to it."""
    own = np.asarray(volume.geometry.spacing_mm)
    nearest = np.abs(volume.geometry.direction[[2, 1, 0]]).argmax(axis=1)
    slices, rows, columns = own[nearest].tolist()
    grid = patient_grid(volume.geometry, (slices, rows, columns))
    return resample_oblique(volume.hu, volume.geometry, grid, AIR_HU, STORED_HU), grid


def _same_spacing(a: float, b: float) -> bool:
    return abs(a - b) <= SPACING_TOLERANCE * b


def _grid_along_own_axes(geometry: Geometry, spacing_mm: tuple[float, float, float]) -> Geometry:
    """Resampled grid of a canonical geometry; axes that have the spacing already keep theirs to the last bit."""
    pairs = zip(geometry.spacing_mm, spacing_mm, strict=True)
    return geometry.resampled([old if _same_spacing(old, new) else new for old, new in pairs])


def _centred(grid: Geometry, shape: tuple[int, int, int]) -> tuple[Geometry, list[int]]:
    """Return ``grid`` padded and cropped about its centre to ``shape``, and the start index (negative: padding)."""
    start = [(n - m) // 2 if n >= m else -((m - n) // 2) for n, m in zip(grid.shape, shape, strict=True)]
    return grid.subgrid(start, (1, 1, 1), shape), start


def _axis_sampling(source: Geometry, grid: Geometry, start: list[int], spec: InputSpec, axis: int) -> AxisSampling:
    """Return where along ``axis`` of ``source`` the voxels of the padded and cropped grid lie."""
    first = max(0, -start[axis])
    stop = min(spec.shape[axis], grid.shape[axis] - start[axis])
    step = grid.spacing_mm[axis] / source.spacing_mm[axis]
    if _same_spacing(grid.spacing_mm[axis], source.spacing_mm[axis]):
        step = 1.0
    positions = step * np.arange(first + start[axis], stop + start[axis], dtype=np.float64)
    return AxisSampling(source.shape[axis], first, positions, step if spec.average and step > 1.0 else 0.0)
