"""Diffuse changes of the lung's texture: emphysema, honeycombing, bronchiectasis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.cohort.phantom.clouds import Tubes, deposit
from training.cohort.phantom.fields import Waves
from training.cohort.phantom.findings.base import Idea, Plan, Planned, on_side, side_box
from training.cohort.phantom.frame import cage, diaphragm
from training.cohort.phantom.grid import F32, Box, Flat, Slab
from training.cohort.phantom.person import Side
from training.cohort.phantom.shapes import ellipsoid, soft
from training.cohort.phantom.trees import beside

SIDES: tuple[Side, Side] = ("right", "left")


def _emphysema(plan: Plan) -> Sequence[Planned]:
    person, rng = plan.person, plan.rng
    holes, severity = Waves.draw(rng, 13.0, 9), float(rng.uniform(-0.3, 0.4))
    blebs = [
        (plan.lung_point(s, 6, lambda p: p[:, 2] > person.carina_z - 10), float(rng.uniform(9, 20))) for s in SIDES * 3
    ]

    def paint(slab: Slab) -> Sequence[Flat]:
        found = []
        for side in SIDES:
            box = side_box(slab, person, side)
            if box is None:
                continue
            upper = np.clip((box.z - person.dome_z[0] - 20) / 130, -0.3, 1).astype(np.float32)
            level = (1.15 - severity - 1.0 * upper) - holes.at(box)
            airy = on_side(box, side) * (box.hu < -600)
            cover = soft(level * 5, 3.0) * airy
            box.blend(-985.0, cover)
            found.append(box.flat(cover > 0.5))
        for centre, radius in blebs:
            box = slab.box(centre - radius - 3, centre + radius + 3)
            if box is not None:
                level = ellipsoid(box, centre, (radius, radius, radius * 1.2))
                box.blend(-800.0, soft(level - np.float32(1), slab.h) * box.lung)
                hole = soft(level, slab.h) * box.lung
                box.blend(-990.0, hole)
                found.append(box.flat(hole > 0.5))
        return found

    word = plan.pick("Mild", "Moderate", "Severe")
    text = plan.pick(
        f"{word} centrilobular emphysema.",
        f"{word} upper lobe predominant emphysema.",
        "There is emphysema in both lungs.",
    )
    return [Planned(("emphysema",), None, text, paint, 30)]


def _to_cell(box: Box, shifts: Sequence[F32], cell: float) -> F32:
    """Return the distance, in cells, to the nearest point of a body-centred lattice ``shifts`` cells out of true."""
    squares = []
    for offset in (0.0, 0.5):
        total = np.zeros(box.hu.shape, np.float32)
        for axis, shift in zip((box.x, box.y, box.z), shifts, strict=True):
            along = (axis / np.float32(cell) + np.float32(offset)) + shift
            along -= np.rint(along)
            along *= along
            total += along
        squares.append(total)
    return np.sqrt(np.minimum(squares[0], squares[1]))


def _honeycombing(plan: Plan) -> Sequence[Planned]:
    person, rng = plan.person, plan.rng
    warp, depth, cell = (
        [Waves.draw(rng, 34.0, 3) for _ in range(3)],
        float(rng.uniform(11, 19)),
        float(rng.uniform(8.5, 11)),
    )
    top = person.dome_z[0] + float(rng.uniform(35, 80))

    def paint(slab: Slab) -> Sequence[Flat]:
        found = []
        for side in SIDES:
            box = side_box(slab, person, side)
            if box is None:
                continue
            behind = np.clip(0.75 + box.y / 140, 0.35, 1.15).astype(np.float32)
            rind = -cage(person, box.x, box.y, box.z) - np.float32(depth) * behind
            base = np.asarray(box.z - diaphragm(person, side, box.x, box.y) - 0.4 * depth, dtype=np.float32)
            level = np.minimum(rind, base)
            level = np.maximum(level, box.z - top + 0.5 * (20 - box.y) + 14 * warp[0].at(box))
            area = soft(level, 5.0) * on_side(box, side)
            cyst = soft(
                (_to_cell(box, [w.at(box) * np.float32(0.45) for w in warp], cell) - np.float32(0.40)) * cell, slab.h
            )
            box.blend(-60 - cyst * np.float32(860), area)
            found.append(box.flat(area > 0.5))
        return found

    text = plan.pick(
        "Subpleural honeycombing at both lung bases.",
        "Basilar predominant honeycombing.",
        "There is honeycombing in the lower lobes.",
    )
    return [Planned(("honeycombing",), None, text, paint, 32)]


def _bronchiectasis(plan: Plan) -> Sequence[Planned]:
    side, rng, tree = plan.side(), plan.rng, plan.anatomy.tree
    centre = plan.lung_point(side, 20, lambda p: p[:, 2] < plan.person.carina_z)
    middle = (tree.arteries.p0 + tree.arteries.p1) / 2
    same = (middle[:, 0] < 0) == (side == "right")
    far = np.linalg.norm(middle - centre, axis=1)
    near = same & (far < 58) & (tree.level >= 3) & (tree.level <= 7)
    wide = float(rng.uniform(2.8, 4.0))
    lumen = beside(tree.arteries.take(near), 1.6).scaled(1.0, wide)
    lumen = Tubes(lumen.p0, lumen.p1, np.minimum(lumen.r0, wide + 1.2), np.minimum(lumen.r1, wide + 1.0))
    wall = Tubes(lumen.p0, lumen.p1, lumen.r0 + 1.6, lumen.r1 + 1.6)

    def paint(slab: Slab) -> Sequence[Flat]:
        found = deposit(slab, wall)
        if found is None:
            return ()
        box, cover = found
        cover = cover * on_side(box, side)
        box.blend(20.0, cover)
        mask = box.flat(cover > 0.5)
        inside = deposit(slab, lumen)
        if inside is not None:
            inside[0].blend(-980.0, inside[1] * on_side(inside[0], side))
        return (mask,)

    lobe = plan.lobe(centre)
    text = plan.pick(
        f"Cylindrical bronchiectasis in the {lobe}.",
        f"There is bronchiectasis of the {lobe}.",
        f"Bronchiectasis, {lobe}.",
    )
    return [Planned(("bronchiectasis",), side, text, paint, 36, diameter_mm=90.0)]


IDEAS = (
    Idea("emphysema", ("emphysema",), 0.28, _emphysema),
    Idea("honeycombing", ("honeycombing",), 0.25, _honeycombing),
    Idea("bronchiectasis", ("bronchiectasis",), 0.28, _bronchiectasis),
)
