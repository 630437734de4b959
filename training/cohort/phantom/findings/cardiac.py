"""The heart and its sac: cardiomegaly, pericardial effusion, coronary calcification, stents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training.cohort.phantom.clouds import Tubes, smooth_path
from training.cohort.phantom.findings.base import Idea, Plan, Planned, metal
from training.cohort.phantom.frame import cage
from training.cohort.phantom.grid import Flat, Slab
from training.cohort.phantom.heart import CORONARIES, heart_level
from training.cohort.phantom.person import Person
from training.cohort.phantom.shapes import soft


def _enlarge(person: Person, rng: np.random.Generator) -> Person:
    """Return ``person`` with a heart 1.27 to 1.42 times as large, its centre moved left and down."""
    x, y, z = person.heart_centre
    grown = person.heart_scale * float(rng.uniform(1.27, 1.42))
    return replace(person, heart_scale=grown, heart_centre=(x + 6, y + 6, z + 4))


def _cardiomegaly(plan: Plan) -> Sequence[Planned]:
    person, heart = plan.person, plan.anatomy.heart

    def paint(slab: Slab) -> Sequence[Flat]:
        box = slab.box(*heart.reach(8.0))
        if box is None:
            return ()
        inside = heart_level(person, heart, box) < 0
        return (box.flat(inside & (box.organ == 3)),)

    text = plan.pick("Cardiomegaly.", "There is cardiomegaly.", "Marked cardiomegaly is present.")
    return [Planned(("cardiomegaly",), None, text, paint, 5, heart.centre, float(2 * heart.radii[0]))]


def _pericardial(plan: Plan) -> Sequence[Planned]:
    person, heart = plan.person, plan.anatomy.heart
    thick, hu = plan.wish.diameter_mm or float(plan.rng.uniform(10, 20)), float(plan.rng.uniform(5, 20))

    def paint(slab: Slab) -> Sequence[Flat]:
        box = slab.box(*heart.reach(thick + 6))
        if box is None:
            return ()
        outer = soft(heart_level(person, heart, box, thick), slab.h)
        cover = outer * (1 - soft(heart_level(person, heart, box) - np.float32(1.2), slab.h))
        room = (box.hu < -30) & ((box.organ != 3) | (box.hu > -300))
        cover *= soft(cage(person, box.x, box.y, box.z), slab.h) * room
        box.displace(hu, cover)
        return (box.flat(cover > 0.5),)

    size = "Small" if thick < 13 else "Moderate" if thick < 17 else "Large"
    text = plan.pick(f"{size} pericardial effusion.", f"There is a {size.lower()} pericardial effusion.")
    return [Planned(("pericardial effusion",), None, text, paint, 8)]


def _coronary_calcium(plan: Plan) -> Sequence[Planned]:
    rng, heart = plan.rng, plan.anatomy.heart
    pieces = []
    for name in CORONARIES:
        line = smooth_path(heart.coronary(name), 2.0)
        for _ in range(int(rng.integers(2, 5))):
            start, count = int(rng.integers(0, len(line) - 5)), int(rng.integers(3, 6))
            pieces.append(Tubes.path(line[start : start + count], float(rng.uniform(1.3, 2.2))))
    tubes, hu = Tubes.joined(*pieces), float(rng.uniform(700, 1100))
    text = plan.pick(
        "Coronary artery calcifications.",
        "Dense calcification of the coronary arteries.",
        "Calcified coronary artery disease.",
    )
    labels = ("heart calcification", "coronary artery disease")
    return [Planned(labels, None, text, lambda slab: metal(slab, tubes, hu), 70)]


def _stent(plan: Plan) -> Sequence[Planned]:
    rng = plan.rng
    name = plan.pick("left anterior descending", "right")
    line = smooth_path(plan.anatomy.heart.coronary(name), 2.0)
    start = int(rng.integers(1, max(2, len(line) - 15)))
    tubes = Tubes.path(line[start : start + 14], 1.7)
    text = plan.pick(
        f"Stent in the {name} coronary artery.",
        f"A coronary artery stent is seen in the {name} coronary artery.",
        f"Patent stent of the {name} coronary artery.",
    )
    middle = line[min(start + 7, len(line) - 1)]
    return [Planned(("heart stent",), None, text, lambda slab: metal(slab, tubes, 2200.0), 72, middle, 28.0)]


IDEAS = (
    Idea("cardiomegaly", ("cardiomegaly",), 0.3, _cardiomegaly, _enlarge),
    Idea("pericardial effusion", ("pericardial effusion",), 0.25, _pericardial),
    Idea("coronary calcium", ("heart calcification", "coronary artery disease"), 0.28, _coronary_calcium),
    Idea("heart stent", ("heart stent",), 0.25, _stent),
)
