"""What lies between a lung and the ribs: pleural fluid, and lung without air that touches the chest wall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.partition.segment.analysis import Analysis
from training.partition.segment.cage import find_cage
from training.partition.segment.lungs import LUNG_HU, Lungs
from training.partition.segment.mediastinum import dome_levels
from training.partition.segment.shapes import Mask, Spacing, bounding_box, by_size, close, components, dilate, erode
from training.partition.segment.spine import Spine

SOFT_HU: Final = (-70, 200)
"""Voxels of soft tissue; fat's are below, bone's and most contrast's above."""

SOLID_HU: Final = (-30.0, 130.0)
"""Means of lung without air, enhanced or not."""

FLUID_HU: Final = (-25.0, 36.0)
"""Means of fluid, from chylous to bloody: liver, spleen and muscle are above."""

OPENING_MM: Final = 4.0
"""Sheets thinner than twice this are borders, muscle or thickened pleura: left out."""

LEAST_ML: Final = 20.0
"""Smaller parts are left out."""

BENEATH_MM: Final = 10.0
"""What has this much aerated lung beneath it lies above the diaphragm."""

FOOT_MM: Final = 20.0
"""Fluid is looked for down to this far below the lungs."""

VERTEBRA_MM: Final = 20.0
"""From the midline to the side of a vertebra, with what lies along it."""

ABOVE_MM: Final = 90.0
"""The medial border of a lung that is lost in fluid is taken from at most this far above."""

PARAVERTEBRAL_MM: Final = 10.0
BEHIND_HEART_MM: Final = 30.0
"""In rows behind these (in front of the spine), the borders above tell where a lung began."""

OPEN_SHARE: Final = 0.75
"""The rib cage is believed from the first slice on of which a lung takes this share: shoulders and neck are above."""

RIM_HU: Final = 35.0
"""Voxels denser than a part's mean by this are none of its border: muscle beside fluid."""

REACH_MM: Final = 6.0
WALL_MM: Final = 8.0
"""What is this close to aerated lung touches it, and to the inner surface of the ribs lies along the wall."""

TOUCHING: Final = 0.65
ALONG_BACK: Final = 1.6
ALONG: Final = 0.3
"""Volume that touches lung; that lies along the wall of the back (for fluid below the domes); and along any wall (for
what is above them). All over V^(2/3), with V in ml: a stomach's fluid, a fatty liver or an aorta has less."""

Line = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Half:
    """One side of the chest, cropped to its cage.

    ``mean``: of the soft tissue around each voxel, HU; ``off``: from the midline outwards, mm [slice, 1, column];
    ``behind``: rows behind the heart; ``beside``: rows beside the spine [slice, row, 1]; ``top``: the higher dome.
    """

    hu: npt.NDArray[np.int16]
    mean: npt.NDArray[np.float32]
    lung: Mask
    cage: Mask
    mediastinum: Mask
    off: Line
    behind: Mask
    beside: Mask
    top: int
    spacing: Spacing
    voxel_ml: float


def pleural_space(ct: Analysis, inside: Mask, lungs: Lungs, mediastinum: Mask, spine: Spine) -> tuple[Mask, Mask]:
    """Return fluid and airless lung between the right, and the left, lung and the ribs; empty in a normal chest.

    Conservative: parts of at least ``LEAST_ML`` that touch the lung. Below the diaphragm's domes fluid only, that lies
    along the wall of the back; above them, and wherever there is aerated lung beneath, anything soft that is not
    mediastinum.
    """
    out = (np.zeros_like(inside), np.zeros_like(inside))
    if not (lungs.right.any() and lungs.left.any()):
        return out
    cage = find_cage(ct, inside, lungs, mediastinum, spine)
    top = min(dome_levels(ct, lungs, spine))
    both = lungs.right | lungs.left
    levels = _levels(ct, (lungs.right, lungs.left), (cage.right, cage.left))
    for sign, lung, room, found in ((-1, lungs.right, cage.right, out[0]), (1, lungs.left, cage.left, out[1])):
        used = np.zeros_like(room)
        used[levels] = room[levels]
        box = bounding_box(used, 2 * max(ct.spacing_mm), ct.spacing_mm)
        if used.any():
            half = _half(ct, box, sign, lung, used, mediastinum, both, spine, top)
            found[box] = _grown(half, _parts(half)) & ~both[box]
    return out


def _levels(ct: Analysis, lungs: tuple[Mask, Mask], cages: tuple[Mask, Mask]) -> slice:
    """Return the slices in which the rib cage is believed: from below the shoulders to just below the lungs."""
    pairs = zip(lungs, cages, strict=True)
    shares = [(lung & cage).sum(axis=(1, 2)) / np.maximum(cage.sum(axis=(1, 2)), 1) for lung, cage in pairs]
    used = np.flatnonzero((lungs[0] | lungs[1]).any(axis=(1, 2)))
    open_ = np.flatnonzero(np.maximum(*shares) > OPEN_SHARE)
    first = int(open_[0]) if open_.size else len(shares[0])
    return slice(first, int(used[-1]) + 1 + round(FOOT_MM / ct.spacing_mm[0]))


