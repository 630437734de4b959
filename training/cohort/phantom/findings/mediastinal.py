"""Calcified great vessels and enlarged lymph nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.cohort.phantom.clouds import Tubes
from training.cohort.phantom.findings.base import Idea, Plan, Planned, metal
from training.cohort.phantom.frame import spine_front
from training.cohort.phantom.great_vessels import Chain, hilum
from training.cohort.phantom.grid import Flat, Slab
from training.cohort.phantom.shapes import ellipsoid, soft


def _wall_arc(aorta: Chain, at: int, turn: float, width: float, radius: float) -> Tubes:
    """Return a plaque on the aorta's wall: an arc of ``width`` radians around point ``at`` of its line."""
    along = aorta.line[at + 1] - aorta.line[at - 1]
    along /= np.linalg.norm(along)
    e1 = np.cross(along, (0.3, 0.2, 0.93) if abs(along[2]) < 0.8 else (1.0, 0.0, 0.0))
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(along, e1)
    angle = turn + np.linspace(-width / 2, width / 2, 6)
    ring = np.cos(angle)[:, None] * e1 + np.sin(angle)[:, None] * e2
    return Tubes.path(aorta.line[at] + (aorta.radii[at] - 0.6) * ring, radius)


def _aortic_calcium(plan: Plan) -> Sequence[Planned]:
    rng, aorta = plan.rng, plan.anatomy.vessels[-1]
    first, last = 3, int(np.argmin(np.abs(aorta.line[:, 2] - plan.person.dome_z[0])))
    pieces = [
        _wall_arc(
            aorta, int(rng.integers(first, last)), rng.uniform(0, 6.3), rng.uniform(0.4, 1.2), rng.uniform(1.2, 2.2)
        )
        for _ in range(int(rng.integers(9, 18)))
    ]
    tubes, hu = Tubes.joined(*pieces), float(rng.uniform(700, 1100))
    text = plan.pick(
        "Calcification of the thoracic aorta.",
        "Aortic calcifications are present.",
        "Calcifications of the aortic arch and descending aorta.",
    )
    return [Planned(("great vessel calcification",), None, text, lambda slab: metal(slab, tubes, hu), 68)]


def _nodes(plan: Plan) -> Sequence[Planned]:
    rng, person = plan.rng, plan.person
    c = person.carina_z
    back = spine_front(person, c)
    stations = {
        "right paratracheal": np.array([-19.0, -6.0, c + 20]),
        "subcarinal": np.array([0.0, (back + 4) / 2 + 2, c - 22]),
        "aortopulmonary window": np.array([24.0, -4.0, c + 5]),
        "prevascular": np.array([6.0, 40 - person.chest[1], c + 12]),
        "right hilar": hilum(person, "right", (-4, -6, -12)),
    }
    names = list(rng.permutation(list(stations)))[: int(rng.integers(2, 5))]
    size = plan.diameter(17, 32)
    sizes = [size * (1.0 if i == 0 else float(rng.uniform(0.6, 0.9))) for i in range(len(names))]
    nodes = [(stations[n] + rng.normal(0, 2, 3), s / 2) for n, s in zip(names, sizes, strict=True)]

    def paint(slab: Slab) -> Sequence[Flat]:
        found = []
        for centre, r in nodes:
            radii = np.array([r * 1.1, r, r * 1.25])
            box = slab.box(centre - radii - 3, centre + radii + 3)
            if box is None:
                continue
            room = box.hu < -30
            cover = soft(ellipsoid(box, centre, radii), slab.h) * room * ((box.organ != 3) | (box.hu > -250))
            box.displace(48.0, cover)
            found.append(box.flat(cover > 0.5))
        return found

    short = f"{sizes[0] / 10:.1f} cm"
    text = plan.pick(
        f"Mediastinal lymphadenopathy with a {names[0]} lymph node measuring {short}.",
        f"Enlarged mediastinal lymph nodes, the largest {names[0]} measuring {short}.",
        f"There is mediastinal lymphadenopathy, {names[0]}, up to {short}.",
    )
    return [Planned(("mediastinum lymphadenopathy",), None, text, paint, 48, nodes[0][0], size)]


IDEAS = (
    Idea("aortic calcium", ("great vessel calcification",), 0.3, _aortic_calcium),
    Idea("lymph nodes", ("mediastinum lymphadenopathy",), 0.28, _nodes),
)
