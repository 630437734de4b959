"""What a planted finding is, and what helps to plan one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.anatomy import Anatomy
from training.cohort.phantom.clouds import Tubes, deposit
from training.cohort.phantom.frame import lobe_at
from training.cohort.phantom.grid import F32, Box, Flat, Slab
from training.cohort.phantom.person import SIGN, Person, Side
from training.cohort.phantom.trees import lung_points

F64 = npt.NDArray[np.float64]
Paint = Callable[[Slab], Sequence[Flat]]
Test = Callable[[F64], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Wish:
    """What the caller asks of a finding; None leaves it to the seed."""

    side: Side | None = None
    diameter_mm: float | None = None


@dataclass(frozen=True, eq=False)
class Planned:
    """A finding worked out for one anatomy.

    ``paint`` changes a slab and returns the flat indices of its voxels; lower ``order`` is painted first;
    ``centre`` is local LPS mm (None: the middle of the mask), ``diameter_mm`` None means that of a ball of the mask's
    volume; ``covers`` tells which local points [N, 3] it hides from other findings.
    """

    labels: tuple[str, ...]
    side: Side | None
    sentence: str
    paint: Paint
    order: int = 50
    centre: F64 | None = None
    diameter_mm: float | None = None
    covers: Test | None = None


@dataclass(eq=False)
class Plan:
    """What a finding may use while it is planned."""

    anatomy: Anatomy
    rng: np.random.Generator
    wish: Wish = field(default_factory=Wish)
    hidden: list[Test] = field(default_factory=list)

    @property
    def person(self) -> Person:
        """The patient."""
        return self.anatomy.person

    def side(self) -> Side:
        """Return the wished side, or draw one."""
        drawn: Side = "right" if self.rng.random() < 0.5 else "left"
        return self.wish.side or drawn

    def diameter(self, low: float, high: float) -> float:
        """Return the wished diameter (mm), or draw one."""
        drawn = float(self.rng.uniform(low, high))
        return self.wish.diameter_mm or drawn

    def pick(self, *options: str) -> str:
        """Draw one of ``options``: varied wording."""
        return options[int(self.rng.integers(len(options)))]

    def lung_point(self, side: Side, depth: float, keep: Test | None = None) -> F64:
        """Draw a local point in the lung of ``side``, ``depth`` mm below its surface and clear of hidden regions.

        Heart and great vessels are kept clear too. If nothing is clear, the last demand to go is ``keep``.
        """
        points = lung_points(self.person, side, self.rng, 160, depth)
        heart = self.anatomy.heart
        unit = ((points - heart.centre) @ heart.frame.T) / (heart.radii + depth)
        wanted = np.ones(len(points), bool) if keep is None else keep(points)
        clear = wanted & ((unit**2).sum(axis=1) > 1) & (self._to_vessels(points) > depth)
        free = clear & ~np.any([test(points) for test in self.hidden] or [np.zeros(len(points), bool)], axis=0)
        for choice in (free, clear, wanted):
            if choice.any():
                return np.asarray(points[np.argmax(choice)])
        return np.asarray(points[0])

    def _to_vessels(self, points: F64) -> F64:
        """Return the distance from each point to the wall of the nearest great vessel or main airway."""
        chains = (*self.anatomy.vessels, *self.anatomy.airways)
        line, radii = np.concatenate([c.line for c in chains]), np.concatenate([c.radii for c in chains])
        away = np.linalg.norm(points[:, None] - line, axis=2) - radii
        return np.asarray(away.min(axis=1))

    def lobe(self, point: F64) -> str:
        """Return the lobe at a local point, in words."""
        return lobe_at(self.person, point)


@dataclass(frozen=True)
class Idea:
    """One kind of finding: its labels, how often it is drawn, and how it is planned.

    ``prevalence`` is the chance in a random phantom. ``alter`` changes the patient before the anatomy is built.
    """

    name: str
    labels: tuple[str, ...]
    prevalence: float
    plan: Callable[[Plan], Sequence[Planned]]
    alter: Callable[[Person, np.random.Generator], Person] | None = None


def on_side(box: Box, side: Side) -> F32:
    """Return the lung fraction of ``box`` on ``side`` of the mid-line."""
    return box.lung * (box.x * SIGN[side] > 0)


def ball_box(slab: Slab, centre: F64, radius: float) -> Box | None:
    """Return the crop around a ball."""
    return slab.box(centre - radius, centre + radius)


def side_box(slab: Slab, person: Person, side: Side) -> Box | None:
    """Return the crop around the lung of ``side``."""
    a, b = person.chest
    low, high = np.array([-1.0, -b - 8, -160.0]), np.array([a + 4, b + 24, person.apex_z + 2])
    if side == "right":
        low[0], high[0] = -high[0], -low[0]
    return slab.box(low, high)


def metal(slab: Slab, tubes: Tubes, hu: float, least: float = 0.1) -> Sequence[Flat]:
    """Deposit ``tubes`` of ``hu`` by volume fraction; the mask is where they fill more than ``least`` of a voxel.

    In voxels so large that the tubes never fill that much, an eighth of their cross-section is enough.
    """
    found = deposit(slab, tubes)
    if found is None:
        return ()
    box, cover = found
    box.blend(hu, cover)
    face = slab.grid.geometry.voxel_mm3 ** (2 / 3)
    least = min(least, float(np.pi * tubes.r0.max() ** 2 / face) / 8)
    return (box.flat(cover > least),)
