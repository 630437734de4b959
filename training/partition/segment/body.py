"""The patient: what is outside, what is table, what lies within the skin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from training.partition.segment.analysis import Analysis
from training.partition.segment.shapes import Mask, components, dilate, erode, fill_slices, largest

TISSUE_HU: Final = -300
"""Anything denser is tissue, table or clothes: fat is about -100, foam below -850."""

ROOM_AIR_HU: Final = -930
"""Air around the patient is below this, lungs on average above."""

TABLE_MM: Final = 4.0
"""Sheets thinner than twice this are detached from the patient."""

IN_PLANE: Final = np.array([np.zeros((3, 3)), ndimage.generate_binary_structure(2, 1), np.zeros((3, 3))], dtype=bool)


@dataclass(frozen=True, eq=False)
class Body:
    """Masks on the analysis grid.

    ``tissue``: the patient's dense tissue without the table; ``room``: air around the patient; ``enclosed``: has tissue
    on both sides along its row or its column; ``inside``: within the skin (lungs that touch the edge of the field of
    view may be missing until they are found).
    """

    tissue: Mask
    room: Mask
    enclosed: Mask
    inside: Mask


def find_body(ct: Analysis) -> Body:
    """Find the patient."""
    tissue = _patient(ct)
    room = _room_air(ct)
    return Body(tissue, room, _enclosed(tissue), fill_slices(tissue) & ~room)


def _patient(ct: Analysis) -> Mask:
    dense = ct.hu > TISSUE_HU
    core = largest(erode(dense, TABLE_MM, ct.spacing_mm))
    return dense & dilate(core, TABLE_MM + max(ct.spacing_mm[1:]), ct.spacing_mm)


def _room_air(ct: Analysis) -> Mask:
    """Return near-pure air that reaches the edge of its own slice: never by way of the mouth into the lungs."""
    labels, n = ndimage.label(ct.hu < ROOM_AIR_HU, IN_PLANE)
    edge = np.zeros(n + 1, dtype=bool)
    for side in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        edge[side.reshape(-1)] = True
    edge[0] = False
    return np.asarray(edge[labels])


def _enclosed(tissue: Mask) -> Mask:
    """Return the voxels with tissue before and behind them along their row, or along their column."""
    out = np.zeros_like(tissue)
    for axis in (1, 2):
        before = np.logical_or.accumulate(tissue, axis=axis)
        behind = np.flip(np.logical_or.accumulate(np.flip(tissue, axis), axis=axis), axis)
        out |= before & behind
    return out


def with_lungs(body: Body, lungs: Mask) -> Mask:
    """Return the body with lungs that reach the edge of the field of view; one connected part, holes filled."""
    whole = fill_slices(body.inside | lungs)
    labels, counts = components(whole)
    return np.asarray(labels == int(np.argmax(counts[1:])) + 1) if len(counts) > 1 else whole
