"""Organs and body on the cells of a map: where the abnormality may lie, and what share of each cell lies in what.

Two things are kept for every organ. ``centres`` says which cells count as the organ when a region is drawn or trained
with (the voxel at the cell's centre, Table 6's ``nearest``); ``shares`` says what part of the cell's own box the organ
fills, which is what a score budget shares evidence out by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from training.explain.placement import Placement
from training.geometry import CellLayout, Geometry
from training.partition.allowed import FloatMask, RegionSettings, cell_values, organ_masks, region_of
from training.partition.grids import nearest_labels
from training.partition.organs import Organs


@dataclass(frozen=True, eq=False)
class OrganCells:
    """Organs and body of one case at the grid of a map.

    Parameters
    ----------
    placement
        Where the cells stand.
    centres
        By organ value (right lung, left lung, mediastinum): float32 [H, D1, D2], 0 or 1.
    shares
        The same in [0, 1]: the part of each cell's box that the organ fills.
    body
        float32 [H, D1, D2] in [0, 1]: the part inside the skin.
    """

    placement: Placement
    centres: Mapping[int, FloatMask]
    shares: Mapping[int, FloatMask]
    body: FloatMask

    def allowed(self, label: str, sides: frozenset[str] = frozenset()) -> FloatMask:
        """Return the cells in which ``label`` may lie, 0 or 1; ``sides`` ("right", "left") narrow a lung label.

        Raises
        ------
        KeyError
            If the label is not one of the 80.
        """
        return region_of(label, self.centres, sides)

    def allowed_share(self, label: str, sides: frozenset[str] = frozenset()) -> FloatMask:
        """Return the part of each cell's box in which ``label`` may lie; errors as :meth:`allowed`."""
        return region_of(label, self.shares, sides)

    @cached_property
    def labels(self) -> npt.NDArray[np.uint8]:
        """uint8 [H, D1, D2]: the organ's value in every cell that counts as one, 0 elsewhere; for drawing."""
        found = np.zeros(self.body.shape, dtype=np.uint8)
        for value, mask in self.centres.items():
            found[mask > 0] = value
        return found

    @property
    def organ_share(self) -> FloatMask:
        """The part of each cell's box that lies in any organ."""
        return np.minimum(np.sum([*self.shares.values()], axis=0, dtype=np.float32), np.float32(1.0))


def organ_cells_at(
    organs: Organs, image: Geometry, cells: CellLayout, placement: Placement, heuristic: str = "paper"
) -> OrganCells:
    """Lay organs and body on the cells of a map.

    Parameters
    ----------
    organs
        The segmentation with its body, on any grid; one that failed gives the heuristic mask, as everywhere.
    image
        Geometry of the model input.

    Raises
    ------
    ValueError
        If the body is unknown.
    """
    if organs.body is None:
        raise ValueError("the organs come without the body, so what lies outside of it is unknown")
    nearest = RegionSettings(placement=placement)
    shares = replace(nearest, downsampling="fraction")
    masks = organ_masks(organs, image, heuristic)
    body = _body_on(organs.body, organs.geometry, image)
    return OrganCells(
        placement,
        {value: cell_values(mask, image, cells, nearest) for value, mask in masks.items()},
        {value: cell_values(mask, image, cells, shares) for value, mask in masks.items()},
        cell_values(body, image, cells, shares),
    )


def _body_on(body: npt.NDArray[np.bool_], source: Geometry, image: Geometry) -> npt.NDArray[np.bool_]:
    return np.asarray(nearest_labels(body, source, image), dtype=np.bool_)
