"""Lungs: which air is lung, which lung is right, and what lies within a lung."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from skimage.segmentation import watershed

from training.partition.segment.analysis import Analysis
from training.partition.segment.body import Body
from training.partition.segment.protrusions import protrusions
from training.partition.segment.shapes import (
    Mask,
    bounding_box,
    by_size,
    close,
    components,
    dilate,
    distance_mm,
    erode,
    fill_enclosed,
    select,
)

LUNG_HU: Final = -400
"""Half way between aerated lung and soft tissue; below it is lung."""

MEAN_HU: Final = (-965.0, -450.0)
"""Mean of what can be a lung; gas in a bowel is lower."""

LEAST_LUNG_ML: Final = 120.0
LEAST_PART_ML: Final = 2.0
"""Smaller separate parts are left out, unless the lung's closing covers them."""

CLOSING_MM: Final = 8.0
"""Vessels, nodules and other dense findings up to about twice this width are filled in."""

GAS_HU: Final = -950
NECK_MM: Final = 3.0
LEAST_GAS_ML: Final = 4.0
WALLED: Final = 0.8
"""Gas of the bowel: below this radiodensity, joined to the lung by less than this, walled off by this share."""

BRONCHUS_MM: Final = 5.0
"""Radius of a main bronchus, about."""

BRONCHUS_REACH_MM: Final = 14.0
"""How far beyond the end of the airways that were followed remains of a bronchus are looked for."""

GREAT_VESSELS_MM: Final = 45.0
NARROW_MM: Final = 4.0
"""Closer to the midline than the first, the aorta may lie between two parts of a lung: closed by the second only."""

MIDLINE_BAND_MM: Final = 55.0
"""How far from the midline touching lungs may be told apart; beyond it the side is certain."""

WITHIN: Final = 0.4
"""Air belongs to the patient if this share of it lies in the convex hull of the tissue; a table's foam does not."""

MISSING_ML: Final = 50.0
LEAST_REST: Final = 0.02
"""A lung below this was not found; the rest of a collapsed one may have this share of the other."""

BOTH_SIDES: Final = 0.12
"""A part with more than this share on either side of the midline may be both lungs."""


@dataclass(frozen=True, eq=False)
class Lungs:
    """``right`` and ``left`` with everything inside them; ``air`` of both.

    ``gas``: air that is not lung; ``leak``: the part of it that was connected to a lung.
    """

    right: Mask
    left: Mask
    air: Mask
    gas: Mask
    leak: Mask

    def with_sides(self, right: Mask, left: Mask) -> Lungs:
        """Return the same with other lungs."""
        return replace(self, right=right, left=left)


def find_lungs(ct: Analysis, body: Body, airways: Mask, midline: npt.NDArray[np.float64]) -> Lungs:
    """Find both lungs; either may come out empty."""
    wall = dilate(airways, 1.1 * max(ct.spacing_mm[1:]), ct.spacing_mm) if airways.any() else airways
    candidates = candidate_air(ct, body) & ~wall
    right, left = _sides(ct, candidates, midline)
    leak = _gas(ct, right) | _gas(ct, left)
    right, left = _with_parts(ct, candidates & ~leak, right & ~leak, left & ~leak)
    right, left = (_without_bronchi(ct, lung, airways) for lung in (right, left))
    outside = protrusions(ct, right | left)
    right, left = right & ~outside, left & ~outside
    air = right | left
    whole = [_filled(ct, lung, other | leak, wall, midline) for lung, other in ((right, left), (left, right))]
    gas = (candidates | body.room) & ~whole[0] & ~whole[1]
    return Lungs(whole[0], whole[1] & ~whole[0], air, gas, leak)


def candidate_air(ct: Analysis, body: Body) -> Mask:
    """Return air within the patient, also where a cropped field of view cuts through the lung."""
    labels, counts = components((ct.hu < LUNG_HU) & ~body.room & ~body.rim)
    within = np.bincount(labels.reshape(-1), body.within.reshape(-1), minlength=len(counts))
    kept = within > WITHIN * counts
    kept[0] = False
    return np.asarray(kept[labels])


