"""Things put in by hands: pacemaker, sternal wires, chest tube, central catheter or port."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.cohort.phantom.bones import sternum_range, sternum_y
from training.cohort.phantom.clouds import Tubes, deposit, smooth_path
from training.cohort.phantom.findings.base import F64, Idea, Plan, Planned, metal
from training.cohort.phantom.frame import cage_axes
from training.cohort.phantom.great_vessels import brachiocephalic, vena_cava
from training.cohort.phantom.grid import Flat, Slab
from training.cohort.phantom.person import SIGN, Side
from training.cohort.phantom.shapes import ellipsoid, soft
from training.cohort.phantom.wall import skin_y

Disc = tuple[F64, F64, F64]


def _pocket(plan: Plan, side: Side, depth: float) -> tuple[F64, F64]:
    """Return a place ``depth`` mm under the skin of the upper chest and the frame of the wall there."""
    x, z = SIGN[side] * 76.0, plan.person.carina_z + 12
    y = skin_y(plan.person, x, z)
    slope = (skin_y(plan.person, x + 8, z) - skin_y(plan.person, x - 8, z)) / 16
    along = np.array([1.0, slope, 0.0]) / np.hypot(1, slope)
    out = np.array([along[1], -along[0], 0.0])
    return np.array([x, y, z]) - out * depth, np.stack([along, out, (0.0, 0.0, 1.0)])


def _disc(slab: Slab, disc: Disc, hu: float) -> Sequence[Flat]:
    """Paint a flat rounded body: centre, half sizes, frame."""
    centre, half, frame = disc
    box = slab.box(centre - half.max() - 3, centre + half.max() + 3)
    if box is None:
        return ()
    cover = soft(ellipsoid(box, centre, half, frame), slab.h)
    box.blend(hu, cover)
    return (box.flat(cover > 0.3),)


def _subclavian(plan: Plan, side: Side) -> F64:
    """Return the way from the upper chest under the clavicle to the superior vena cava."""
    z = plan.person.carina_z
    return np.concatenate(
        [[(SIGN[side] * 66, -34, z + 58), (SIGN[side] * 50, -26, z + 68)], brachiocephalic(plan.person, side)[1:]]
    )


def _pacemaker(plan: Plan) -> Sequence[Planned]:
    drawn: Side = "left" if plan.rng.random() < 0.75 else "right"
    side = plan.wish.side or drawn
    heart = plan.anatomy.heart
    centre, frame = _pocket(plan, side, 13.0)
    half = np.array([25.0, 6.5, 21.0])
    trunk = np.concatenate(
        [[centre + np.array([0.0, 3.0, 20.0])], _subclavian(plan, side), vena_cava(plan.person, heart)[1:]]
    )
    ends = [
        [(-0.5, -0.3, -0.1), (-0.2, -0.45, -0.35), (0.3, -0.5, -0.35), (0.55, -0.42, -0.2)],
        [(-0.42, -0.55, 0.2), (-0.38, -0.7, 0.35)],
    ]
    paths = [np.concatenate([trunk, heart.points(end)]) for end in ends]
    leads = Tubes.joined(*(Tubes.path(smooth_path(p), 1.1) for p in paths))

    def paint(slab: Slab) -> Sequence[Flat]:
        return [*_disc(slab, (centre, half, frame), 3000.0), *metal(slab, leads, 2600.0)]

    text = plan.pick(
        f"{side.capitalize()} chest wall pacemaker with leads in the right atrium and right ventricle.",
        f"A {side} sided dual lead pacemaker is in place.",
        f"Cardiac pacemaker generator in the {side} chest wall.",
    )
    return [Planned(("pacemaker or defib",), side, text, paint, 80, centre, 50.0)]


def _sternotomy(plan: Plan) -> Sequence[Planned]:
    low, high = sternum_range(plan.person)
    loops = []
    for z in np.linspace(low + 14, high - 12, int(plan.rng.integers(5, 8))):
        y = float(sternum_y(plan.person, np.asarray(z, dtype=np.float32)))
        turn = np.linspace(0, 2 * np.pi, 17)
        tilt = plan.rng.normal(0, 0.15)
        ring = np.stack([10 * np.sin(turn), y - 7.5 * np.cos(turn), z + 10 * tilt * np.sin(turn)], axis=1)
        loops.append(Tubes.path(ring, 0.75))
        loops.append(Tubes.path([ring[0], ring[0] + np.array([3.0, -1.5, 4.0])], 1.2))
    wires = Tubes.joined(*loops)
    text = plan.pick("Median sternotomy wires.", "Median sternotomy.", "Intact median sternotomy wires are noted.")
    return [Planned(("sternotomy",), None, text, lambda slab: metal(slab, wires, 4500.0, 0.05), 82)]


def _chest_tube(plan: Plan) -> Sequence[Planned]:
    person, side, rng = plan.person, plan.side(), plan.rng
    z = np.linspace(person.carina_z - 62, person.apex_z - 34, 9)
    a, b, centre = (np.asarray(v, dtype=np.float64) for v in cage_axes(person, z.astype(np.float32)))
    angle = np.linspace(1.45, float(rng.uniform(0.6, 1.0)), 9)
    inside = np.stack([SIGN[side] * (a - 5) * np.sin(angle), centre + (b - 5) * np.cos(angle), z], axis=1)
    outside = inside[0] + np.array([[SIGN[side] * 58, -14, -34], [SIGN[side] * 26, -6, -14]])
    line = smooth_path(np.concatenate([outside, inside]))
    outer, lumen = Tubes.path(line, 4.8), Tubes.path(line, 3.0)
    stripe = Tubes.path(line + np.array([0.0, -3.9, 0.0]), 0.7)

    def paint(slab: Slab) -> Sequence[Flat]:
        mask = metal(slab, outer, 260.0, 0.4)
        found = deposit(slab, lumen)
        if found is not None:
            found[0].blend(-960.0, found[1])
        metal(slab, stripe, 1800.0)
        return mask

    text = plan.pick(
        f"{side.capitalize()} chest tube in place.",
        f"There is a {side} sided chest tube.",
        f"A {side} chest tube terminates at the apex.",
    )
    return [Planned(("chest tube",), side, text, paint, 76)]


def _catheter(plan: Plan) -> Sequence[Planned]:
    drawn: Side = "right" if plan.rng.random() < 0.6 else "left"
    side = plan.wish.side or drawn
    cava = vena_cava(plan.person, plan.anatomy.heart)
    port = plan.rng.random() < 0.5
    centre, frame = _pocket(plan, side, 11.0)
    centre = centre - (SIGN[side] * 12, 0, 0)
    way = brachiocephalic(plan.person, side)
    start = (
        np.concatenate(
            [[centre, centre + np.array([0.0, 8.0, 26.0]), (SIGN[side] * 52, -30, plan.person.carina_z + 74)], way[1:]]
        )
        if port
        else way
    )
    tubes = Tubes.path(smooth_path(np.concatenate([start, cava[1:3]])), 1.6)

    def paint(slab: Slab) -> Sequence[Flat]:
        body = _disc(slab, (centre, np.array([13.0, 6.5, 13.0]), frame), 1600.0) if port else ()
        return [*body, *metal(slab, tubes, 1500.0)]

    kind = (
        plan.pick("chest wall port catheter", "port catheter")
        if port
        else plan.pick("internal jugular central venous catheter", "central venous catheter")
    )
    text = f"{side.capitalize()} {kind} with tip in the superior vena cava."
    return [Planned(("great vessel catheter or port",), side, text, paint, 78, cava[1], None)]


IDEAS = (
    Idea("pacemaker", ("pacemaker or defib",), 0.25, _pacemaker),
    Idea("sternotomy", ("sternotomy",), 0.28, _sternotomy),
    Idea("chest tube", ("chest tube",), 0.25, _chest_tube),
    Idea("catheter", ("great vessel catheter or port",), 0.28, _catheter),
)
