"""Lungs, what lies below the diaphragm, fissures and the mediastinum's fat."""

from __future__ import annotations

import numpy as np

from training.cohort.phantom.frame import diaphragm, horizontal, lung, oblique, spine_y
from training.cohort.phantom.grid import F32, Box, Slab
from training.cohort.phantom.person import SIGN, Person, Side
from training.cohort.phantom.shapes import ellipsoid, sheet, smooth_max, soft

ORGAN: dict[str, int] = {"right": 1, "left": 2}
MEDIASTINUM_FAT_HU = -95.0


def paint_cavity(person: Person, slab: Slab, wall: F32) -> None:
    """Paint everything inside the rib cage but heart and vessels; ``wall`` is the cage's level."""
    whole = slab.whole()
    inside = soft(wall, slab.h)
    behind = soft((slab.y - spine_y(person, slab.z) + np.float32(person.vertebra[1])).astype(np.float32), slab.h)
    bed = np.sqrt((slab.x / 36) ** 2 + ((slab.y - spine_y(person, slab.z) - 8) / 34) ** 2)
    keep = np.maximum(behind, 1 - soft(((bed - 1) * 34).astype(np.float32), 6.0))
    whole.blend(MEDIASTINUM_FAT_HU, inside * keep)
    middle = np.maximum(diaphragm(person, "right", slab.x, slab.y), diaphragm(person, "left", slab.x, slab.y))
    chest = (wall < 0) & (slab.z > middle) & (slab.y < spine_y(person, slab.z) - np.float32(person.vertebra[1]))
    np.putmask(slab.organ, chest, np.uint8(3))
    _abdomen(person, slab, inside * keep)
    for side in ("right", "left"):
        _lung(person, slab, side, wall)


def _half(slab: Slab, side: Side) -> Box | None:
    """Return the part of the slab on ``side`` of the mid-line."""
    reach = (-400.0, 0.5) if side == "right" else (-0.5, 400.0)
    return slab.box((reach[0], -400, -400), (reach[1], 400, 400))


def _lung(person: Person, slab: Slab, side: Side, wall: F32) -> None:
    box = _half(slab, side)
    if box is None or float(box.z.min()) > person.apex_z:
        return
    level = lung(person, side, box.x, box.y, box.z, wall[box.where])
    cover = soft(level, slab.h)
    value = person.parenchyma_hu + 0.35 * (box.y + 20)
    box.blend(value.astype(np.float32), cover)
    np.maximum(box.lung, cover, out=box.lung)
    np.putmask(box.organ, level < 0, np.uint8(ORGAN[side]))


def paint_fissures(person: Person, slab: Slab) -> None:
    """Paint the oblique fissures and the right lung's horizontal fissure as faint sheets."""
    for side in ("right", "left"):
        box = _half(slab, side)
        if box is None:
            continue
        behind = oblique(person, box.y + 0.0007 * (box.x - SIGN[side] * 60) ** 2, box.z)
        line = sheet(behind, 0.3, slab.h)
        if side == "right":
            above = sheet(horizontal(person, box.x, box.y, box.z), 0.2, slab.h)
            line = np.maximum(line, np.where(behind < 0, above, np.float32(0)))
        box.blend(-250.0, line * box.lung)


def _abdomen(person: Person, slab: Slab, inside: F32) -> None:
    if float(slab.z.min()) > max(person.dome_z) + 4:
        return
    for side in ("right", "left"):
        box = _half(slab, side)
        if box is not None:
            under = soft((box.z - diaphragm(person, side, box.x, box.y)).astype(np.float32), slab.h)
            under *= inside[box.where]
            box.blend(-102.0, under)
            _liver(person, box, under)
            if side == "left":
                _left_organs(person, box, under)


def _liver(person: Person, box: Box, under: F32) -> None:
    """Paint the liver: broad under the right dome, tapering over the mid-line to the left."""
    depth = person.dome("right") - box.z
    tip = box.x - 60 + 0.8 * np.maximum(depth - 12, 0) + 0.25 * (box.y + 50)
    back = box.y - 6 + 0.9 * (box.x + 22)
    level = smooth_max(tip.astype(np.float32), back.astype(np.float32), 26.0)
    box.blend(person.muscle_hu + 6 + (30 if person.blood_hu > 100 else 0), soft(level, box.slab.h) * under)


def _left_organs(person: Person, box: Box, under: F32) -> None:
    h, dome = box.slab.h, person.dome("left")
    spleen = ellipsoid(box, (86, 34, dome - 46), (34, 42, 44))
    box.blend(person.muscle_hu + 2, soft(spleen, h) * under)
    stomach = ellipsoid(box, (64, -26, dome - 38), (38, 42, 34))
    box.blend(35.0, soft(stomach, h) * under)
    lumen = soft(stomach + np.float32(4), h) * under
    box.blend(np.where(box.y < -34, np.float32(-960), np.float32(18)), lumen)
