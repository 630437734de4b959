"""Thin round things (vessels, airways, wires, tubes) as clouds of points that carry volume.

Every point deposits its volume on the eight voxels around it, so a wire much thinner than a voxel keeps the averaged
HU a scanner would show at that resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.grid import F32, Bend, Box, PhantomGrid, Slab

F64 = npt.NDArray[np.float64]

PITCH = 0.6
"""Distance between points in units of the finest voxel spacing."""


@dataclass(frozen=True, eq=False)
class Tubes:
    """Straight round segments in local LPS mm: ends [N, 3] and radii [N]."""

    p0: F64
    p1: F64
    r0: F64
    r1: F64

    @classmethod
    def path(cls, points: npt.ArrayLike, radius: float) -> Tubes:
        """Return the tube of one ``radius`` along a polyline [N, 3]."""
        line = np.asarray(points, dtype=np.float64)
        radii = np.full(len(line) - 1, radius)
        return cls(line[:-1], line[1:], radii, radii)

    @classmethod
    def joined(cls, *parts: Tubes) -> Tubes:
        """Return all segments of ``parts``."""
        return cls(*(np.concatenate([getattr(t, name) for t in parts]) for name in ("p0", "p1", "r0", "r1")))

    def scaled(self, factor: float, least: float = 0.0) -> Tubes:
        """Return the same segments with radii times ``factor``, at least ``least`` mm."""
        return Tubes(self.p0, self.p1, np.maximum(self.r0 * factor, least), np.maximum(self.r1 * factor, least))

    def take(self, which: npt.NDArray[np.bool_]) -> Tubes:
        """Return the segments chosen by ``which`` [N]."""
        return Tubes(self.p0[which], self.p1[which], self.r0[which], self.r1[which])


@dataclass(frozen=True, eq=False)
class Cloud:
    """Fractional voxel indices [N, 3] sorted by slice, and the volume (in voxels) each point carries."""

    index: F32
    volume: F32


def smooth_path(points: npt.ArrayLike, step_mm: float = 4.0) -> F64:
    """Return a Catmull-Rom curve through ``points`` [N, 3], sampled about every ``step_mm``."""
    p = np.asarray(points, dtype=np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    parts = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        t = np.arange(0, 1, min(1.0, step_mm / max(float(np.linalg.norm(c - b)), 1e-6)))[:, None]
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*parts, p[-2:-1]])


def cloud_of(tubes: Tubes, grid: PhantomGrid, bend: Bend) -> Cloud:
    """Fill ``tubes`` with points about ``PITCH`` voxels apart."""
    pitch = PITCH * min(grid.spacing_mm)
    mean_r = (tubes.r0 + tubes.r1) / 2
    across = np.maximum(1, np.ceil(np.pi * mean_r**2 / pitch**2)).astype(int)
    points, volumes = [], []
    for count in np.unique(across):
        chosen = tubes.take(across == count)
        p, v = _fill(chosen, int(count), pitch)
        points.append(p)
        volumes.append(v)
    if not points:
        return Cloud(np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    index = grid.geometry.to_index(bend.to_world(np.concatenate(points)))
    volume = np.concatenate(volumes) / grid.geometry.voxel_mm3
    inside = (index > -1).all(axis=1) & (index < np.asarray(grid.shape)).all(axis=1)
    order = np.argsort(index[inside, 0], kind="stable")
    return Cloud(index[inside][order].astype(np.float32), volume[inside][order].astype(np.float32))


def _fill(tubes: Tubes, count: int, pitch: float) -> tuple[F64, F64]:
    """Return points [N, 3] and their volumes (mm3): ``count`` over each cross-section, in a sunflower pattern."""
    direction = tubes.p1 - tubes.p0
    length = np.linalg.norm(direction, axis=1)
    steps = np.maximum(1, np.ceil(length / pitch)).astype(int)
    which = np.repeat(np.arange(len(steps)), steps)
    t = (np.arange(len(which)) - np.repeat(np.cumsum(steps) - steps, steps) + 0.5) / steps[which]
    unit = direction / np.maximum(length, 1e-9)[:, None]
    helper = np.where(np.abs(unit[:, 2:]) < 0.8, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    e1 = np.cross(unit, helper)
    e1 /= np.linalg.norm(e1, axis=1, keepdims=True)
    e2 = np.cross(unit, e1)
    k = np.arange(count)
    radius, turn = np.sqrt((k + 0.5) / count) * (count > 1), k * 2.399963
    r = tubes.r0[which] + t * (tubes.r1 - tubes.r0)[which]
    axis = tubes.p0[which] + t[:, None] * direction[which]
    ring = (radius * np.cos(turn))[None, :, None] * e1[which][:, None] + (radius * np.sin(turn))[None, :, None] * e2[
        which
    ][:, None]
    points = (axis[:, None] + r[:, None, None] * ring).reshape(-1, 3)
    volume = np.repeat(np.pi * r**2 * (length / steps)[which] / count, count)
    return points, volume


def deposit(slab: Slab, tubes: Tubes) -> tuple[Box, F32] | None:
    """Return the crop of ``slab`` that ``tubes`` touch and the fraction of each of its voxels they fill."""
    cloud = slab.clouds.get(id(tubes))
    if not isinstance(cloud, Cloud):
        cloud = cloud_of(tubes, slab.grid, slab.bend)
        slab.clouds[id(tubes)] = cloud
    first, last = np.searchsorted(cloud.index[:, 0], (slab.start - 1, slab.stop))
    if first == last:
        return None
    index, volume = cloud.index[first:last], cloud.volume[first:last]
    return _deposit(slab, index - np.array([slab.start, 0, 0], np.float32), volume)


def deposit_in(box: Box, tubes: Tubes) -> F32:
    """Return the fraction of each voxel of ``box`` that ``tubes`` fill."""
    cover = np.zeros(box.hu.shape, np.float32)
    found = deposit(box.slab, tubes)
    if found is None:
        return cover
    here, there = [], []
    for a, b in zip(box.where, found[0].where, strict=True):
        low, high = max(a.start, b.start), min(a.stop, b.stop)
        if low >= high:
            return cover
        here.append(slice(low - a.start, high - a.start))
        there.append(slice(low - b.start, high - b.start))
    cover[tuple(here)] = found[1][tuple(there)]
    return cover


def _deposit(slab: Slab, index: F32, volume: F32) -> tuple[Box, F32]:
    base = np.floor(index).astype(np.int32)
    part = index - base
    low = np.maximum(base.min(axis=0), 0)
    high = np.minimum(base.max(axis=0) + 2, slab.hu.shape)
    shape = tuple(int(n) for n in high - low + 2)  # a rim of one voxel takes what falls outside
    base -= (low - 1).astype(np.int32)
    corners, weights = [], []
    for ds in (0, 1):
        ws = volume * (part[:, 0] if ds else 1 - part[:, 0])
        for dr in (0, 1):
            wr = ws * (part[:, 1] if dr else 1 - part[:, 1])
            line = ((base[:, 0] + ds) * shape[1] + base[:, 1] + dr) * shape[2] + base[:, 2]
            corners += [line, line + 1]
            weights += [wr * (1 - part[:, 2]), wr * part[:, 2]]
    total = np.bincount(np.concatenate(corners), np.concatenate(weights), minlength=int(np.prod(shape)))
    cover = total.reshape(shape)[1:-1, 1:-1, 1:-1].astype(np.float32)
    where = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return slab.crop((where[0], where[1], where[2])), np.minimum(cover, 1)
