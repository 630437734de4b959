"""Where abnormalities may lie, for the mask loss: organ cells from the data, allowed regions worked out on the device.

A case brings its three organs at the grid of the maps (small), and for every label the organs it may lie in. Their
product is the allowed region of every label, which is large for fine grids and therefore made where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.explain.placement import placed_fields
from training.fit.mask_loss import MaskLossSettings
from training.fit.settings import LossSettings
from training.geometry import CellLayout, Geometry
from training.issues import InputError, error
from training.labels import is_known
from training.partition.allowed import RegionSettings, organs_of_label
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG
from training.preprocess import InputSpec

ORGANS = (RIGHT_LUNG, LEFT_LUNG, MEDIASTINUM)
"""The organs of the first axis of organ cells, in this order."""

Sides = Mapping[str, frozenset[str]]
OrganCells = npt.NDArray[np.float32]
"""Organs at the grid of the maps: shape (3, H, D1, D2), in [0, 1]."""


@dataclass(frozen=True)
class RegionRequest:
    """What the mask loss asks of the data: at which cells of which input, how reduced, and where organs come from."""

    spec: InputSpec
    cells: CellLayout
    settings: RegionSettings
    organs: Literal["auto", "partition", "heuristic"] = "auto"

    @property
    def jump_px(self) -> tuple[float, ...]:
        """Distance of neighbouring cells along slice, row and column, voxels."""
        image = Geometry.canonical(self.spec.shape, self.spec.spacing_mm)
        return tuple(field.jump_px for field in placed_fields(image, self.cells, self.settings.placement))


def region_request(loss: LossSettings, spec: InputSpec, cells: CellLayout) -> RegionRequest:
    """Return what ``loss`` asks of the data; raises ``InputError`` for settings that do not go together."""
    try:
        settings = RegionSettings(
            placement=loss.mask_placement,
            downsampling=loss.mask_downsampling,
            dilation=loss.mask_dilation,
            absent=loss.mask_absent,
            side=loss.mask_sides,
            heuristic=loss.heuristic,
        )
    except ValueError as fault:
        raise InputError(error("bad-setting", f"loss: {fault}.", "Change the settings under [loss].")) from fault
    return RegionRequest(spec, cells, settings, loss.organs)


def mask_loss_settings(loss: LossSettings) -> MaskLossSettings | None:
    """Return which mask loss ``loss`` asks for; None for none."""
    if loss.mask == "none":
        return None
    return MaskLossSettings(loss.mask, loss.mask_on, loss.lambda_, loss.mask_softening, loss.mask_reduction)


def organ_choice(
    labels: Sequence[str], targets: npt.NDArray[np.float32], sides: Sides, settings: RegionSettings
) -> npt.NDArray[np.float32]:
    """Return in which organs each label of a case may lie: float32 (M, 3), 0 or 1; absent ones in none.

    Parameters
    ----------
    targets
        Shape (M,): 1 present, 0 absent, NaN unknown.
    sides
        For present labels of the lungs, the sides that are known.
    """
    choice = np.zeros((len(labels), len(ORGANS)), dtype=np.float32)
    for row, name in enumerate(labels):
        if targets[row] == 1 and is_known(name):
            own = sides.get(name, frozenset()) if settings.side == "kept" else frozenset()
            choice[row] = np.isin(ORGANS, organs_of_label(name, own))
    return choice


def considered_labels(
    labels: Sequence[str], targets: npt.NDArray[np.float32], settings: RegionSettings
) -> npt.NDArray[np.bool_]:
    """Return bool (M,): which labels the mask loss looks at, for targets (M,).

    Left out are labels that are unknown for the case, labels that belong to no organ because they are none of the
    paper's, and absent ones if the settings say so.
    """
    wanted = targets == 1 if settings.absent == "ignored" else ~np.isnan(targets)
    return np.asarray(wanted & np.array([is_known(name) for name in labels]))


def allowed_cells(organ_cells: Tensor, choice: Tensor) -> Tensor:
    """Return the allowed region of every label [M, H, D1, D2] for organ cells [3, H, D1, D2] and choice [M, 3]."""
    return torch.einsum("mo,ohij->mhij", choice, organ_cells).clamp_(max=1.0)
