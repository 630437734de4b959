"""Aorta, pulmonary arteries, great veins, trachea, main bronchi and oesophagus as chains of round cones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.clouds import smooth_path
from training.cohort.phantom.frame import spine_front
from training.cohort.phantom.grid import Slab
from training.cohort.phantom.heart import Heart
from training.cohort.phantom.person import Person
from training.cohort.phantom.shapes import capsule, soft

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chain:
    """A tube along ``line`` [N, 3] (local LPS mm) of ``radii`` [N] and ``hu``; a hollow one has ``wall`` mm of wall."""

    line: F64
    radii: F64
    hu: float
    wall: float = 0.0
    wall_hu: float = 40.0


def _chain(
    points: Sequence[npt.ArrayLike] | F64, radii: npt.ArrayLike, hu: float, wall: float = 0.0, step: float = 14.0
) -> Chain:
    """Return a smooth chain through ``points`` with radii interpolated along it."""
    p = np.stack([np.asarray(point, dtype=np.float64) for point in points])
    line = smooth_path(p, step)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    here = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    radius = np.broadcast_to(np.asarray(radii, dtype=np.float64), (len(p),))
    return Chain(line, np.interp(here * along[-1] / here[-1], along, radius), hu, wall)


def aorta_line(person: Person, heart: Heart) -> F64:
    """Return control points of the aorta from the root over the arch to below the diaphragm."""
    c, root = person.carina_z, heart.points((-0.3, -0.05, 0.45))
    back = [spine_front(person, z) for z in (c, c - 40, c - 90, -125, -180)]
    front = 48 - person.chest[1]
    return np.array(
        [
            root,
            (-12, front + 2, c - 22),
            (-12, front + 2, c + 4),
            (-3, front + 12, c + 22),
            (11, (front + back[0]) / 2, c + 29),
            (23, back[0] - 16, c + 22),
            (27, back[0] - 4, c + 4),
            (26, back[1] - 4, c - 40),
            (21, back[2] - 6, c - 90),
            (14, back[3] - 12, -125),
            (10, back[4] - 12, -180),
        ]
    )


def hilum(person: Person, side: str, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> F64:
    """Return the point (local LPS mm) where the vessels and airways of ``side`` enter the lung, moved by ``shift``."""
    sign = -1.0 if side == "right" else 1.0
    out, down = (36.0, 26.0) if side == "right" else (39.0, 22.0)
    return np.array([sign * out + shift[0], 6.0 + shift[1], person.carina_z - down + shift[2]])


def vena_cava(person: Person, heart: Heart) -> F64:
    """Return the superior vena cava from above down into the right atrium."""
    c, atrium = person.carina_z, heart.points((-0.52, -0.34, 0.25))
    return np.array([(-24, -22, c + 46), (-27, -24, c + 15), (-27, -22, c - 12), atrium])


def brachiocephalic(person: Person, side: str) -> F64:
    """Return the brachiocephalic vein of ``side`` from the neck to the superior vena cava."""
    c = person.carina_z
    end = (-24, -22, c + 44)
    if side == "right":
        return np.array([(-40, -6, c + 120), (-36, -16, c + 75), end])
    return np.array([(44, -6, c + 120), (36, -22, c + 72), (8, -34, c + 54), end])


def airway_lines(person: Person) -> dict[str, F64]:
    """Return control points of the trachea and the main bronchi."""
    c = person.carina_z
    carina = (0.0, 4.0, c)
    return {
        "trachea": np.array([(1.0, -6.0, c + 130), (0.0, 0.0, c + 60), carina]),
        "right": np.array([carina, (-17, 6, c - 14), hilum(person, "right", (0, 3, 2))]),
        "left": np.array([carina, (18, 7, c - 14), hilum(person, "left", (0, 3, -2))]),
    }


def chains(person: Person, heart: Heart) -> tuple[Chain, ...]:
    """Return all central vessels and airways in painting order."""
    c, blood, r = person.carina_z, person.blood_hu, person.aorta_mm
    vein = blood if blood < 100 else 0.85 * blood
    cone, arch = heart.points((0.1, -0.5, 0.6)), aorta_line(person, heart)
    trunk = np.array([14.0, 58 - person.chest[1], c - 24])
    gullet = [(6, spine_front(person, z) - 10, z) for z in (180, 90, 20, -60, -130)]
    branches = [
        _chain([arch[3], (-16, -20, c + 60), (-26, -8, c + 120)], [7, 6, 5], blood),
        _chain([arch[4], (8, -10, c + 64), (22, -4, c + 120)], [5, 4.5, 4], blood),
        _chain([arch[5], (24, 6, c + 62), (38, 4, c + 120)], [6, 5, 4.5], blood),
    ]
    radii = r * np.array([1.1, 1.15, 1.08, 1.0, 0.95, 0.92, 0.9, 0.86, 0.82, 0.8, 0.75])
    return (
        _chain(gullet, 7.0, 38.0),
        _chain([trunk, (2, -6, c - 22), hilum(person, "right", (2, -2, 1))], [11, 10, 8], blood),
        _chain([trunk, (26, -4, c - 12), hilum(person, "left", (-1, -1, 9))], [11, 10, 8], blood),
        _chain([cone, trunk], [14, 13], blood),
        *branches,
        _chain(brachiocephalic(person, "right"), [6, 7, 8], vein),
        _chain(brachiocephalic(person, "left"), [6, 7, 7, 8], vein),
        _chain(vena_cava(person, heart), [8, 9.5, 10, 10], vein),
        _chain([heart.points((-0.55, -0.2, -0.5)), (-24, 6, -130), (-22, 14, -185)], [12, 13, 13], vein),
        _chain(arch, radii, blood),
    )  # fmt: skip


def airways(person: Person) -> tuple[Chain, ...]:
    """Return trachea and main bronchi."""
    lines = airway_lines(person)
    return (
        _chain(lines["trachea"], [8.5, 8.5, 9.0], -985.0, 1.5),
        _chain(lines["right"], [8.0, 7.0, 5.5], -985.0, 1.3),
        _chain(lines["left"], [7.5, 6.3, 5.2], -985.0, 1.3),
    )


def paint_chains(slab: Slab, tubes: tuple[Chain, ...]) -> None:
    """Paint chains: all walls first, then the lumens, so that joints stay open."""
    for chain in tubes:
        _paint(slab, chain, chain.wall, chain.wall_hu if chain.wall else chain.hu)
    for chain in tubes:
        if chain.wall:
            _paint(slab, chain, 0.0, chain.hu)


def _paint(slab: Slab, chain: Chain, grow: float, hu: float) -> None:
    radii = chain.radii + grow
    margin = radii.max() + slab.h
    for p, q, rp, rq in zip(chain.line[:-1], chain.line[1:], radii[:-1], radii[1:], strict=True):
        box = slab.box(np.minimum(p, q) - margin, np.maximum(p, q) + margin)
        if box is not None:
            box.displace(hu, soft(capsule(box, p, q, float(rp), float(rq)), slab.h))
