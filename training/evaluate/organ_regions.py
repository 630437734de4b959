"""Allowed regions for OrganIoU: both placements of one case, on the grid on which its maps are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from training.evaluate.organ_iou import resampled_cells
from training.explain.placement import PLACEMENTS, Placement
from training.geometry import CellLayout, Geometry
from training.partition.allowed import FloatMask, RegionSettings, allowed_regions, organ_cells
from training.partition.organs import Organs


def allowed_by_placement(
    organs: Organs | None,
    image: Geometry,
    cells: CellLayout,
    labels: Sequence[str],
    present: Mapping[str, frozenset[str]],
    settings: RegionSettings | None = None,
    shape: Sequence[int] | None = None,
) -> dict[Placement, FloatMask]:
    """Return, by placement, the allowed regions [M, H, D1, D2] of one case; all 0 for labels it has not.

    Parameters
    ----------
    organs
        The segmentation; None, or one that failed, gives the heuristic mask.
    image
        Geometry of the model input.
    cells
        The maps' cells.
    present
        The labels of the case, each with its lung sides.
    settings
        How regions are made; its placement is replaced by each in turn. The authors' own regions are
        ``RegionSettings(placement="stretch", downsampling="authors", side="both", heuristic="authors")``, which exist
        for the stretched placement only, and so does the result.
    shape
        As for :func:`training.evaluate.organ_iou.organ_curves`: the grid to which maps are resampled, or None.
    """
    base = settings or RegionSettings()
    measured = cells if shape is None or cells.n_cells == tuple(shape) else resampled_cells(cells, shape)
    chosen = ("stretch",) if base.downsampling == "authors" else PLACEMENTS
    found: dict[Placement, FloatMask] = {}
    for placement in chosen:
        own = replace(base, placement=placement)
        found[placement] = allowed_regions(organ_cells(organs, image, measured, own), labels, present, own).allowed
    return found
