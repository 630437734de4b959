"""Pleural effusion and pneumothorax."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.findings.base import F64, Idea, Plan, Planned, on_side, side_box
from training.cohort.phantom.frame import cage
from training.cohort.phantom.grid import F32, Flat, Slab
from training.cohort.phantom.person import Person, Side
from training.cohort.phantom.shapes import sheet, soft


def _fluid(person: Person, depth: float, x: F32, y: F32, z: F32) -> F32:
    """Return the level of layering fluid ``depth`` mm deep at the base, with a meniscus along the wall."""
    wall = np.minimum(cage(person, x, y, z), 0)
    surface = person.chest[1] - depth + 0.3 * (z - person.dome_z[0])
    level: F32 = (surface - y).astype(np.float32) - 12 * np.exp(wall / 9)
    return level


def _effusion(plan: Plan) -> Sequence[Planned]:
    both = plan.rng.random() < 0.3 and plan.wish.side is None
    first = plan.side()
    sides: tuple[Side, ...] = ("right", "left") if both else (first,)
    depth = (plan.diameter(28, 62), float(plan.rng.uniform(24, 45)))
    return [_effusion_on(plan, side, d, both) for side, d in zip(sides, depth, strict=False)]


def _effusion_on(plan: Plan, side: Side, depth: float, both: bool) -> Planned:
    person, hu = plan.person, float(plan.rng.uniform(2, 18))

    def paint(slab: Slab) -> Sequence[Flat]:
        box = side_box(slab, person, side)
        if box is None:
            return ()
        cover = soft(_fluid(person, depth, box.x, box.y, box.z), slab.h) * on_side(box, side)
        box.blend(hu, cover)
        box.lung[...] -= cover
        return (box.flat(cover > 0.5),)

    def covers(p: F64) -> npt.NDArray[np.bool_]:
        x, y, z = p.T.astype(np.float32)
        return np.asarray((_fluid(person, depth + 14, x, y, z) < 0) & ((x < 0) == (side == "right")))

    size = "small" if depth < 36 else "moderate" if depth < 50 else "large"
    text = plan.pick(
        f"{size.capitalize()} {side} pleural effusion.",
        f"There is a {size} {side} pleural effusion.",
        f"A {size} layering pleural effusion is present on the {side}.",
    )
    return Planned(("pleural effusion",), side, text, paint, 10 + both, covers=covers)


def _gap(person: Person, depth: float, y: F32, z: F32) -> F32:
    """Return how far (mm) free air holds the lung off the wall: most at the front and the apex of a supine patient."""
    front = np.clip((35 - y) / (0.9 * person.chest[1]), 0, 1) * (0.75 + 0.25 * np.clip((z + 40) / 120, 0, 1))
    return np.asarray(depth * front - 4 - 60 * np.maximum(0.15 - front, 0), dtype=np.float32)


def _pocket(person: Person, depth: float, x: F32, y: F32, z: F32) -> F32:
    """Return the level of free air."""
    level: F32 = -cage(person, x, y, z) - _gap(person, depth, y, z)
    return level


def _pneumothorax(plan: Plan) -> Sequence[Planned]:
    person, side = plan.person, plan.side()
    depth = plan.diameter(26, 46)

    def paint(slab: Slab) -> Sequence[Flat]:
        box = side_box(slab, person, side)
        if box is None:
            return ()
        level = _pocket(person, depth, box.x, box.y, box.z)
        lung = on_side(box, side)
        cover = soft(level, slab.h) * lung
        box.blend(-998.0, cover)
        box.blend(-150.0, sheet(level - np.float32(0.6), 0.8, slab.h) * lung * (_gap(person, depth, box.y, box.z) > 2))
        box.lung[...] -= cover
        return (box.flat(cover > 0.5),)

    def covers(p: F64) -> npt.NDArray[np.bool_]:
        x, y, z = p.T.astype(np.float32)
        return np.asarray((_pocket(person, depth + 8, x, y, z) < 0) & ((x < 0) == (side == "right")))

    size = "small" if depth < 32 else "moderate" if depth < 40 else "large"
    text = plan.pick(
        f"{size.capitalize()} {side} pneumothorax.",
        f"There is a {size} anterior pneumothorax on the {side}.",
        f"A {size} {side} sided pneumothorax is present.",
    )
    return [Planned(("pneumothorax",), side, text, paint, 12, covers=covers)]


IDEAS = (
    Idea("pleural effusion", ("pleural effusion",), 0.28, _effusion),
    Idea("pneumothorax", ("pneumothorax",), 0.25, _pneumothorax),
)
