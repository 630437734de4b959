"""The inside of the rib cage: the inner surface of the ribs, read in polar coordinates around either half of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.partition.segment.analysis import Analysis
from training.partition.segment.lungs import Lungs
from training.partition.segment.shapes import Mask
from training.partition.segment.spine import Spine

RIB_HU: Final = 200
"""Anything denser outside lungs and mediastinum counts as bone: enhanced liver and spleen are below."""

ANGLES: Final = 120
"""Directions around the centre of a half."""

CENTRE: Final = 0.45
"""Where the centre of a half lies between the midline and the lungs' lateral border."""

WIDEST: Final = 98
"""Percentile of the lungs' distance from the midline that counts as their lateral border."""

NEAREST_MM: Final = 15.0
"""Bone nearer to the centre than this is none of the wall."""

RIB_MM: Final = 12.0
"""Height of a rib; within it the innermost bone counts."""

AMONG_MM: Final = ((6.0, 3.0), (12.0, 6.0), (30.0, 12.0))
"""Widths along the body (mm) and around the centre (degrees) within which the ribs' distances are averaged: narrow
where there are ribs, wider between them."""

BELIEVED: Final = (0.05, 0.02, 0.001)
"""Weight of ribs that each of these widths needs."""

ODD: Final = (0.15, 3.0)
"""Bone that differs from its neighbours by more than this share and this much (mm) is no rib."""

PLEURA_MM: Final = (-6.0, 2.0, 12.0)
"""From the centre of the innermost bone voxel to a lung's outermost: least, usual (where no lung tells), most."""

FACING: Final = (-20.0, 110.0)
"""Directions in which lungs tell this distance, degrees from outwards to the back."""

FRONT_MM: Final = 10.0
"""Along the body, the lungs within this tell where the wall is in front: cartilage is no bone, and metal is no rib."""

SEEN: Final = 0.8
"""Share of these directions in which there must be ribs; with fewer, the field of view ends within the chest."""

LEAST_TOLD: Final = 50
"""Places (slice and direction) that must tell it."""

Table = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cage:
    """``right`` and ``left``: what the ribs enclose on either side of the midline; empty where no ribs are seen."""

    right: Mask
    left: Mask


def find_cage(ct: Analysis, inside: Mask, lungs: Lungs, mediastinum: Mask, spine: Spine) -> Cage:
    """Find the inside of the rib cage; lungs, mediastinum and spine tell where its halves are."""
    both = lungs.right | lungs.left
    bone = np.nonzero((ct.hu > RIB_HU) & inside & ~both & ~mediastinum)
    slices, rows, columns = np.nonzero(both)
    lateral = np.percentile(np.abs(columns - spine.column[slices]), WIDEST) * CENTRE
    row = float(np.mean(np.percentile(rows, (2, WIDEST))))
    centres = [_Centre(sign, spine.column + sign * lateral, row, lateral * ct.spacing_mm[2]) for sign in (-1, 1)]
    surfaces = [_surface(ct, bone, centre) for centre in centres]
    reached = [_outermost(ct, lung, centre) for lung, centre in zip((lungs.right, lungs.left), centres, strict=True)]
    told = np.concatenate([_gaps(ribs, lung) for ribs, lung in zip(surfaces, reached, strict=True)])
    pleura = float(np.median(told)) if told.size >= LEAST_TOLD else PLEURA_MM[1]
    front = _front(np.maximum(*reached), ct.spacing_mm[0])
    walls = [np.minimum(ribs - pleura, front) for ribs in surfaces]
    right, left = (_within(ct, centre, wall, spine) for centre, wall in zip(centres, walls, strict=True))
    return Cage(right, left)


@dataclass(frozen=True, eq=False)
class _Centre:
    """``sign``: -1 right, 1 left; ``column`` per slice; ``medial_mm`` to the midline."""

    sign: int
    column: Table
    row: float
    medial_mm: float

    def polar(self, ct: Analysis, slices: Index | int, rows: Index, columns: Index) -> tuple[Table, Index]:
        """Return distance (mm) and direction (0 to ``ANGLES`` - 1) of voxels; the middle direction is outwards."""
        out = self.sign * (columns - np.asarray(self.column[slices])) * ct.spacing_mm[2]
        back = (rows - self.row) * ct.spacing_mm[1]
        turn = np.arctan2(back, out) / (2 * np.pi) + 0.5
        return np.hypot(out, back), np.minimum((turn * ANGLES).astype(np.intp), ANGLES - 1)


