"""The last layer in coordinates in which it learns fast.

AxialNet's score is linear in u, the mean of Z over slice groups: ``score = <W, u> + b``. Trained on W directly, the
layer hardly moves: the cells of u are positive and nearly the same in every CT, so steps are limited by their common
part while the abnormality's part is small, and what one cell learns no other cell knows. The same layer is therefore
trained as

    score = <C / (sqrt(N) d_cell) + S / (sqrt(N) d_feature), u - mean> + d,    N = F D1 D2

with a part C of every cell, a part S [M, F] that all cells share, the running mean of u and its running deviations, per
cell and per feature (the root of the mean variance over its cells). That is one fully connected layer in other words:
:func:`ConditionedHead.folded` gives its W and b.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MEMORY = 0.02
"""Share of the newest batch in the running mean and variance, once there have been 1 / MEMORY batches."""

FLOOR = 0.03
"""Added to the variance of a cell, as a share of its feature's mean variance over cells."""

SMALLEST_VARIANCE = 1e-8
"""Added to the variance of a feature, so that a silent one stays silent."""


class ConditionedHead(nn.Module):
    """One fully connected layer over u [B, F, D1, D2], all scores 0 at first.

    Parameters
    ----------
    z_shape
        (F, D1, D2).
    n_labels
        M.
    """

    mean: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, z_shape: tuple[int, int, int], n_labels: int) -> None:
        super().__init__()
        self.z_shape = z_shape
        self.cell = nn.Parameter(torch.zeros(n_labels, *z_shape))
        self.shared = nn.Parameter(torch.zeros(n_labels, z_shape[0]))
        self.bias = nn.Parameter(torch.zeros(n_labels))
        self.register_buffer("mean", torch.zeros(z_shape))
        self.register_buffer("variance", torch.ones(z_shape))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, u: Tensor) -> Tensor:
        """Return scores [B, M]; in training mode the running mean and variance follow ``u`` first."""
        if self.training:
            self._follow(u.detach())
        weights, bias = self.folded()
        return u.flatten(1) @ weights.flatten(1).T + bias

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return the same layer as W [M, F, D1, D2] and b [M]."""
        features, rows, columns = self.z_shape
        over_cells = self.variance.mean(dim=(1, 2), keepdim=True) + SMALLEST_VARIANCE
        cell = self.cell / (self.variance + FLOOR * over_cells).sqrt()
        shared = self.shared[:, :, None, None] / over_cells.sqrt()
        weights = (cell + shared) / math.sqrt(features * rows * columns)
        return weights, self.bias - torch.einsum("mfij,fij->m", weights, self.mean)

    @torch.no_grad()
    def _follow(self, u: Tensor) -> None:
        """Move mean and variance towards those of a batch; the first batches count in full."""
        self.batches += 1
        share = max(MEMORY, 1.0 / float(self.batches))
        self.mean += share * (u.mean(dim=0) - self.mean)
        spread = (u - self.mean).square().mean(dim=0)
        self.variance += share * (spread - self.variance)
