"""A whole normal chest: who it is, and how a slab of it is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.cohort.phantom.bones import paint_bones
from training.cohort.phantom.clouds import Tubes
from training.cohort.phantom.frame import cage
from training.cohort.phantom.great_vessels import Chain, airways, chains, paint_chains
from training.cohort.phantom.grid import Slab
from training.cohort.phantom.heart import Heart, heart_of, paint_heart
from training.cohort.phantom.lungs import paint_cavity, paint_fissures
from training.cohort.phantom.person import Person
from training.cohort.phantom.trees import LungTree, lung_tree, paint_tree
from training.cohort.phantom.wall import paint_wall


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A person with heart, central vessels and lung trees worked out."""

    seed: int
    person: Person
    heart: Heart
    vessels: tuple[Chain, ...]
    airways: tuple[Chain, ...]
    tree: LungTree
    walls: Tubes


def build_anatomy(seed: int, person: Person) -> Anatomy:
    """Work out the anatomy of ``person``."""
    heart = heart_of(person)
    tree = lung_tree(person, seed)
    walls = Tubes(tree.bronchi.p0, tree.bronchi.p1, tree.bronchi.r0 * 1.15 + 0.6, tree.bronchi.r1 * 1.15 + 0.5)
    return Anatomy(seed, person, heart, chains(person, heart), airways(person), tree, walls)


def paint_anatomy(anatomy: Anatomy, slab: Slab) -> None:
    """Paint a normal chest, without noise."""
    person = anatomy.person
    skin = paint_wall(person, slab)
    wall = cage(person, slab.x, slab.y, slab.z)
    paint_cavity(person, slab, wall)
    paint_bones(person, slab, wall, skin)
    paint_heart(person, anatomy.heart, slab)
    paint_chains(slab, anatomy.vessels)
    paint_chains(slab, anatomy.airways)
    paint_tree(person, anatomy.tree, anatomy.walls, slab)
    paint_fissures(person, slab)
    np.putmask(slab.organ, slab.lung > 0.5, np.where(slab.x < 0, np.uint8(1), np.uint8(2)) + np.zeros_like(slab.organ))
