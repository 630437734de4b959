"""Ribs with cartilage, spine, sternum, clavicles and shoulder blades."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from training.cohort.phantom.frame import cage_axes, spine_y
from training.cohort.phantom.grid import F32, Slab
from training.cohort.phantom.person import Person
from training.cohort.phantom.shapes import capsule, soft

CORTEX_HU = 650.0
VERTEBRA_MM = 24.0
RIBS = 11


def paint_bones(person: Person, slab: Slab, wall: F32, skin: F32) -> None:
    """Paint all bones; ``wall`` is the rib cage's level, ``skin`` the body outline's."""
    shell = np.flatnonzero((wall > -2) & (wall < 42) & (skin < -4))
    s, r, c = np.unravel_index(shell, slab.hu.shape)
    x, y, z = slab.x[s, 0, c], slab.y[0, r, 0], slab.z[s, 0, 0]
    depth = wall.reshape(-1)[shell] * _wall_scale(person, z)
    hu = slab.hu.reshape(-1)
    for value, cover in (*_ribs(person, x, y, z, depth, slab.h), _scapula(person, x, y, z, depth, slab.h)):
        hu[shell] += cover * (value - hu[shell])
    paint_spine(person, slab)
    paint_sternum(person, slab)
    _clavicles(person, slab)
    _humeri(person, slab)


def _wall_scale(person: Person, z: F32) -> F32:
    """Return the factor from the rib cage's level to depth: the level grows too fast where the cage is narrow."""
    a, b, _ = cage_axes(person, z)
    return np.asarray(np.clip(np.minimum(a, b) / person.chest[1], 0.3, 1), dtype=np.float32)


def _ribs(person: Person, x: F32, y: F32, z: F32, depth: F32, h: float) -> list[tuple[F32, F32]]:
    """Return (HU, cover) of rib cortex and marrow at shell points: slanting down to the front, then cartilage."""
    a, b, centre = cage_axes(person, z)
    turn = np.arctan2(np.abs(x / a), (y - centre) / b)  # 0 at the back, pi at the front
    drop = 62 * (1 - np.cos(np.minimum(turn, 2.3))) / 1.67 - 26 * np.maximum(turn - 2.3, 0)
    number = (person.apex_z - 2 + person.rib_phase * 0.2 - drop - z) / person.rib_pitch
    nearest = np.clip(np.rint(number), 0, RIBS - 1)
    across = (number - nearest) * person.rib_pitch * 0.9
    ring = np.hypot(across / 6.0, (depth - 6.0) / 4.0)
    reach = (nearest < 9) | (turn < 2.2 - 0.5 * (nearest - 9))
    bony = np.clip((2.35 - turn) * 12, 0, 1).astype(np.float32)
    attached = (turn > 0.12) & (turn < 3.0) & reach
    outer = np.where(attached, soft(((ring - 1) * 4).astype(np.float32), h), np.float32(0))
    inner = np.where(attached, soft(((ring - 0.62) * 4).astype(np.float32), h), np.float32(0)) * bony
    return [(120 + (CORTEX_HU - 120) * bony, outer), (np.full_like(x, person.bone_hu), inner)]


def _scapula(person: Person, x: F32, y: F32, z: F32, depth: F32, h: float) -> tuple[F32, F32]:
    """Return (HU, cover) of the shoulder blades: thin plates behind the upper ribs."""
    middle = person.apex_z - 55
    span = np.maximum(np.abs(np.abs(x) - 92) - 30 - 0.12 * (z - middle), np.abs(z - middle) - 62)
    thick = 2.2 + 3.5 * np.clip((np.abs(x) - 105) / 25, 0, 1)
    plate = np.maximum(np.abs(depth - 19 - 0.05 * (np.abs(x) - 90)) - thick, span)
    cover = soft(np.where(y > 10, plate, 99).astype(np.float32), h)
    return np.full_like(x, 420.0), cover