def _half(
    ct: Analysis,
    box: tuple[slice, slice, slice],
    sign: int,
    lung: Mask,
    cage: Mask,
    mediastinum: Mask,
    both: Mask,
    spine: Spine,
    top: int,
) -> _Half:
    hu = ct.hu[box]
    soft = (hu > SOFT_HU[0]) & (hu < SOFT_HU[1]) & ~both[box]
    off = (np.arange(box[2].start, box[2].stop) - spine.column[box[0], None]) * sign * ct.spacing_mm[2]
    rows, front = np.arange(box[1].start, box[1].stop), spine.front[box[0], None]
    behind, beside = ((rows > front - mm / ct.spacing_mm[1])[:, :, None] for mm in (BEHIND_HEART_MM, PARAVERTEBRAL_MM))
    return _Half(
        hu,
        _mean(hu, soft),
        lung[box],
        cage[box],
        mediastinum[box],
        off[:, None],
        behind,
        beside,
        top - box[0].start,
        ct.spacing_mm,
        ct.voxel_ml,
    )


def _mean(hu: npt.NDArray[np.int16], soft: Mask) -> npt.NDArray[np.float32]:
    """Return the mean of the soft voxels among each and its 26 neighbours; 9999 where it is not soft itself."""
    weight = ndimage.uniform_filter(soft.astype(np.float32), 3)
    total = ndimage.uniform_filter(np.where(soft, hu, 0).astype(np.float32), 3)
    return np.where(soft, total / np.maximum(weight, np.float32(1e-6)), np.float32(9999))


def _free(half: _Half) -> Mask:
    """Return what is neither lung nor mediastinum: where the lung's own border cannot tell, those above it do."""
    edge = np.where(half.lung, half.off, np.inf).min(axis=2)
    known = np.isfinite(edge)
    last = np.maximum.accumulate(np.where(known, np.arange(len(edge))[:, None], -1), axis=0)
    recent = (last >= 0) & ((np.arange(len(edge))[:, None] - last) * half.spacing[0] <= ABOVE_MM)
    limit = np.where(recent, np.take_along_axis(edge, np.maximum(last, 0), axis=0), VERTEBRA_MM)
    size = max(1, round(ABOVE_MM / half.spacing[0]))
    above = ndimage.minimum_filter1d(edge, size, axis=0, mode="nearest", origin=(size - 1) - size // 2)
    limit = np.where(half.beside[:, :, 0] & np.isfinite(above), above, limit)
    trusted = half.mediastinum & known[:, :, None] & ~half.beside
    outer = half.off > np.maximum(limit, VERTEBRA_MM)[:, :, None]
    by_edge = (known[:, :, None] & ~half.beside) | outer
    return np.asarray(half.cage & ~half.lung & ~trusted & by_edge & (half.off > VERTEBRA_MM))


def _candidates(half: _Half) -> tuple[Mask, Mask]:
    """Return all candidates, and those that certainly lie above the diaphragm."""
    free = _free(half)
    beneath = np.cumsum(half.lung[::-1], axis=0)[::-1] * half.spacing[0] >= BENEATH_MM
    high = np.arange(len(half.hu)) < half.top
    above = np.logical_or(beneath, high[:, None, None])
    clear = half.behind | half.lung.any(axis=2, keepdims=True)
    solid = free & above & clear & (half.mean > SOLID_HU[0]) & (half.mean < SOLID_HU[1])
    fluid = free & (half.mean > FLUID_HU[0]) & (half.mean < FLUID_HU[1])
    return solid | fluid, above


def _parts(half: _Half) -> Mask:
    """Return the compact parts of the candidates that are believed."""
    found, above = _candidates(half)
    radius = _radius(half)
    core = dilate(erode(found, radius, half.spacing), radius, half.spacing) & found
    labels, counts = components(core)
    reach = max(REACH_MM, 2.05 * max(half.spacing))
    near = dilate(half.lung, reach, half.spacing)
    wall = half.cage & ~erode(half.cage, max(WALL_MM, reach), half.spacing)
    out = np.zeros_like(found)
    for label in by_size(counts, LEAST_ML / half.voxel_ml):
        part = labels == label
        scale = (part.sum() * half.voxel_ml) ** (2 / 3) / half.voxel_ml
        touching, along, back = (float((part & zone).sum()) / scale for zone in (near, wall, wall & half.behind))
        high = 2 * (part & above).sum() > part.sum() and along >= ALONG
        if touching >= TOUCHING and (high or back >= ALONG_BACK):
            out |= part
    return out


def _radius(half: _Half) -> float:
    return max(OPENING_MM, 1.05 * max(half.spacing))


def _grown(half: _Half, parts: Mask) -> Mask:
    """Return ``parts`` with the rims that the opening took, and their borders with the lung and with the wall."""
    if not parts.any():
        return parts
    voxel, radius = 1.1 * max(half.spacing), _radius(half)
    dense = half.hu > float(half.hu[parts].mean()) + RIM_HU
    rim = dilate(parts, radius + voxel, half.spacing) & _free(half) & (half.hu > SOFT_HU[0])
    grown = parts | (rim & ~dense)
    joined = close(grown | half.lung, radius + voxel, half.spacing) & half.cage & ~half.mediastinum
    wall = dilate(half.cage, voxel, half.spacing) & ~erode(half.cage, voxel, half.spacing) & (half.off > VERTEBRA_MM)
    near = dilate(grown, voxel, half.spacing)
    return grown | ((joined | (wall & near)) & dilate(grown, 2 * voxel, half.spacing) & (half.hu > LUNG_HU) & ~dense)
