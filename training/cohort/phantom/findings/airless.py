"""Atelectasis and bandlike or linear densities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.findings.base import F64, Idea, Plan, Planned, ball_box, on_side, side_box
from training.cohort.phantom.frame import spine_y
from training.cohort.phantom.grid import F32, Flat, Slab
from training.cohort.phantom.person import SIGN, Person, Side
from training.cohort.phantom.shapes import ellipsoid, sheet, smooth_max, soft


def _wedge(person: Person, side: Side, size: float, x: F32, y: F32, z: F32) -> F32:
    """Return the level of a collapsed lower lobe: a wedge beside the spine that tapers upwards."""
    foot = person.dome_z[0] - 12
    out = x * SIGN[side] - 16 - size
    edge = 0.72 * out - 0.6 * (y - spine_y(person, z)) + 0.34 * (z - foot)
    return smooth_max(np.asarray(edge, dtype=np.float32), np.asarray(z - person.carina_z + 30, dtype=np.float32), 10.0)


def _atelectasis(plan: Plan) -> Sequence[Planned]:
    person, side = plan.person, plan.side()
    size, hu = plan.diameter(26, 48), float(plan.rng.uniform(55, 90))

    def paint(slab: Slab) -> Sequence[Flat]:
        box = side_box(slab, person, side)
        if box is None:
            return ()
        cover = soft(_wedge(person, side, size, box.x, box.y, box.z), slab.h) * on_side(box, side)
        box.blend(hu, cover)
        return (box.flat(cover > 0.5),)

    def covers(p: F64) -> npt.NDArray[np.bool_]:
        x, y, z = p.T.astype(np.float32)
        return np.asarray((_wedge(person, side, size + 8, x, y, z) < 0) & ((x < 0) == (side == "right")))

    text = plan.pick(
        f"Atelectasis of the {side} lower lobe.",
        f"There is {side} lower lobe atelectasis with volume loss.",
        f"Segmental atelectasis in the medial {side} lower lobe.",
    )
    return [Planned(("atelectasis",), side, text, paint, 46, covers=covers)]


def _band(plan: Plan) -> Sequence[Planned]:
    side, rng, person = plan.side(), plan.rng, plan.person
    length, thickness = plan.diameter(50, 85), float(rng.uniform(3.0, 4.5))
    centre = plan.lung_point(side, 8, lambda p: p[:, 2] < person.carina_z)
    normal = np.array([rng.uniform(-0.5, 0.5), rng.choice([-1, 1]) * rng.uniform(0.5, 1.0), rng.uniform(-0.7, 0.7)])
    normal /= np.linalg.norm(normal)
    radii = np.array([length / 2, length / 2, 0.3 * length])

    def paint(slab: Slab) -> Sequence[Flat]:
        box = ball_box(slab, centre, length / 2 + 4)
        if box is None:
            return ()
        x, y, z = box.x - centre[0], box.y - centre[1], box.z - centre[2]
        plane = (normal[0] * x).astype(np.float32) + (normal[1] * y + normal[2] * z).astype(np.float32)
        plane += (0.004 * x**2).astype(np.float32)
        line = sheet(plane, thickness, slab.h)
        disc = soft(ellipsoid(box, centre, radii), 6.0)
        lung = on_side(box, side)
        box.blend(10.0, line * disc * lung)
        return (box.flat((np.abs(plane) < max(thickness, slab.h) / 2) & (disc > 0.5) & (lung > 0.5)),)

    lobe = plan.lobe(centre)
    text = plan.pick(
        f"A bandlike, linear focus crosses the {lobe}.",
        f"Bandlike, linear focus in the {lobe}.",
        f"There is a bandlike, linear focus in the {lobe}.",
    )
    return [Planned(("bandlike or linear",), side, text, paint, 50, centre, length)]


IDEAS = (
    Idea("atelectasis", ("atelectasis",), 0.28, _atelectasis),
    Idea("bandlike or linear", ("bandlike or linear",), 0.28, _band),
)
