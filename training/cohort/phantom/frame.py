"""The rib cage, the lungs and the diaphragm as levels (mm, negative inside) that any coordinates can be put into.

Coordinates are local LPS mm; arrays broadcast, so slabs pass their thin axes and samplers pass point lists.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.grid import F32
from training.cohort.phantom.person import SIGN, Person, Side
from training.cohort.phantom.shapes import smooth_max

Lobe = Literal["right upper lobe", "right middle lobe", "right lower lobe", "left upper lobe", "left lower lobe"]


def cage_axes(person: Person, z: F32) -> tuple[F32, F32, F32]:
    """Return half width, half depth and the centre's local y of the rib cage's inside at heights ``z``."""
    t = np.clip((person.apex_z - z) / (0.62 * (person.apex_z + 125)), 0, 1)
    open_ = np.maximum((1 - (1 - t) ** 2.3) ** (1 / 2.0), 0.004)
    a, b = person.chest[0] * open_, person.chest[1] * open_**0.9
    return a.astype(np.float32), b.astype(np.float32), (16 * (1 - t) ** 2 - 1).astype(np.float32)


def cage(person: Person, x: F32, y: F32, z: F32) -> F32:
    """Return the level of the rib cage's inside: exact near the wall, compressed towards the centre."""
    a, b, centre = cage_axes(person, z)
    p = person.chest_power
    k = (np.minimum(a, b) / p).astype(np.float32)
    across = k * (np.abs(x / a) ** np.float32(p)) - k
    level: F32 = across + k * (np.abs((y - centre) / b) ** np.float32(p))
    return level


def spine_y(person: Person, z: F32) -> F32:
    """Return the local y of the vertebral bodies' centre: the kyphotic curve."""
    return np.asarray(person.fossa - 0.0009 * (z - 15) ** 2, dtype=np.float32)


def spine_front(person: Person, z: float) -> float:
    """Return the local y of the vertebral bodies' front at one height."""
    return float(spine_y(person, np.asarray(z, dtype=np.float32))) - person.vertebra[1]


def medial(person: Person, side: Side, y: F32, z: F32) -> F32:
    """Return how far from the mid-line (mm, outwards) the lung of ``side`` begins at (y, z)."""
    back = y - spine_y(person, z)
    front = y + person.chest[1]
    spine = (person.vertebra[0] + 3) * _bell(np.minimum(back, 0) / 15) + np.maximum(back, 0) * 0.25
    junction = 4 + 10 * _bell((front + 4) / 16)
    middle = 24 * _bell((y + 8) / 34) + 10 * _bell((z - person.carina_z + 22) / 24) * _bell((y - 4) / 20)
    recess = 5.0 if side == "right" else 10.0
    level = np.maximum(np.maximum(spine, junction), np.maximum(middle, recess))
    return np.asarray(level, dtype=np.float32)


def _bell(u: npt.NDArray[np.floating]) -> F32:
    return np.asarray(np.exp(-(u**2)), dtype=np.float32)


def diaphragm(person: Person, side: Side, x: F32, y: F32) -> F32:
    """Return the height of the diaphragm under the lung of ``side`` at (x, y)."""
    u = (x * SIGN[side] - 62) / 62
    v = (y + 12) / person.chest[1]
    lateral = np.where(u > 0, 52 * person.sulcus, 5) * u**2
    depth = np.where(v > 0, 66 * person.sulcus, 20) * v**2
    return np.asarray((person.dome(side) - lateral).astype(np.float32) - depth.astype(np.float32), dtype=np.float32)


def lung(person: Person, side: Side, x: F32, y: F32, z: F32, wall: F32 | None = None) -> F32:
    """Return the level of the pleural cavity of ``side`` (heart and vessels not yet taken out)."""
    wall = cage(person, x, y, z) if wall is None else wall
    middle = medial(person, side, y, z) - np.float32(SIGN[side]) * x
    below = diaphragm(person, side, x, y) - z
    return smooth_max(smooth_max(wall, middle, 14.0), below, 9.0)


def oblique(person: Person, y: F32, z: F32) -> F32:
    """Return the level of the oblique fissure: positive behind and below it, in the lower lobe."""
    top, bottom = person.carina_z + 34, person.dome_z[0] - 6
    slope = (person.chest[1] * 1.5) / (top - bottom)
    return np.asarray(((y + 0.72 * person.chest[1]) - (z - bottom) * slope) / np.hypot(1, slope), dtype=np.float32)


def horizontal(person: Person, x: F32, y: F32, z: F32) -> F32:
    """Return the level of the right lung's horizontal fissure: positive above it."""
    level = z - (person.carina_z - 36) - 0.0018 * (x + 70) ** 2 + 0.06 * y
    return np.asarray(level, dtype=np.float32)


def lobe_at(person: Person, point: npt.ArrayLike) -> Lobe:
    """Return the lobe at a local LPS ``point``."""
    x, y, z = np.asarray(point, dtype=np.float32)
    if oblique(person, y, z) > 0:
        return "right lower lobe" if x < 0 else "left lower lobe"
    if x > 0:
        return "left upper lobe"
    return "right upper lobe" if horizontal(person, x, y, z) > 0 else "right middle lobe"
