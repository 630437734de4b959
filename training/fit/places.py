"""Teaching features where abnormalities are, while training only.

The mean over slice groups dilutes a small abnormality: of thousands of cells a handful differ, and a few thousand CTs
are too few to find out which. Where the places of the abnormalities are known (phantoms), every cell of Z can be asked
for what it holds: ``<A_m, Z[h, :, i, j]> + a_m``. This shapes Z only; the head learns from the labels of whole CTs, and
A is dropped when the model is saved.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as nn_functional

RARITY_POWER = 0.7
"""Between 0 (cells count alike) and 1 (cells with and without the abnormality count alike in sum)."""

RAREST = 1e-5
"""Smallest share of blocks with an abnormality that is told from none at all."""

START_BIAS = -4.0
"""What a cell is taken to hold at first: nothing, at odds of e^4 to 1."""


class PlaceHead(nn.Module):
    """The same linear layer at every cell.

    Parameters
    ----------
    n_features
        F.
    n_labels
        M.
    """

    def __init__(self, n_features: int, n_labels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_labels, n_features))
        self.bias = nn.Parameter(torch.full((n_labels,), START_BIAS))

    def forward(self, z: Tensor) -> Tensor:
        """Return log odds [B, M, H, D1, D2] for Z [B, H, F, D1, D2]."""
        return torch.einsum("bhfij,mf->bmhij", z, self.weight) + self.bias[:, None, None, None]


def place_loss(log_odds: Tensor, places: Tensor, rarity: Tensor) -> Tensor:
    """Return the cross-entropy of every case, averaged over cells and labels.

    A cell with the abnormality counts ``w = rarity ** RARITY_POWER``, so that small abnormalities count as well as
    large ones; every label is divided by the mean weight of its cells.

    Parameters
    ----------
    log_odds
        Shape (B, M, H, D1, D2).
    places
        Shape (B, M, H, R, C), 1 in blocks that hold the abnormality; a cell holds it if one of its blocks does.
    rarity
        Shape (M,): blocks without over blocks with the abnormality.

    Returns
    -------
    Tensor
        Shape (B,).
    """
    cells = nn_functional.adaptive_max_pool2d(places.flatten(0, 2).unsqueeze(1), log_odds.shape[3:])
    targets = cells.reshape(log_odds.shape)
    weight = rarity[:, None, None, None] ** RARITY_POWER
    losses = nn_functional.binary_cross_entropy_with_logits(log_odds, targets, pos_weight=weight, reduction="none")
    mean_weight = (rarity**RARITY_POWER + rarity) / (1 + rarity)
    return (losses.mean(dim=(2, 3, 4)) / mean_weight).mean(dim=1)


def rarity_of(places: Iterable[npt.NDArray[np.uint8]]) -> Tensor:
    """Return blocks without over blocks with each abnormality, at least 1: float32 (M,), for cases [M, H, R, C]."""
    shares = np.mean([place.mean(axis=(1, 2, 3)) for place in places], axis=0)
    return torch.from_numpy(np.maximum(1.0, (1 - shares) / np.maximum(shares, RAREST)).astype(np.float32))
