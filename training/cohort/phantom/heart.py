"""The heart in its own frame: pericardium, fat, muscle, four chambers, and the courses of the coronary arteries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.frame import diaphragm
from training.cohort.phantom.grid import F32, Box, Slab
from training.cohort.phantom.person import Person
from training.cohort.phantom.shapes import ellipsoid, smooth_max, soft

F64 = npt.NDArray[np.float64]

RADII = (60.0, 44.0, 42.0)
"""Radii (mm) of a heart of scale 1 along apex, left-back and up."""

CHAMBERS: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...] = (
    ((0.28, 0.30, 0.0), (0.50, 0.40, 0.45)),  # left ventricle
    ((0.18, -0.42, 0.0), (0.52, 0.30, 0.50)),  # right ventricle
    ((-0.48, 0.38, 0.22), (0.34, 0.40, 0.42)),  # left atrium
    ((-0.52, -0.34, -0.02), (0.30, 0.38, 0.56)),  # right atrium
)
"""Centres and radii of the chambers in units of the heart's radii, in its frame."""

CORONARIES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "left anterior descending": ((-0.15, -0.25, 0.9), (0.2, -0.2, 0.93), (0.5, -0.12, 0.8), (0.75, -0.06, 0.6)),
    "left circumflex": ((-0.15, -0.1, 0.95), (-0.15, 0.5, 0.82), (-0.1, 0.86, 0.42), (-0.08, 0.96, 0.0)),
    "right": ((-0.2, -0.6, 0.74), (-0.15, -0.85, 0.45), (-0.12, -0.97, 0.0), (-0.1, -0.86, -0.42)),
}
"""Coronary courses over the unit sphere of the heart's frame."""


@dataclass(frozen=True, eq=False)
class Heart:
    """Centre (local LPS mm), radii (mm) and frame (rows: towards apex, left-back, up) of one heart."""

    centre: F64
    radii: F64
    frame: F64

    def points(self, unit: npt.ArrayLike) -> F64:
        """Map points of the unit frame [N, 3] to local LPS mm."""
        return np.asarray(self.centre + (np.asarray(unit) * self.radii) @ self.frame)

    def coronary(self, name: str) -> F64:
        """Return the course of a coronary artery in local LPS mm, on the surface."""
        unit = np.asarray(CORONARIES[name])
        return self.points(unit / np.linalg.norm(unit, axis=1, keepdims=True) * 0.97)

    def reach(self, margin: float) -> tuple[F64, F64]:
        """Return the corners of the box around the heart, ``margin`` mm wider."""
        half = np.sqrt(((self.frame * self.radii[:, None]) ** 2).sum(axis=0)) + margin
        return self.centre - half, self.centre + half


def heart_of(person: Person) -> Heart:
    """Return the heart of ``person``."""
    apex = np.array([0.74, -0.52, -0.42])
    apex /= np.linalg.norm(apex)
    back = np.array([0.55, 0.83, 0.0])
    back -= (back @ apex) * apex
    back /= np.linalg.norm(back)
    frame = np.stack([apex, back, np.cross(apex, back)])
    return Heart(np.array(person.heart_centre), np.array(RADII) * person.heart_scale, frame)


def heart_level(person: Person, heart: Heart, box: Box, grow: float = 0.0) -> F32:
    """Return the signed level of the pericardium, ``grow`` mm outside the heart, flat on the diaphragm."""
    level = ellipsoid(box, heart.centre, heart.radii + grow, heart.frame)
    floor = diaphragm(person, "left", np.maximum(box.x, 20), box.y) - np.float32(4.0)
    return smooth_max(level, (floor - box.z).astype(np.float32), 14.0)


def paint_heart(person: Person, heart: Heart, slab: Slab) -> None:
    """Paint the heart with a fat rim, muscle and chambers."""
    box = slab.box(*heart.reach(8.0))
    if box is None:
        return
    h, rim = slab.h, 2.0 + 0.12 * person.fat_mm
    level = heart_level(person, heart, box)
    box.displace(20.0, soft(level - np.float32(1.2), h))
    box.blend(-85.0, soft(level, h))
    muscle = soft(level + np.float32(rim), h)
    enhanced = 0.45 * person.blood_hu if person.blood_hu > 100 else 0.0
    box.blend(person.muscle_hu - 4 + enhanced, muscle)
    for index, (centre, radii) in enumerate(CHAMBERS):
        chamber = ellipsoid(box, heart.points(centre), heart.radii * radii, heart.frame)
        blood = person.blood_hu * (1.0 if index % 2 == 0 or person.blood_hu < 100 else 0.9)
        box.blend(blood, soft(chamber, 1.5 * h) * muscle)
    groove = ellipsoid(box, heart.points((-0.16, 0.0, 0.0)), heart.radii * (0.06, 1.0, 1.0), heart.frame)
    ring = soft(groove, h) * soft(-level - np.float32(6 * rim), 2 * h)
    box.blend(-70.0, ring * muscle * (level > -9))
