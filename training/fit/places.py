"""Teaching features where abnormalities are, while training only.

The mean over slice groups dilutes a small abnormality: of thousands of cells a handful differ, and a few thousand CTs
are too few to find out which. Where the places of the abnormalities are known (phantoms), the first M features of Z, as
they are before their ReLU, are taught to be the log odds that the cell holds each abnormality. This shapes Z; the head
still learns from the labels of whole CTs alone.

A cell is told of the findings that lie nearest to the centre of what it sees, so that maps placed by receptive field
point where the network was taught to look. (Tiles that divide the slice evenly have other middles: 3.5 px beside those
centres for a ResNet cut after stage 2.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as nn_functional

from training.geometry import CellLayout, ReceptiveField

RARITY_POWER = 0.7
"""Between 0 (cells count alike) and 1 (cells with and without the abnormality count alike in sum)."""

RAREST = 1e-5
"""Smallest share of cells with an abnormality that is told from none at all."""


def log_odds_of(features: Tensor, n_labels: int) -> Tensor:
    """Return the log odds of the places [B, M, H, D1, D2] in features before their ReLU [B, H, F, D1, D2]."""
    return features[:, :, :n_labels].transpose(1, 2)


@dataclass(frozen=True, eq=False)
class Nearest:
    """Which blocks of a slice belong to which cells: those whose middles are nearest to the centre of its field.

    ``rows`` [D1, R] and ``columns`` [D2, C] are 1 for a block of the cell, else 0.
    """

    rows: Tensor
    columns: Tensor

    def cells(self, places: Tensor) -> Tensor:
        """Return [..., D1, D2], 1 in cells of which a block of ``places`` [..., R, C] is 1."""
        along_rows = torch.einsum("dr,...rc->...dc", self.rows.to(places), places)
        return (torch.einsum("ec,...dc->...de", self.columns.to(places), along_rows) > 0).to(places)

    def to(self, device: torch.device) -> Nearest:
        """Return the same on ``device``."""
        return Nearest(self.rows.to(device), self.columns.to(device))


def nearest_blocks(layout: CellLayout, slice_shape: tuple[int, int], blocks: tuple[int, int]) -> Nearest:
    """Return the blocks of every cell of ``layout``.

    Parameters
    ----------
    layout
        Cells over (slice, row, column).
    slice_shape
        Rows and columns of the model input.
    blocks
        R and C: into how many blocks they are cut, from index 0 on; the last may be cut short.
    """
    rows, columns = (
        _members(layout.n_cells[axis], layout.fields[axis], n, count)
        for axis, n, count in zip((1, 2), slice_shape, blocks, strict=True)
    )
    return Nearest(rows, columns)


def _members(n_cells: int, field: ReceptiveField, n_px: int, n_blocks: int) -> Tensor:
    """Return [cell, block]: a block goes to the nearest cell, and a cell that gets none takes the block it lies in."""
    block_px = -(-n_px // n_blocks)
    middles = np.arange(n_blocks) * block_px + (block_px - 1) / 2
    centres = field.centres(n_cells)
    members = np.zeros((n_cells, n_blocks), dtype=np.float32)
    members[np.abs(centres[:, None] - middles).argmin(axis=0), np.arange(n_blocks)] = 1
    inside = np.clip(np.floor((centres + 0.5) / block_px).astype(int), 0, n_blocks - 1)
    without = members.sum(axis=1) == 0
    members[without, inside[without]] = 1
    return torch.from_numpy(members)


def place_loss(log_odds: Tensor, cells: Tensor, rarity: Tensor) -> Tensor:
    """Return the cross-entropy of every case, averaged over cells and labels.

    A cell with the abnormality counts ``w = rarity ** RARITY_POWER``, so that small abnormalities count as well as
    large ones; every label is divided by the mean weight of its cells.

    Parameters
    ----------
    log_odds
        Shape (B, M, H, D1, D2), from :func:`log_odds_of`.
    cells
        The same shape, 1 in cells that hold the abnormality, from :meth:`Nearest.cells`.
    rarity
        Shape (M,): cells without over cells with the abnormality.

    Returns
    -------
    Tensor
        Shape (B,).
    """
    weight = rarity[:, None, None, None] ** RARITY_POWER
    losses = nn_functional.binary_cross_entropy_with_logits(log_odds, cells, pos_weight=weight, reduction="none")
    mean_weight = (rarity**RARITY_POWER + rarity) / (1 + rarity)
    return (losses.mean(dim=(2, 3, 4)) / mean_weight).mean(dim=1)


def rarity_of(places: Iterable[npt.NDArray[np.uint8]], nearest: Nearest) -> Tensor:
    """Return cells without over cells with each abnormality, at least 1: float32 (M,), for cases [M, H, R, C]."""
    shares = np.mean([_share(nearest, place) for place in places], axis=0)
    return torch.from_numpy(np.maximum(1.0, (1 - shares) / np.maximum(shares, RAREST)).astype(np.float32))


def _share(nearest: Nearest, places: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    cells = nearest.cells(torch.from_numpy(places.astype(np.float32)))
    return np.asarray(cells.mean(dim=(1, 2, 3)).numpy(), dtype=np.float64)
