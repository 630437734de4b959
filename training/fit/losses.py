"""Training losses, as pure functions of scores (before the sigmoid) and targets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as nn_functional


def classification_loss(scores: Tensor, targets: Tensor, positive_weight: Tensor | None = None) -> Tensor:
    """Return the multilabel cross-entropy of every case (equation 2), one value per case.

    ``L_class = -1/M sum_m [w_m y_m log(p_m) + (1 - y_m) log(1 - p_m)]`` with ``p = sigmoid(score)``, in the form that
    does not overflow. The paper has w = 1. The mean is over the labels that are known for the case; a case without any
    costs nothing and teaches nothing.

    Parameters
    ----------
    scores
        Shape (B, M).
    targets
        Shape (B, M), 0 or 1; NaN where it is not known.
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
    unknown = targets.isnan()
    per_label = nn_functional.binary_cross_entropy_with_logits(
        scores, torch.where(unknown, 0.0, targets), pos_weight=positive_weight, reduction="none"
    )
    if not bool(unknown.any()):
        return per_label.mean(dim=1)
    known = (~unknown).sum(dim=1).clamp(min=1)
    return torch.where(unknown, 0.0, per_label).sum(dim=1) / known


def balanced_weights(targets: Tensor, limit: float) -> Tensor:
    """Return the weight of the positives of every label: negatives / positives in ``targets``, within 1 and ``limit``.

    Shape (N, M) to (M,). Unknown targets (NaN) count neither way; a label without positives gets weight 1. The paper's
    unweighted loss is ``limit = 1``.
    """
    positives, negatives = (targets == 1).sum(dim=0), (targets == 0).sum(dim=0)
    ratio = negatives.to(targets.dtype) / positives.clamp(min=1)
    return torch.where(positives > 0, ratio.clamp(1.0, max(1.0, limit)), torch.ones_like(ratio))
