"""From the analysis grid back to native voxels: lung borders by radiodensity, one slab at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG
from training.partition.segment.analysis import Analysis, enlarge
from training.partition.segment.body import TISSUE_HU
from training.partition.segment.lungs import LUNG_HU, Lungs
from training.partition.segment.shapes import Mask, dilate, erode

Labels = npt.NDArray[np.uint8]


def refined(
    hu: npt.NDArray[np.int16],
    ct: Analysis,
    lungs: Lungs,
    mediastinum: Mask,
    body: Mask,
    airways: Mask,
    step: Callable[[int, int], None] | None = None,
) -> tuple[Labels, Mask]:
    """Return organ labels and the body on the CT's own voxels.

    Within one analysis voxel of a lung's border, native radiodensity decides; its interior, and what was filled in,
    stays as it is. Voxels that a lung gives up next to the mediastinum go to the mediastinum.
    """
    if ct.block == (1, 1, 1):
        return _plain(lungs, mediastinum), body
    certain, possible = _lung_planes(ct, lungs, airways, mediastinum)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    plane = (hu.shape[1], hu.shape[2])
    for index in range(ct.hu.shape[0]):
        slab = slice(index * ct.block[0], (index + 1) * ct.block[0])
        if possible[index].any() or certain[index].any():
            sure, maybe = (enlarge(p[index], ct.block, plane) for p in (certain, possible))
            labels[slab] = np.where(hu[slab] < LUNG_HU, maybe, sure)
        if step is not None:
            step(index + 1, ct.hu.shape[0])
    return labels, native_body(hu, ct, body)


def native_body(hu: npt.NDArray[np.int16], ct: Analysis, body: Mask) -> Mask:
    """Return ``body`` on native voxels; at the skin, native radiodensity decides."""
    if ct.block == (1, 1, 1):
        return body
    skin, around = _skin_planes(ct, body)
    inside = np.zeros(hu.shape, dtype=bool)
    plane = (hu.shape[1], hu.shape[2])
    for index in np.flatnonzero(body.any(axis=(1, 2))):
        slab = slice(index * ct.block[0], (index + 1) * ct.block[0])
        sure, maybe = (enlarge(p[index], ct.block, plane) for p in (skin, around))
        inside[slab] = sure | (maybe & (hu[slab] > TISSUE_HU))
    return inside


def _plain(lungs: Lungs, mediastinum: Mask) -> Labels:
    labels = np.where(mediastinum, MEDIASTINUM, 0).astype(np.uint8)
    labels[lungs.right], labels[lungs.left] = RIGHT_LUNG, LEFT_LUNG
    return labels


def _lung_planes(ct: Analysis, lungs: Lungs, airways: Mask, mediastinum: Mask) -> tuple[Labels, Labels]:
    """Return the label of dense voxels and the label of air, for every analysis voxel."""
    reach = 1.1 * max(ct.spacing_mm[1:])
    whole = lungs.right | lungs.left
    near = dilate(mediastinum, 1.5 * reach, ct.spacing_mm)
    sure = _plain(lungs, mediastinum)
    rim = whole & ~erode(whole, reach, ct.spacing_mm) & lungs.air
    sure[rim] = np.where(near[rim], MEDIASTINUM, 0)
    maybe = _plain(lungs, mediastinum)
    free = ~whole & ~dilate(airways, reach, ct.spacing_mm) & ~lungs.gas
    right, left = (dilate(lung, reach, ct.spacing_mm) & free for lung in (lungs.right, lungs.left))
    maybe[right] = RIGHT_LUNG
    maybe[left & ~right] = LEFT_LUNG
    return sure, maybe


def _skin_planes(ct: Analysis, body: Mask) -> tuple[Mask, Mask]:
    """Return the analysis voxels certainly within the skin, and those around it that are body where they are dense."""
    reach = 1.1 * max(ct.spacing_mm[1:])
    skin = erode(body, reach, ct.spacing_mm)
    return skin, dilate(body, reach, ct.spacing_mm)
