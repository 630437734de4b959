"""Branching vessels and airways of the lungs.

Tips are spread over the lung and halved again and again along their widest axis; every branch heads part of the way
towards the centre of the tips it feeds. Radii follow the number of tips fed (Murray's law with exponent ``MURRAY``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.clouds import Tubes, deposit
from training.cohort.phantom.frame import lung
from training.cohort.phantom.great_vessels import hilum
from training.cohort.phantom.grid import Slab
from training.cohort.phantom.person import SIGN, Person, Side
from training.cohort.phantom.streams import stream

F64 = npt.NDArray[np.float64]

LEVELS = 10
MURRAY = 3.1
BRONCHUS_LEVELS = 5
HILAR_MM = 6.0


@dataclass(frozen=True, eq=False)
class LungTree:
    """Vessels and bronchi of both lungs; ``level`` [arteries] counts the divisions before each artery."""

    vessels: Tubes
    arteries: Tubes
    level: npt.NDArray[np.int64]
    bronchi: Tubes


def lung_points(person: Person, side: Side, rng: np.random.Generator, count: int, depth: float) -> F64:
    """Return ``count`` local LPS points spread over the lung of ``side``, at least ``depth`` mm below its surface."""
    found: list[F64] = []
    total = 0
    low = np.array([4.0, -person.chest[1], -130.0])
    high = np.array([person.chest[0], person.chest[1], person.apex_z])
    while total < count:
        p = rng.uniform(low, high, (4 * count + 64, 3)) * (SIGN[side], 1, 1)
        x, y, z = p.T.astype(np.float32)
        keep = p[lung(person, side, x, y, z) < -depth]
        found.append(keep)
        total += len(keep)
    return np.concatenate(found)[:count]


def grow(root: F64, tips: F64, levels: int, rng: np.random.Generator) -> tuple[Tubes, npt.NDArray[np.int64]]:
    """Return the branches from ``root`` to 2**levels ``tips`` and the level of each."""
    groups, start = tips[None], root[None]
    parts, level_of = [], []
    for level in range(levels + 1):
        centre = groups.mean(axis=1)
        last = level == levels
        step = 1.0 if last else (0.34 if level == 0 else 0.46)
        end = start + step * (centre - start)
        if not last:
            end += rng.normal(0, 0.07, end.shape) * np.linalg.norm(end - start, axis=1, keepdims=True)
        share = 2.0 ** (-level / MURRAY)
        parts.append(Tubes(start, end, np.full(len(end), share), np.full(len(end), share * 0.86)))
        level_of.append(np.full(len(end), level))
        if not last:
            groups, start = _halve(groups), np.repeat(end, 2, axis=0)
    return Tubes.joined(*parts), np.concatenate(level_of)


def _halve(groups: F64) -> F64:
    """Split every group [G, N, 3] in two along its widest axis: [2G, N/2, 3]."""
    axis = np.argmax(groups.var(axis=1), axis=1)
    key = np.take_along_axis(groups, axis[:, None, None], axis=2)[..., 0]
    order = np.argsort(key, axis=1, kind="stable")
    ranked = np.take_along_axis(groups, order[..., None], axis=1)
    return ranked.reshape(len(groups) * 2, groups.shape[1] // 2, 3)


def beside(arteries: Tubes, factor: float) -> Tubes:
    """Return the bronchi that run with ``arteries``: radii times ``factor``, shifted to lie next to them."""
    out = np.where(arteries.p0[:, :1] < 0, -1.0, 1.0) * (1.0, 0, 0) + np.array([0, 5.0, 1.5])
    shift = out / 5.3 * (arteries.r0 * (1 + factor))[:, None]
    return Tubes(arteries.p0 + shift, arteries.p1 + shift, arteries.r0 * factor, arteries.r1 * factor)


def lung_tree(person: Person, seed: int) -> LungTree:
    """Grow arteries with their bronchi, and veins, in both lungs."""
    arteries, veins, levels = [], [], []
    sides: tuple[Side, Side] = ("right", "left")
    for side in sides:
        rng = stream(seed, f"tree {side}")
        tips = lung_points(person, side, rng, 2**LEVELS, 3.0)
        tree, level = grow(hilum(person, side, (0, -2, 0)), tips, LEVELS, rng)
        drain, _ = grow(hilum(person, side, (0, -8, -12)), lung_points(person, side, rng, 2**LEVELS, 3.0), LEVELS, rng)
        arteries.append(tree.scaled(HILAR_MM))
        veins.append(drain.scaled(0.9 * HILAR_MM))
        levels.append(level)
    all_arteries, level = Tubes.joined(*arteries), np.concatenate(levels)
    bronchi = beside(all_arteries.take(level < BRONCHUS_LEVELS), 0.82)
    return LungTree(Tubes.joined(all_arteries, *veins), all_arteries, level, bronchi)


def paint_tree(person: Person, tree: LungTree, walls: Tubes, slab: Slab) -> None:
    """Paint vessels, then bronchial ``walls`` and their lumens, where there is lung."""
    for tubes, hu in ((tree.vessels, person.blood_hu), (walls, 0.0), (tree.bronchi, -970.0)):
        found = deposit(slab, tubes)
        if found is not None:
            box, cover = found
            box.blend(hu, cover * box.lung)
