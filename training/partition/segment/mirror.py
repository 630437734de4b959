"""The place of a lung that holds no air: what mirrors the other lung at the midline."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.partition.segment.analysis import Analysis
from training.partition.segment.body import TISSUE_HU
from training.partition.segment.shapes import Mask
from training.partition.segment.spine import BONE_HU


def mirrored(lung: Mask, midline: npt.NDArray[np.float64], ct: Analysis, inside: Mask) -> Mask:
    """Return ``lung`` mirrored at ``midline`` (a column for every slice), as far as it is soft tissue in the body.

    An estimate for a collapsed, drowned or removed lung, so that its findings still have a place.
    """
    out = np.zeros_like(lung)
    columns = np.arange(lung.shape[2])
    for index in np.flatnonzero(lung.any(axis=(1, 2))):
        source = np.rint(2 * midline[index] - columns).astype(np.intp)
        held = (source >= 0) & (source < lung.shape[2])
        out[index][:, held] = lung[index][:, source[held]]
    return out & ~lung & inside & (ct.hu > TISSUE_HU) & (ct.hu < BONE_HU)
