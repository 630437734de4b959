"""Teaching features where abnormalities are, while training only.

The mean over slice groups dilutes a small abnormality: of thousands of cells a handful differ, and a few thousand CTs
are too few to find out which. Where the places of the abnormalities are known (phantoms), the first M features of Z, as
they are before their ReLU, are taught to be the log odds that the cell holds each abnormality. This shapes Z; the head
still learns from the labels of whole CTs alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as nn_functional

RARITY_POWER = 0.7
"""Between 0 (cells count alike) and 1 (cells with and without the abnormality count alike in sum)."""

RAREST = 1e-5
"""Smallest share of blocks with an abnormality that is told from none at all."""


def log_odds_of(features: Tensor, n_labels: int) -> Tensor:
    """Return the log odds of the places [B, M, H, D1, D2] in features before their ReLU [B, H, F, D1, D2]."""
    return features[:, :, :n_labels].transpose(1, 2)


def place_loss(log_odds: Tensor, places: Tensor, rarity: Tensor) -> Tensor:
    """Return the cross-entropy of every case, averaged over cells and labels.

    A cell with the abnormality counts ``w = rarity ** RARITY_POWER``, so that small abnormalities count as well as
    large ones; every label is divided by the mean weight of its cells.

    Parameters
    ----------
    log_odds
        Shape (B, M, H, D1, D2), from :func:`log_odds_of`.
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
