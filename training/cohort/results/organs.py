"""Organs of one case as a store keeps them: bits of every cell by grid, and shares of every cell by placement."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.cohort.results.layout import AUTHORS_CELLS, ORGAN_GRIDS, SHARE_PLACES
from training.explain.placement import PLACEMENTS, Placement
from training.geometry import CellLayout, Geometry
from training.partition.allowed import FloatMask, RegionSettings, organ_cells
from training.partition.cells import OrganCells, organ_cells_at
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG, Organs

Bytes = npt.NDArray[np.uint8]

ORGAN_VALUES = (RIGHT_LUNG, LEFT_LUNG, MEDIASTINUM)

AUTHORS = RegionSettings(placement="stretch", downsampling="authors", side="both", heuristic="authors")
"""The regions that the authors' code makes."""


def organ_arrays(organs: Organs, image: Geometry, cells: CellLayout, n_groups: int) -> dict[str, Bytes]:
    """Return the arrays ``organs``, ``authors_organs`` and ``organ_shares`` of one case.

    Parameters
    ----------
    organs
        The segmentation with its body, on any grid; one that failed gives the heuristic mask.
    image
        Geometry of the model input.
    n_groups
        Its slice groups.

    Raises
    ------
    ValueError
        If the body is unknown.
    """
    placed = [organ_cells_at(organs, image, cells, placement) for placement in PLACEMENTS]
    bits = [_bits([one.centres[value] for value in ORGAN_VALUES]) for one in placed]
    on_authors_grid = CellLayout((n_groups, *AUTHORS_CELLS), cells.fields)
    authors = organ_cells(organs, image, on_authors_grid, AUTHORS)
    shares = [[*(one.shares[value] for value in ORGAN_VALUES), one.body] for one in placed]
    return {
        "organs": np.stack(bits),
        "authors_organs": _bits([authors[value] for value in ORGAN_VALUES]),
        "organ_shares": np.rint(255 * np.asarray(shares)).astype(np.uint8),
    }


def _bits(masks: list[FloatMask]) -> Bytes:
    found = np.zeros(masks[0].shape, dtype=np.uint8)
    for bit, mask in enumerate(masks):
        found |= (mask > 0).astype(np.uint8) << bit
    return found


def masks_of(bits: Bytes) -> dict[int, FloatMask]:
    """Return the mask of every organ, float32 of 0 and 1, by its value."""
    return {value: (bits >> (value - 1) & 1).astype(np.float32) for value in ORGAN_VALUES}


def labels_of(bits: Bytes) -> Bytes:
    """Return one label map; where masks overlap (cells between two voxels, heuristic masks) the mediastinum wins."""
    labels = np.zeros(bits.shape, dtype=np.uint8)
    for value, mask in masks_of(bits).items():
        labels[mask > 0] = value
    return labels


def organ_cells_from(bits: Bytes, shares: Bytes, placement: Placement) -> OrganCells:
    """Return what :func:`organ_arrays` was given, with shares in steps of 1/255.

    ``bits`` and ``shares`` are both whole arrays of a case, with all their grids.
    """
    parts = shares[PLACEMENTS.index(placement)].astype(np.float32) / np.float32(255)
    by_organ = dict(zip(ORGAN_VALUES, parts, strict=False))
    body = parts[len(SHARE_PLACES) - 1]
    return OrganCells(placement, masks_of(bits[ORGAN_GRIDS.index(placement)]), by_organ, body)
