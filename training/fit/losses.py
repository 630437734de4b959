"""Training losses, as pure functions of scores (before the sigmoid) and targets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as nn_functional


def classification_loss(scores: Tensor, targets: Tensor, positive_weight: Tensor | None = None) -> Tensor:
    """Return the multilabel cross-entropy of every case (equation 2), one value per case.

    ``L_class = -1/M sum_m [w_m y_m log(p_m) + (1 - y_m) log(1 - p_m)]`` with ``p = sigmoid(score)``, in the form that
    does not overflow. The paper has w = 1.

    Parameters
    ----------
    scores
        Shape (B, M).
    targets
        Shape (B, M), 0 or 1.
    positive_weight
        Shape (M,), w above; None for 1.

    Returns
    -------
    Tensor
        Shape (B,).

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if scores.shape != targets.shape or scores.ndim != 2:
        raise ValueError(f"scores and targets must be (B, M) alike, got {tuple(scores.shape)}, {tuple(targets.shape)}")
    per_label = nn_functional.binary_cross_entropy_with_logits(
        scores, targets, pos_weight=positive_weight, reduction="none"
    )
    return per_label.mean(dim=1)


def balanced_weights(targets: Tensor, limit: float) -> Tensor:
    """Return the weight of the positives of every label: negatives / positives in ``targets``, within 1 and ``limit``.

    Shape (N, M) to (M,). A label without positives gets weight 1. ``limit = 1`` gives the paper's unweighted loss.
    """
    positives = targets.sum(dim=0)
    ratio = (targets.shape[0] - positives) / positives.clamp(min=1)
    return torch.where(positives > 0, ratio.clamp(1.0, max(1.0, limit)), torch.ones_like(ratio))
