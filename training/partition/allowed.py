"""Allowed regions (G_true, sections 3.5 and 12): label x organ, brought to the grid of a model's maps.

Organ masks are first laid on the model's input grid by physical space, then reduced to one value a cell. Where a cell
lies follows from the placement: where the layers put it (``receptive_field``) or stretched over the field of view as
the paper draws it (``stretch``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.explain.placement import Placement, placed_fields
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.labels import find_label
from training.partition.grids import nearest_labels
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG, Organs, heuristic_masks

Downsampling = Literal["nearest", "authors", "trilinear", "area", "fraction", "any"]
DOWNSAMPLING: tuple[Downsampling, ...] = ("nearest", "authors", "trilinear", "area", "fraction", "any")
AbsentPolicy = Literal["forbidden", "ignored"]
SidePolicy = Literal["kept", "both"]

FloatMask = npt.NDArray[np.float32]

_SLAB = 16
"""Slices reduced at a time, so that no copy of the whole mask is made in floating point."""


@dataclass(frozen=True)
class RegionSettings:
    """How allowed regions are made.

    Parameters
    ----------
    placement
        ``receptive_field`` or ``stretch``.
    downsampling
        One value a cell: ``nearest`` the voxel at the cell's centre; ``authors`` the voxel at the cell's lower corner
        of the stretched grid, as their nearest-neighbour sampling takes it (px 0, 70 ... 350); ``trilinear`` between
        the eight voxels around the centre, any non-zero counts; ``area`` the mean over the cell's box, at least one
        half counts; ``fraction`` that mean itself; ``any`` any voxel of the box.
    dilation
        Dilate by one cell in all directions (3 x 3 x 3), as Table 6 compares.
    absent
        Labels not present in the case: all cells ``forbidden`` (the authors), or ``ignored`` by the mask loss.
    side
        Lung labels: allowed in the named lung only (``kept``) or in both.
    heuristic
        Mask for cases without a segmentation that passed: ``paper`` or ``authors``.
    """

    placement: Placement = "receptive_field"
    downsampling: Downsampling = "nearest"
    dilation: bool = False
    absent: AbsentPolicy = "forbidden"
    side: SidePolicy = "kept"
    heuristic: Literal["paper", "authors"] = "paper"

    def __post_init__(self) -> None:
        if self.downsampling not in DOWNSAMPLING:
            raise ValueError(f"downsampling must be one of {DOWNSAMPLING}, got {self.downsampling!r}")
        if self.downsampling == "authors" and self.placement != "stretch":
            raise ValueError("the authors' sampling goes with the stretched placement only")


@dataclass(frozen=True, eq=False)
class AllowedRegions:
    """G_true of one case.

    ``allowed`` is float32 [M, H, D1, D2] in [0, 1]; ``considered`` is bool [M], False for labels that the mask loss
    leaves out.
    """

    labels: tuple[str, ...]
    allowed: FloatMask
    considered: npt.NDArray[np.bool_]
    settings: RegionSettings


def organ_cells(
    organs: Organs | None, image: Geometry, cells: CellLayout, settings: RegionSettings
) -> dict[int, FloatMask]:
    """Return, for right lung, left lung and mediastinum, float32 [H, D1, D2] in [0, 1] at a map's grid.

    Parameters
    ----------
    organs
        The segmentation, on any grid; None, or one that failed, gives the heuristic mask on the model's grid.
    image
        Geometry of the model input.
    """
    masks = organ_masks(organs, image, settings.heuristic)
    return {value: cell_values(mask, image, cells, settings) for value, mask in masks.items()}


def organ_masks(organs: Organs | None, image: Geometry, heuristic: str = "paper") -> dict[int, npt.NDArray[np.bool_]]:
    """Return bool masks of the organs on the model's input grid; cells outside the CT belong to no organ."""
    if organs is None or organs.qc.heuristic is not None:
        return heuristic_masks(image.shape, heuristic)
    labels = nearest_labels(organs.labels, organs.geometry, image)
    return {value: labels == value for value in (RIGHT_LUNG, LEFT_LUNG, MEDIASTINUM)}


def cell_values(mask: npt.NDArray[np.bool_], image: Geometry, cells: CellLayout, settings: RegionSettings) -> FloatMask:
    """Reduce a mask on the model's input grid ``image`` to one value a cell, float32 [H, D1, D2]."""
    fields = placed_fields(image, cells, settings.placement)
    values = _REDUCTIONS[settings.downsampling](mask, cells.n_cells, fields)
    if settings.dilation:
        values = np.asarray(ndimage.maximum_filter(values, size=3, mode="constant"), dtype=np.float32)
    return values


def _nearest(mask: npt.NDArray[np.bool_], n: Sequence[int], fields: Sequence[ReceptiveField]) -> FloatMask:
    # A centre halfway between two voxels takes both, so that the region of a flipped scan is the flipped region.
    centres = [np.clip(f.centres(k), 0, size - 1) for f, k, size in zip(fields, n, mask.shape, strict=True)]
    choices = [(np.ceil(c - 0.5).astype(np.intp), np.floor(c + 0.5).astype(np.intp)) for c in centres]
    seen = [mask[np.ix_(*index)] for index in product(*choices)]
    return np.asarray(np.logical_or.reduce(seen), dtype=np.float32)


