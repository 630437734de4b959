"""Ground glass and consolidation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.cohort.phantom.clouds import deposit_in
from training.cohort.phantom.fields import Waves
from training.cohort.phantom.findings.base import Idea, Plan, Planned, ball_box, on_side
from training.cohort.phantom.grid import Flat, Slab
from training.cohort.phantom.shapes import ellipsoid, soft
from training.cohort.phantom.trees import beside


def _glass(plan: Plan) -> Sequence[Planned]:
    side, rng = plan.side(), plan.rng
    waves, rise = Waves.draw(rng, 30.0), float(rng.uniform(230, 340))
    radius = plan.diameter(50, 90) / 2
    centres = [plan.lung_point(side, 14)]
    others = [plan.lung_point(side, 10) for _ in range(int(rng.integers(1, 3)))]
    balls = [(centres[0], radius), *((c, radius * float(rng.uniform(0.45, 0.75))) for c in others)]

    def paint(slab: Slab) -> Sequence[Flat]:
        found = []
        for centre, r in balls:
            box = ball_box(slab, centre, r * 1.6)
            if box is None:
                continue
            level = ellipsoid(box, centre, (r, r, r)) + np.float32(0.22 * r) * waves.at(box)
            cover = soft(level, 8.0) * on_side(box, side)
            airy = np.clip((-300 - box.hu) / 500, 0, 1)
            target = np.minimum(box.hu + np.float32(rise) * cover * airy, np.maximum(box.hu, -480))
            box.hu[...] = target
            found.append(box.flat((cover * (airy > 0.2)) > 0.5))
        return found

    lobe = plan.lobe(centres[0])
    text = plan.pick(
        f"Patchy ground-glass attenuation in the {lobe}.",
        f"There is groundglass in the {lobe}.",
        f"Hazy areas of ground glass are present in the {lobe}.",
    )
    return [Planned(("groundglass",), side, text, paint, 40, centres[0], 2 * radius)]


def _consolidation(plan: Plan) -> Sequence[Planned]:
    side, rng = plan.side(), plan.rng
    radius = plan.diameter(42, 78) / 2
    centre = plan.lung_point(side, 10, lambda p: p[:, 2] < plan.person.carina_z + 30)
    waves, hu = Waves.draw(rng, 34.0), float(rng.uniform(15, 45))
    tree = plan.anatomy.tree
    middle = (tree.arteries.p0 + tree.arteries.p1) / 2
    near = (np.linalg.norm(middle - centre, axis=1) < radius * 0.9) & (tree.level >= 3) & (tree.level <= 6)
    gram = beside(tree.arteries.take(near), 0.8)
    gram = gram.scaled(1.0, 1.3)

    def paint(slab: Slab) -> Sequence[Flat]:
        box = ball_box(slab, centre, radius * 1.6)
        if box is None:
            return ()
        level = ellipsoid(box, centre, (radius, radius, radius * 0.9)) + np.float32(0.25 * radius) * waves.at(box)
        cover = soft(level, 5.0) * on_side(box, side)
        box.blend(hu, cover)
        box.blend(-900.0, deposit_in(box, gram) * cover)
        return (box.flat(cover > 0.5),)

    text = plan.pick(
        f"Consolidation in the {plan.lobe(centre)} with air bronchograms.",
        f"There is focal consolidation in the {plan.lobe(centre)}.",
        f"Dense consolidation of the {plan.lobe(centre)}.",
    )
    covers = lambda p: np.linalg.norm(p - centre, axis=1) < radius * 1.2  # noqa: E731
    return [Planned(("consolidation",), side, text, paint, 44, centre, 2 * radius, covers)]


IDEAS = (
    Idea("groundglass", ("groundglass",), 0.28, _glass),
    Idea("consolidation", ("consolidation",), 0.28, _consolidation),
)
