"""Air that leaves the chest by a thin way: the lumen of a chest tube, air between the muscles of the chest wall."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from training.partition.segment.analysis import Analysis
from training.partition.segment.shapes import Mask, components, convex_hull, dilate, erode

THIN_MM: Final = 4.0
"""Air thinner than twice this may be a protrusion; recesses, the lingula and folds of a lung are as thin."""

AROUND_MM: Final = 20.0
"""A recess lies within the lungs' outline at some level this close above or below it; a tube leaves it."""

BEYOND_MM: Final = 4.0
"""How far beyond this outline air must reach to have left the chest."""

LEAST_ML: Final = 0.2
"""Less beyond the outline than this is left as it is."""


def protrusions(ct: Analysis, air: Mask) -> Mask:
    """Return the thin parts of the lungs' ``air`` that leave the lungs' outline, beyond the outline.

    The outline is the convex hull, slice by slice, of what an opening leaves of both lungs; nearby slices count too, so
    that the costodiaphragmatic recess, which is as thin as a tube, stays.
    """
    voxel = 1.1 * max(ct.spacing_mm[1:])
    thick = dilate(erode(air, THIN_MM, ct.spacing_mm), THIN_MM + voxel, ct.spacing_mm) & air
    outline = np.zeros_like(air)
    for index in np.flatnonzero(thick.any(axis=(1, 2))):
        outline[index] = convex_hull(thick[index])
    size = 2 * round(AROUND_MM / ct.spacing_mm[0]) + 1
    outline = ndimage.maximum_filter1d(outline.view(np.uint8), size, axis=0, mode="nearest").view(np.bool_)
    labels, counts = components(air & ~thick & ~outline, 26)
    beyond = air & ~thick & ~dilate(outline, BEYOND_MM, ct.spacing_mm)
    outside = np.bincount(labels[beyond], minlength=len(counts))
    taken = outside >= max(1.0, ct.voxels(LEAST_ML))
    taken[0] = False
    return np.asarray(taken[labels])