def paint_spine(person: Person, slab: Slab) -> None:
    """Paint vertebral bodies, discs, arches, processes, the canal and the muscles beside them."""
    box = slab.box((-62, person.fossa - 75, -400), (62, person.fossa + 75, 400))
    if box is None:
        return
    x, y, h = box.x, box.y - spine_y(person, box.z), slab.h_plane
    a, b = person.vertebra
    phase = np.mod(box.z + person.rib_phase, VERTEBRA_MM) - VERTEBRA_MM / 2
    disc = soft(np.abs(np.abs(phase) - VERTEBRA_MM / 2) - np.float32(2.3), slab.h)
    level = np.sqrt((x / a) ** 2 + (y / b) ** 2)
    level = ((level - 1) * b).astype(np.float32)
    body = soft(level, h)
    canal_y = y - np.float32(b + 8)
    ring = np.sqrt(x**2 + canal_y**2).astype(np.float32)
    high = np.clip(1 - (np.abs(phase - 1) - 7) / 4, 0, 1).astype(np.float32)
    arch = soft(np.abs(ring - np.float32(11.5)) - np.float32(2.5), h)
    box.blend(420.0, arch * (0.35 + 0.65 * high))
    spike = np.maximum(np.abs(x) - 3, np.abs(canal_y - np.float32(24)) - 14).astype(np.float32)
    box.blend(330.0, soft(spike, h) * np.clip(1 - (np.abs(phase + 3) - 7) / 4, 0, 1).astype(np.float32))
    wing = np.maximum(np.abs(x) - 34, np.abs(canal_y + 1 - 0.25 * np.abs(x)) - 4.5).astype(np.float32)
    box.blend(
        360.0, soft(np.maximum(wing, 10 - ring), h) * np.clip(1 - (np.abs(phase) - 4) / 4, 0, 1).astype(np.float32)
    )
    box.blend(CORTEX_HU - 150, body)
    box.blend(
        person.bone_hu, soft(level + np.float32(1.8), h) * (1 - 0.45 * soft(np.abs(np.abs(phase) - 8.5) - 1, slab.h))
    )
    box.blend(85.0, body * disc)
    box.blend(-40.0, soft(ring - np.float32(9), h))
    box.blend(38.0, soft(ring - np.float32(5.5), h))


def sternum_y(person: Person, z: F32) -> F32:
    """Return the local y of the sternum's centre."""
    _, b, centre = cage_axes(person, z)
    return np.asarray(centre - b - 7, dtype=np.float32)


def sternum_range(person: Person) -> tuple[float, float]:
    """Return the heights of the sternum's lower and upper end."""
    return person.carina_z - 105, person.carina_z + 38


def paint_sternum(person: Person, slab: Slab) -> None:
    """Paint the sternum: wide at the manubrium, narrow below."""
    low, high = sternum_range(person)
    box = slab.box((-34, -person.chest[1] - 30, low - 4), (34, 0, high + 4))
    if box is None:
        return
    width = 15 + 10 * np.clip((box.z - high + 45) / 35, 0, 1) - 5 * np.clip((low + 25 - box.z) / 25, 0, 1)
    y = box.y - sternum_y(person, box.z)
    level = (np.sqrt((box.x / width) ** 2 + (y / 6) ** 2) - 1) * 6
    ends = np.maximum(box.z - high, low - box.z)
    level = np.maximum(level, ends).astype(np.float32)
    box.blend(420.0, soft(level, slab.h_plane))
    box.blend(0.7 * person.bone_hu, soft(level + np.float32(1.8), slab.h_plane))


def _clavicles(person: Person, slab: Slab) -> None:
    top = sternum_range(person)[1]
    front = float(sternum_y(person, np.asarray(top, dtype=np.float32)))
    for sign in (-1, 1):
        joints = [(sign * 22, front + 2, top + 2), (sign * 70, front - 2, top + 14), (sign * 135, front + 38, top + 34)]
        for p, q in pairwise(joints):
            box = slab.box(np.minimum(p, q) - 12, np.maximum(p, q) + 12)
            if box is None:
                continue
            level = capsule(box, p, q, 6.5, 5.5)
            box.blend(CORTEX_HU, soft(level, slab.h))
            box.blend(person.bone_hu + 60, soft(level + np.float32(2), slab.h))


def _humeri(person: Person, slab: Slab) -> None:
    """Paint the heads and shafts of the raised arms where the field of view holds them."""
    z = person.apex_z + 8
    for sign in (-1, 1):
        head, shaft = (sign * 133.0, 12.0, z), (sign * 158.0, 2.0, z + 90)
        for p, q, r in ((head, (sign * 135.0, 11.0, z + 8), 21.0), (head, shaft, 11.0)):
            box = slab.box(np.minimum(p, q) - r - 3, np.maximum(p, q) + r + 3)
            if box is not None:
                level = capsule(box, p, q, r, r)
                inside = (box.hu > -150).astype(np.float32)
                box.blend(CORTEX_HU, soft(level, slab.h) * inside)
                box.blend(person.bone_hu + 40, soft(level + np.float32(2.5), slab.h) * inside)