def _sides(ct: Analysis, air: Mask, midline: npt.NDArray[np.float64]) -> tuple[Mask, Mask]:
    """Return the air of the right and of the left lung: for each side the largest believable part."""
    labels, counts = components(air)
    sums = np.bincount(labels.reshape(-1), ct.hu.reshape(-1), minlength=len(counts))
    is_right = np.arange(ct.hu.shape[2]) < midline[:, None]
    on_right = np.bincount(
        labels.reshape(-1), np.broadcast_to(is_right[:, None], labels.shape).reshape(-1), minlength=len(counts)
    )
    sides = (np.zeros_like(air), np.zeros_like(air))
    for label in by_size(counts, ct.voxels(LEAST_LUNG_ML)):
        mean, share = sums[label] / counts[label], on_right[label] / counts[label]
        if not MEAN_HU[0] < mean < MEAN_HU[1]:
            continue
        part = labels == label
        two_sided = BOTH_SIDES < share < 1 - BOTH_SIDES
        for piece in _split(ct, part, midline, BOTH_SIDES) if two_sided else [part]:
            side = sides[0 if (piece & is_right[:, None]).sum() > 0.5 * piece.sum() else 1]
            if not side.any():
                side |= piece
    if sides[0].any() != sides[1].any():
        return _rest_of_lung(ct, sides, midline)
    return _only_lungs(*sides)


def _rest_of_lung(ct: Analysis, sides: tuple[Mask, Mask], midline: npt.NDArray[np.float64]) -> tuple[Mask, Mask]:
    """Look for the rest of a collapsed lung that touches the other one."""
    only = sides[0] | sides[1]
    pieces = _split(ct, only, midline, LEAST_REST)
    if len(pieces) < 2 or min(piece.sum() for piece in pieces) < ct.voxels(MISSING_ML):
        return sides
    return pieces[0], pieces[1]


def _only_lungs(right: Mask, left: Mask) -> tuple[Mask, Mask]:
    """Drop a much smaller side that lies below the other's lower half: gas in the bowel, not a lung."""
    sizes = [int(right.sum()), int(left.sum())]
    if 0 in sizes:
        return right, left
    small, large = (right, left) if sizes[0] < sizes[1] else (left, right)
    if min(sizes) < 0.3 * max(sizes):
        top = int(np.flatnonzero(small.any(axis=(1, 2)))[0])
        levels = np.flatnonzero(large.any(axis=(1, 2)))
        if top > 0.5 * (levels[0] + levels[-1]):
            small[:] = False
    return right, left


def _split(ct: Analysis, part: Mask, midline: npt.NDArray[np.float64], least: float) -> list[Mask]:
    """Return the two lungs that touch in ``part``, or ``[part]`` if it is one lung that reaches over the midline.

    The smaller must have at least the share ``least`` of the larger.

    Erosion separates them; the watershed of the radiodensity from these markers finds the junction between them, near
    the midline only.
    """
    box = bounding_box(part, 0.0, ct.spacing_mm)
    inner, middle = part[box], midline[box[0]] - box[2].start
    offset = (np.arange(inner.shape[2]) - middle[:, None]) * ct.spacing_mm[2]
    depth = distance_mm(inner, ct.spacing_mm)
    markers = _markers(depth, offset, ct.spacing_mm, least)
    if markers is None:
        return [part]
    far = np.broadcast_to((np.abs(offset) > MIDLINE_BAND_MM)[:, None], inner.shape)
    side = np.broadcast_to(np.where(offset < 0, 1, 2)[:, None], inner.shape)
    markers = np.where(far & inner, side, markers)
    divided = watershed(  # type: ignore[no-untyped-call]
        ct.hu[box].astype(np.int32), markers, mask=inner
    )
    pieces = []
    for value in (1, 2):
        piece = np.zeros_like(part)
        piece[box] = divided == value
        pieces.append(piece)
    return pieces


def _markers(
    depth: npt.NDArray[np.float32], offset: npt.NDArray[np.float64], spacing: tuple[float, float, float], least: float
) -> npt.NDArray[np.int32] | None:
    """Return 1 right and 2 left of the first erosion that leaves a large part on either side of the midline."""
    step = min(spacing[1:])
    for radius in np.arange(1.0, 7.5, 0.5) * step:
        labels, counts = components(depth > radius)
        two = list(by_size(counts, 1))[:2]
        if len(two) < 2 or counts[two[1]] < least * counts[two[0]]:
            continue
        means = [float(offset[np.nonzero(labels == label)[::2]].mean()) for label in two]
        if min(means) < -8 and max(means) > 8:
            table = np.zeros(len(counts), dtype=np.int32)
            table[two[int(np.argmin(means))]], table[two[int(np.argmax(means))]] = 1, 2
            return np.asarray(table[labels])
    return None


