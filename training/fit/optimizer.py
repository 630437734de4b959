"""The optimizer and its step size."""

from __future__ import annotations

import math

import torch

from training.fit.network import CaseBatch
from training.fit.settings import OptimizerSettings


def make_optimizer(batch: CaseBatch, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Return the optimizer over two groups: the last layer (step size times ``head_factor``) and everything else."""
    head = {"params": batch.head_parameters(), "factor": settings.head_factor}
    groups = [{"params": batch.body_parameters(), "factor": 1.0}, head]
    if settings.name == "adamw":
        betas = (settings.momentum, 0.999)
        return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, weight_decay=settings.weight_decay)
    momentum, decay = settings.momentum, settings.weight_decay
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=momentum, weight_decay=decay)


def learning_rate(settings: OptimizerSettings, step: int, steps: int) -> float:
    """Return the step size of 0-based ``step`` of ``steps``: constant, or linear warm-up then half a cosine to 0."""
    if settings.schedule == "constant":
        return settings.learning_rate
    warm = settings.warmup * steps
    if step < warm:
        return settings.learning_rate * (step + 1) / (warm + 1)
    share = (step - warm) / max(1.0, steps - warm)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its step size for a rate of the schedule."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
