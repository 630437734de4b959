"""Solid round things in the lung: nodules up to and above 10 mm, and masses from 30 mm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.cohort.phantom.fields import Waves
from training.cohort.phantom.findings.base import F64, Idea, Plan, Planned, Test, ball_box
from training.cohort.phantom.grid import Flat, Slab
from training.cohort.phantom.shapes import ellipsoid, soft


def _solid(plan: Plan, labels: tuple[str, ...], diameter: float, lumps: float, words: Sequence[str]) -> Planned:
    side = plan.side()
    radius = diameter / 2
    centre = plan.lung_point(side, min(radius + 3, 22))
    waves = Waves.draw(plan.rng, max(1.3 * diameter, 6.0), 4)
    hu = float(plan.rng.uniform(20, 70))

    def paint(slab: Slab) -> Sequence[Flat]:
        shown = max(radius, slab.h)  # smaller than voxels: a fainter ball of voxel size with the same volume
        share = 1.0 if radius == shown else 0.8 * (radius / shown) ** 3
        box = ball_box(slab, centre, shown * (1 + 2.5 * lumps) + slab.h)
        if box is None:
            return ()
        level = ellipsoid(box, centre, (shown, shown, shown))
        level += np.float32(lumps * radius) * waves.at(box)
        cover = soft(level, slab.h) * box.lung
        box.blend(hu, cover * np.float32(share))
        return (box.flat(cover > 0.5),)

    text = plan.pick(*words).format(size=_size(plan, diameter), lobe=plan.lobe(centre))
    return Planned(labels, side, text, paint, 60, centre, diameter, _within(centre, radius + 4))


def _within(centre: F64, radius: float) -> Test:
    return lambda points: np.linalg.norm(points - centre, axis=1) < radius


def _size(plan: Plan, mm: float) -> str:
    return f"{mm:.0f} mm" if mm < 10 or plan.rng.random() < 0.5 else f"{mm / 10:.1f} cm"


NODULE_WORDS = (
    "There is a {size} solid nodule in the {lobe}.",
    "{size} pulmonary nodule in the {lobe}.",
    "A noncalcified {size} nodule is seen in the {lobe}.",
)
MASS_WORDS = (
    "There is a {size} mass in the {lobe}.",
    "Large lobulated mass in the {lobe} measuring {size}.",
    "A {size} mass is centered in the {lobe}.",
)


def _small(plan: Plan) -> Sequence[Planned]:
    return [_solid(plan, ("lung nodule",), min(plan.diameter(6, 9.4), 10.0), 0.05, NODULE_WORDS)]


def _large(plan: Plan) -> Sequence[Planned]:
    size = max(plan.diameter(11, 27), 10.5)
    return [_solid(plan, ("lung nodule", "lung nodulegr1cm"), size, 0.07, NODULE_WORDS)]


def _mass(plan: Plan) -> Sequence[Planned]:
    return [_solid(plan, ("lung mass",), max(plan.diameter(32, 58), 30.0), 0.09, MASS_WORDS)]


IDEAS = (
    Idea("small nodule", ("lung nodule",), 0.14, _small),
    Idea("large nodule", ("lung nodule", "lung nodulegr1cm"), 0.26, _large),
    Idea("mass", ("lung mass",), 0.28, _mass),
)
