"""The patient: what is outside, what is table, what lies within the skin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.partition.segment.analysis import Analysis
from training.partition.segment.shapes import Mask, components, convex_hull, dilate, erode, fill_slices, largest

TISSUE_HU: Final = -300
"""Anything denser is tissue, table or clothes: fat is about -100, foam below -850."""

ROOM_AIR_HU: Final = -930
ROOM_MEAN_HU: Final = -968
"""Air around the patient: every voxel below the first, their mean below the second; lungs on average are above both."""

PADDING_HU: Final = -1020
"""What lies outside a round field of view, after clipping."""

TABLE_MM: Final = 4.0
"""Sheets thinner than twice this are detached from the patient."""

IN_PLANE: Final = np.array([np.zeros((3, 3)), ndimage.generate_binary_structure(2, 1), np.zeros((3, 3))], dtype=bool)


@dataclass(frozen=True, eq=False)
class Body:
    """Masks on the analysis grid.

    ``tissue``: the patient's dense tissue without the table; ``room``: air around the patient and ``padding`` outside
    the field of view; ``rim``: half-air voxels around the skin; ``inside``: within the skin (lungs that touch the edge
    of the field of view may be missing until they are found); ``within``: where air can be the patient's, there too.
    """

    tissue: Mask
    room: Mask
    padding: Mask
    rim: Mask
    inside: Mask
    within: Mask


def find_body(ct: Analysis) -> Body:
    """Find the patient."""
    tissue = _patient(ct)
    padding = _at_edge(ct.hu <= PADDING_HU, np.zeros_like(tissue))
    air = (ct.hu < ROOM_AIR_HU) & ~padding
    room = padding | _at_edge(air, padding, ct.hu)
    inside, hull = fill_slices(tissue) & ~room, _hulls(tissue)
    rim = dilate(room & ~padding, 1.1 * max(ct.spacing_mm[1:]), ct.spacing_mm) & ~inside
    return Body(tissue, room, padding, rim, inside, inside | (hull & ~room & ~rim))


def _patient(ct: Analysis) -> Mask:
    dense = ct.hu > TISSUE_HU
    core = largest(erode(dense, TABLE_MM, ct.spacing_mm))
    return dense & dilate(core, TABLE_MM + max(ct.spacing_mm[1:]), ct.spacing_mm)


def _at_edge(mask: Mask, padding: Mask, hu: npt.NDArray[np.int16] | None = None) -> Mask:
    """Return the parts of ``mask`` that reach the edge of their own slice, or its padding.

    Slice by slice, so that the way is never through the mouth into the lungs. With ``hu``, parts whose mean is that of
    lung stay out: lung that a small field of view cuts through.
    """
    labels, n = ndimage.label(mask, IN_PLANE)
    edge = np.zeros(n + 1, dtype=bool)
    for side in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        edge[side.reshape(-1)] = True
    if padding.any():
        edge[labels[ndimage.binary_dilation(padding, IN_PLANE)]] = True
    if hu is not None:
        flat = labels.reshape(-1)
        counts = np.maximum(np.bincount(flat, minlength=n + 1), 1)
        edge &= np.bincount(flat, hu.reshape(-1), minlength=n + 1) / counts < ROOM_MEAN_HU
    edge[0] = False
    return np.asarray(edge[labels])


def _hulls(mask: Mask) -> Mask:
    out = np.zeros_like(mask)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        out[index] = convex_hull(mask[index])
    return out


def with_lungs(body: Body, lungs: Mask) -> Mask:
    """Return the body with lungs that reach the edge of the field of view; one connected part, holes filled."""
    whole = fill_slices(body.inside | lungs)
    labels, counts = components(whole)
    return np.asarray(labels == int(np.argmax(counts[1:])) + 1) if len(counts) > 1 else whole