def _with_parts(ct: Analysis, air: Mask, right: Mask, left: Mask) -> tuple[Mask, Mask]:
    """Add separate parts that border on a lung: bullae, lobes cut off by a thick fissure, remains behind a mass."""
    labels, counts = components(air & ~right & ~left)
    wanted = list(by_size(counts, ct.voxels(LEAST_PART_ML)))
    reach = 2.1 * max(ct.spacing_mm[1:])
    grown = []
    for lung in (right, left):
        if not lung.any() or not wanted:
            grown.append(lung)
            continue
        levels = np.flatnonzero(lung.any(axis=(1, 2)))
        lowest = levels[0] + 0.7 * (levels[-1] - levels[0])
        near = dilate(lung, reach, ct.spacing_mm)
        adopted = [label for label in wanted if _borders(ct, labels == label, near, lung, lowest)]
        grown.append(lung | select(labels, adopted, len(counts)) if adopted else lung)
    return grown[0], grown[1] & ~grown[0]


def _borders(ct: Analysis, part: Mask, near: Mask, lung: Mask, lowest: float) -> bool:
    if not (part & near).any():
        return False
    window = bounding_box(part, 3 * max(ct.spacing_mm[1:]), ct.spacing_mm)
    piece = part[window]
    level = window[0].start + float(np.nonzero(piece)[0].mean())
    shell = dilate(piece, 2.1 * max(ct.spacing_mm[1:]), ct.spacing_mm) & ~piece
    share = float((shell & lung[window]).sum() / max(1, shell.sum()))
    pure = float(ct.hu[window][piece].mean()) < MEAN_HU[0] + 25
    return share > (0.35 if level > lowest or pure else 0.15)


def _gas(ct: Analysis, lung: Mask) -> Mask:
    """Return pockets of pure gas at the base of ``lung`` that are walled off on nearly all sides: stomach or bowel."""
    out = np.zeros_like(lung)
    levels = np.flatnonzero(lung.any(axis=(1, 2)))
    if not levels.size:
        return out
    low = slice(int(levels[0] + 0.6 * (levels[-1] - levels[0])), int(levels[-1]) + 1)
    part, hu, wide = lung[low], ct.hu[low], max(ct.spacing_mm[1:])
    labels, counts = components(erode(part & (hu < GAS_HU), NECK_MM, ct.spacing_mm))
    for label in by_size(counts, ct.voxels(LEAST_GAS_ML)):
        pocket = dilate(labels == label, NECK_MM + 1.1 * wide, ct.spacing_mm) & part
        shell = dilate(pocket, 2.1 * wide, ct.spacing_mm) & ~pocket
        if (hu[shell] > LUNG_HU).mean() > WALLED:
            out[low] |= pocket
    return out


def _without_bronchi(ct: Analysis, lung: Mask, airways: Mask) -> Mask:
    """Remove the thin remains of the main bronchi, between where they were followed to and the lung."""
    if not (airways.any() and lung.any()):
        return lung
    box = bounding_box(airways, BRONCHUS_REACH_MM, ct.spacing_mm)
    part = lung[box]
    near = dilate(airways[box], BRONCHUS_REACH_MM, ct.spacing_mm)
    thick = dilate(erode(part, BRONCHUS_MM, ct.spacing_mm), BRONCHUS_MM + max(ct.spacing_mm[1:]), ct.spacing_mm)
    out = lung.copy()
    out[box] = part & (thick | ~near)
    return out


def _filled(ct: Analysis, lung: Mask, other: Mask, wall: Mask, midline: npt.NDArray[np.float64]) -> Mask:
    """Return ``lung`` with vessels, nodules and small dense findings; near the midline only narrow gaps close."""
    if not lung.any():
        return lung
    near = np.abs(np.arange(lung.shape[2]) - midline[:, None])[:, None] * ct.spacing_mm[2] < GREAT_VESSELS_MM
    whole = np.where(near, close(lung, NARROW_MM, ct.spacing_mm), close(lung, CLOSING_MM, ct.spacing_mm))
    whole &= ~wall & ~other
    return fill_enclosed(whole) & ~other