def _surface(ct: Analysis, bone: tuple[Index, ...], centre: _Centre) -> Table:
    """Return the distance (mm) of the ribs' inner surface by slice and direction; 0 where there are none around."""
    slices, rows, columns = bone
    distance, direction = centre.polar(ct, slices, rows, columns)
    own = centre.sign * (columns - centre.column[slices]) * ct.spacing_mm[2] > -centre.medial_mm
    kept = own & (distance > NEAREST_MM)
    nearest = np.full((ct.hu.shape[0], ANGLES), np.inf)
    np.minimum.at(nearest, (slices[kept], direction[kept]), distance[kept])
    height = max(1, round(RIB_MM / ct.spacing_mm[0])) | 1
    nearest = ndimage.minimum_filter1d(nearest, height, axis=0, mode="nearest")
    known = np.isfinite(nearest)
    for _ in range(2):
        typical, _ = _averaged(nearest, known, AMONG_MM[1], ct.spacing_mm[0])
        known &= np.abs(nearest - typical) < ODD[0] * typical + ODD[1]
    _, weight = _averaged(nearest, known, AMONG_MM[1], ct.spacing_mm[0])
    seen = (weight > BELIEVED[1])[:, _direction(FACING[0]) : _direction(FACING[1])].mean(axis=1) > SEEN
    out = np.zeros_like(nearest)
    for among, least in zip(reversed(AMONG_MM), reversed(BELIEVED), strict=True):
        mean, weight = _averaged(nearest, known, among, ct.spacing_mm[0])
        out = np.where((weight > least) & seen[:, None], mean, out)
    return np.asarray(out)


def _averaged(values: Table, known: Mask, among: tuple[float, float], slice_mm: float) -> tuple[Table, Table]:
    """Return the weighted means of the known values around each place, and the weight that they have there."""
    sigma = (among[0] / slice_mm, among[1] * ANGLES / 360)
    modes = ("nearest", "wrap")
    weight = ndimage.gaussian_filter(known.astype(float), sigma, mode=modes)
    total = ndimage.gaussian_filter(np.where(known, values, 0.0), sigma, mode=modes)
    return total / np.maximum(weight, 1e-9), weight


def _outermost(ct: Analysis, lung: Mask, centre: _Centre) -> Table:
    """Return how far (mm) a lung reaches, by slice and direction."""
    slices, rows, columns = np.nonzero(lung)
    distance, direction = centre.polar(ct, slices, rows, columns)
    outermost = np.zeros((ct.hu.shape[0], ANGLES))
    np.maximum.at(outermost, (slices, direction), distance)
    return outermost


def _gaps(ribs: Table, lung: Table) -> Table:
    """Return how far (mm) the lung ends in front of the ribs, wherever it reaches them."""
    first, last = (_direction(degrees) for degrees in FACING)
    gaps = np.where(ribs > 0, ribs - lung, np.inf)[:, first:last]
    return gaps[(gaps > PLEURA_MM[0]) & (gaps < PLEURA_MM[2])]


def _front(lung: Table, slice_mm: float) -> Table:
    """Return how far (mm) the front wall is at most: no farther than lungs reach nearby. Elsewhere, infinity."""
    size = max(1, round(2 * FRONT_MM / slice_mm)) | 1
    out = ndimage.maximum_filter(lung, (size, 3), mode=("nearest", "wrap"))
    out[:, _direction(FACING[0]) :] = np.inf
    return np.asarray(out)


def _direction(degrees: float) -> int:
    return round((0.5 + degrees / 360) * ANGLES)


def _within(ct: Analysis, centre: _Centre, surface: Table, spine: Spine) -> Mask:
    out = np.zeros(ct.hu.shape, dtype=bool)
    rows, columns = np.arange(ct.hu.shape[1])[:, None], np.arange(ct.hu.shape[2])
    for index in np.flatnonzero((surface > 0).any(axis=1)).tolist():
        distance, direction = centre.polar(ct, index, rows, columns)
        own = (columns - spine.column[index]) * centre.sign > 0
        out[index] = (distance <= surface[index][direction]) & own
    return out