def _authors(mask: npt.NDArray[np.bool_], n: Sequence[int], fields: Sequence[ReceptiveField]) -> FloatMask:
    del fields
    index = [np.floor(np.arange(k) * (size / k)).astype(np.intp) for k, size in zip(n, mask.shape, strict=True)]
    return mask[np.ix_(*index)].astype(np.float32)


def _trilinear(mask: npt.NDArray[np.bool_], n: Sequence[int], fields: Sequence[ReceptiveField]) -> FloatMask:
    weights = [_linear_weights(f.centres(k), size) for f, k, size in zip(fields, n, mask.shape, strict=True)]
    return (_separable(mask, weights) > 0).astype(np.float32)


def _linear_weights(centres: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    position = np.clip(centres, 0, size - 1)
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(size)[None, :]))


def _fraction(mask: npt.NDArray[np.bool_], n: Sequence[int], fields: Sequence[ReceptiveField]) -> FloatMask:
    weights = [box_weights(f, k, size) for f, k, size in zip(fields, n, mask.shape, strict=True)]
    return _separable(mask, weights).astype(np.float32)


def _area(mask: npt.NDArray[np.bool_], n: Sequence[int], fields: Sequence[ReceptiveField]) -> FloatMask:
    return (_fraction(mask, n, fields) >= 0.5).astype(np.float32)


def _any(mask: npt.NDArray[np.bool_], n: Sequence[int], fields: Sequence[ReceptiveField]) -> FloatMask:
    return (_fraction(mask, n, fields) > 0).astype(np.float32)


_REDUCTIONS = {
    "nearest": _nearest,
    "authors": _authors,
    "trilinear": _trilinear,
    "area": _area,
    "fraction": _fraction,
    "any": _any,
}


def box_weights(field: ReceptiveField, n_cells: int, size: int) -> npt.NDArray[np.float64]:
    """Return [n_cells, size]: the share of each voxel in a cell's own box (one jump wide), rows sum to at most 1.

    Parts of a box outside the grid count as empty.
    """
    edges = field.start_px + field.jump_px * (np.arange(n_cells + 1) - 0.5)
    voxel = np.arange(size)
    low = np.maximum(edges[:-1, None], voxel[None, :] - 0.5)
    high = np.minimum(edges[1:, None], voxel[None, :] + 0.5)
    return np.asarray(np.maximum(0.0, high - low) / field.jump_px)


def _separable(mask: npt.NDArray[np.bool_], weights: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    along_slices, rows, columns = (w.astype(np.float32) for w in weights)
    planes = np.empty((len(mask), len(rows), len(columns)), dtype=np.float32)
    for start in range(0, len(mask), _SLAB):
        slab = mask[start : start + _SLAB].astype(np.float32)
        planes[start : start + _SLAB] = rows @ (slab @ columns.T)
    out = along_slices @ planes.reshape(len(mask), -1)
    return np.asarray(out.reshape(-1, len(rows), len(columns)), dtype=np.float64)


def allowed_regions(
    organ_values: Mapping[int, FloatMask],
    labels: Sequence[str],
    present: Mapping[str, frozenset[str]],
    settings: RegionSettings,
) -> AllowedRegions:
    """Return G_true for ``labels``.

    Parameters
    ----------
    organ_values
        From :func:`organ_cells`.
    labels
        Names, in the model's order.
    present
        The labels that the case has, each with its lung sides ("right", "left"); no side means both or unknown.
    """
    shape = next(iter(organ_values.values())).shape
    allowed = np.zeros((len(labels), *shape), dtype=np.float32)
    for i, name in enumerate(labels):
        if name in present:
            allowed[i] = region_of(name, organ_values, present[name] if settings.side == "kept" else frozenset())
    considered = np.array([name in present or settings.absent == "forbidden" for name in labels])
    return AllowedRegions(tuple(labels), allowed, considered, settings)


def region_of(label: str, organ_values: Mapping[int, FloatMask], sides: frozenset[str] = frozenset()) -> FloatMask:
    """Return the region in which ``label`` may lie: mediastinum, or the lungs on ``sides`` (both if empty)."""
    values = [organ_values[value] for value in organs_of_label(label, sides)]
    return np.minimum(np.sum(values, axis=0, dtype=np.float32), np.float32(1.0))


def organs_of_label(label: str, sides: frozenset[str] = frozenset()) -> tuple[int, ...]:
    """Return the organ values in which ``label`` may lie: mediastinum, or the lungs on ``sides`` (both if empty)."""
    if find_label(label).organ_group == "mediastinum":
        return (MEDIASTINUM,)
    return tuple(v for v, side in ((RIGHT_LUNG, "right"), (LEFT_LUNG, "left")) if not sides or side in sides)
