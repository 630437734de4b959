"""The body wall: skin, fat, muscle, breasts, and the table beneath."""

from __future__ import annotations

import numpy as np

from training.cohort.phantom.fields import Waves
from training.cohort.phantom.frame import cage_axes
from training.cohort.phantom.grid import F32, Slab
from training.cohort.phantom.person import Person
from training.cohort.phantom.shapes import ellipsoid, soft

FAT_HU = -100.0
SKIN_MM = 2.0


def outline(person: Person, x: F32, y: F32, z: F32, inset: float) -> F32:
    """Return the level (mm) of the body's outline moved inwards by ``inset`` mm at local coordinates."""
    _, _, centre = cage_axes(person, z)
    neck = np.clip((z - person.apex_z + 30) / 70, 0, 1.2) ** 2
    shoulder = 10 * np.exp(-(((z - person.apex_z + 5) / 45) ** 2))
    wall = person.muscle_mm + person.fat_mm
    a = person.chest[0] + wall - 6 - 4 * neck + shoulder - inset
    front = person.chest[1] + wall - 10 - 26 * neck - inset
    back = person.chest[1] + wall + 12 - 14 * neck - inset
    p = np.float32(2.6)
    shifted = (y - 0.5 * np.minimum(centre, 4)).astype(np.float32)
    v = np.where(shifted < 0, np.abs(shifted / front) ** np.float32(2.3), np.abs(shifted / back) ** np.float32(2.9))
    k = (np.minimum(a, front) / p).astype(np.float32)
    level: F32 = (k * np.abs(x / a) ** p - k).astype(np.float32) + (k * v).astype(np.float32)
    groove = np.exp(-((x / 12) ** 2)) * np.where(y < 0, 3.0, 6.0) * np.clip(np.abs(y) / 60 - 0.4, 0, 1)
    level += groove.astype(np.float32)
    return level


def skin_y(person: Person, x: float, z: float) -> float:
    """Return the local y of the front skin at (x, z), by bisection."""
    outside, inside = -260.0, 0.0
    for _ in range(24):
        middle = (outside + inside) / 2
        at = [np.asarray(v, dtype=np.float32) for v in (x, middle, z)]
        if float(outline(person, at[0], at[1], at[2], 0.0)) > 0:
            outside = middle
        else:
            inside = middle
    return inside


def paint_wall(person: Person, slab: Slab) -> F32:
    """Paint table, breasts, skin, fat and muscle; return the level of the body's outline."""
    paint_table(person, slab)
    level = outline(person, slab.x, slab.y, slab.z, 0.0)
    h = slab.h_plane
    _breasts(person, slab)
    whole = slab.whole()
    body = soft(level, h)
    whole.blend(10.0, body)
    whole.blend(FAT_HU, soft(level + np.float32(SKIN_MM), h))
    flesh = outline(person, slab.x, slab.y, slab.z, person.fat_mm)
    whole.blend(person.muscle_hu, soft(flesh, h))
    plane = np.abs(flesh + np.float32(0.5 * person.muscle_mm))
    plane -= (0.9 + 0.7 * np.sin(slab.x * 0.043 + slab.z * 0.021)).astype(np.float32)
    whole.blend(-40.0, soft(plane, h * 1.5) * np.float32(0.4))
    _marbling(person, slab, flesh)
    return level


def _marbling(person: Person, slab: Slab, flesh: F32) -> None:
    """Paint fat between the muscles of neck and shoulders."""
    low = person.apex_z - 50
    box = slab.box((-400, -400, low), (400, 400, 400))
    if box is None:
        return
    field = Waves.draw(np.random.Generator(np.random.PCG64(int(person.apex_z * 1000))), 46.0, 7).at(box)
    planes = soft((np.abs(field) - np.float32(0.2)) * 12, 4.0) * soft(flesh[box.where] + np.float32(6), 5.0)
    box.blend(-85.0, planes * np.clip((box.z - low) / 30, 0, 0.9).astype(np.float32))


def _breasts(person: Person, slab: Slab) -> None:
    if not person.breast_mm:
        return
    front = -(person.chest[1] + person.muscle_mm + person.fat_mm - 14)
    for sign in (-1, 1):
        centre = (sign * 74.0, front + 8, person.carina_z - 72)
        radii = (62.0, person.breast_mm + 6, 58.0)
        box = slab.box(np.subtract(centre, radii) - 4, np.add(centre, radii) + 4)
        if box is None:
            continue
        level = ellipsoid(box, centre, radii)
        box.blend(10.0, soft(level, slab.h_plane))
        box.blend(FAT_HU, soft(level + np.float32(SKIN_MM), slab.h_plane))
        gland = ellipsoid(box, np.add(centre, (0, -4, 0)), np.multiply(radii, 0.5))
        box.blend(25.0, soft(gland, 10.0) * np.float32(0.7))


def paint_table(person: Person, slab: Slab) -> None:
    """Paint a curved carbon table with a foam core behind the patient."""
    back = person.chest[1] + person.muscle_mm + person.fat_mm + 12
    y = slab.y - np.float32(back + 4) + (slab.x * slab.x) * np.float32(0.0011)
    whole = slab.whole()
    inside = np.maximum(np.maximum(np.abs(y - 14) - 14, np.abs(slab.x) - 215), -30)
    h = slab.h_plane
    whole.blend(-880.0, soft(inside, h))
    whole.blend(-150.0, soft(np.abs(inside + 1) - np.float32(max(1.2, h / 2)), h) * np.float32(min(1.0, 2.4 / h)))
