"""The mask loss (sections 3.5 and 11, equations 12 and 30): attention outside a label's allowed region costs.

It follows from Z and the last layer's weights, which the forward pass has anyway: for a head of one fully connected
layer the gradient of every score is its weights (equation 9), so that the attention of all labels is one batched matrix
product and no second backward pass is needed.

*Raw attention* of label m at cell (h, i, j), without the factor 1/H of the mean over slice groups, is what the cell
adds to its slice group's score:

    HiResCAM:  a_mhij = sum_f W_mfij Z_hfij        Grad-CAM:  a_mhij = sum_f (mean_ij W_mfij) Z_hfij

Three variants of the loss are named, because paper and code disagree; the sums run over the forbidden cells, those
whose allowed region is 0, of the labels that are considered.

``authors`` (default: the code that gave the paper's numbers)
    ``1/N sum log(1 + exp(a))``: the mean binary cross-entropy of raw attention, as a logit, against 0. The paper's
    [0, 1] is a sigmoid here. It is ln 2 where there is no attention at all and keeps falling as attention goes to minus
    infinity, so it also rewards evidence against a label at forbidden cells.

``paper``
    ``-sum log(1 - ã)`` (equation 12) with the only way the paper names to bring attention to [0, 1], ReLU and division
    by the largest value of the map (section 3.3): ``ã = r / max r`` with ``r = max(a, 0)``. As it stands it is infinite
    wherever the largest value lies at a forbidden cell, which is always so for labels that are absent (all of whose
    cells are forbidden), and 0/0 for a map without positive values. Cutting ã at 1 - eps, or dividing it by 1 + eps,
    makes it finite but leaves a loss that does not change when a map is scaled: an absent label's loss could never
    fall by shrinking its attention, and would jump to 0 where the last positive value vanishes. Therefore the divisor
    gets a small constant in units of attention, ``ã = r / (max r + t)``, which differs from the paper's by less than
    t / max r:

        -log(1 - ã) = log(1 + r / (max r - r + t))

    As r <= max r, it is finite for every finite map, is 0 for a map without positive
    values, and is continuous there. The largest cell costs log(1 + max r / t), which falls as the map shrinks; no
    cell's derivative exceeds 1/t. t = 0.01 changes the odds of a slice group by one part in a hundred.

    The divisor counts as a constant in the gradient. Otherwise the other forbidden cells of a map would gain from a
    larger maximum, even one at a forbidden cell, and training would raise what the loss is meant to forbid. So every
    forbidden cell with positive attention is pushed down, and none up, which is what section 11 says of the loss.

    The equation is a sum over up to M H D1 D2 = 388,800 cells, which at lambda = 1/3 outweighs the classification loss
    by orders of magnitude; ``reduction="mean"`` divides it by the number of forbidden cells.

``l2``
    ``1/N sum a²``. The paper mentions an L2 alternative (section 11) without giving it; this one is the mean square of
    raw attention. It also costs evidence against a label.

``total = L_class + weight * mask_loss`` with the paper's weight lambda = 1/3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

Variant = Literal["authors", "paper", "l2"]
Attention = Literal["hirescam", "gradcam"]
Reduction = Literal["own", "sum", "mean"]

LAMBDA = 1 / 3
"""The paper's weight of the mask loss."""
CHUNK_VALUES = 4_000_000
"""Most attention values that are held at once (16 MB in float32 for each of a few arrays)."""


@dataclass(frozen=True)
class MaskLossSettings:
    """Which mask loss.

    Parameters
    ----------
    variant
        ``authors``, ``paper`` or ``l2``; see the module.
    on
        Attention by ``hirescam`` or ``gradcam``.
    weight
        lambda in ``L_class + lambda L_mask``.
    softening
        t of the variant ``paper``, units of raw attention (contribution to a slice group's score).
    reduction
        ``sum`` or ``mean`` over the forbidden cells; ``own`` is the variant's: sum for ``paper``, else mean.

    Raises
    ------
    ValueError
        If a name is unknown or a number is not positive (weight: negative).
    """

    variant: Variant = "authors"
    on: Attention = "hirescam"
    weight: float = LAMBDA
    softening: float = 0.01
    reduction: Reduction = "own"

    def __post_init__(self) -> None:
        choices = {"variant": Variant, "on": Attention, "reduction": Reduction}
        for name, kind in choices.items():
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} must be one of {', '.join(get_args(kind))}, got {getattr(self, name)!r}")
        if not self.softening > 0 or not self.weight >= 0:
            raise ValueError(f"softening must be positive and weight not negative, got {self}")

    @property
    def is_mean(self) -> bool:
        """True if the loss is divided by the number of forbidden cells."""
        return self.reduction == "mean" or (self.reduction == "own" and self.variant != "paper")


def raw_attention(z: Tensor, weights: Tensor, on: Attention = "hirescam") -> Tensor:
    """Return the raw, signed attention [M, H, D1, D2] for Z [H, F, D1, D2] and weights [M, F, D1, D2].

    HiResCAM is equation 10 times H, Grad-CAM equations 3, 4 and 11 times H: the authors leave out the head's 1/H.
    """
    by_cell = _attention(_features_by_cell(z), _weights_by_cell(weights, on))
    return by_cell.permute(1, 2, 0).reshape(len(weights), len(z), *z.shape[2:])


def _features_by_cell(z: Tensor) -> Tensor:
    """[H, F, D1, D2] -> [D1 D2, F, H]."""
    return z.flatten(2).permute(2, 1, 0).contiguous()


def _weights_by_cell(weights: Tensor, on: Attention) -> Tensor:
    """[M, F, D1, D2] -> [D1 D2, M, F]; for Grad-CAM [1, M, F], the mean over cells."""
    if on == "gradcam":
        return weights.mean((2, 3))[None]
    return weights.flatten(2).permute(2, 0, 1).contiguous()


def _attention(features: Tensor, weights: Tensor) -> Tensor:
    """Return the attention of all labels at all slice groups, cell by cell: [D1 D2, M, H]."""
    return torch.matmul(weights, features)


def mask_loss(
    z: Tensor,
    weights: Tensor,
    allowed: Tensor,
    considered: Tensor | None = None,
    settings: MaskLossSettings | None = None,
    chunk_values: int = CHUNK_VALUES,
) -> Tensor:
    """Return the mask loss of one CT, a scalar, not yet multiplied by ``settings.weight``.

    Parameters
    ----------
    z
        [H, F, D1, D2] as the trunk gave it; computed in float32 at least, also under autocast.
    weights
        [M, F, D1, D2], the fully connected layer's (:attr:`training.models.heads.AxialHead.weights`).
    allowed
        [M, H, D1, D2]; cells that are 0 are forbidden (:class:`training.partition.allowed.AllowedRegions`).
    considered
        bool [M]; labels that are False cost nothing and learn nothing from this loss. All by default.
    settings
        The variant; the authors' by default.
    chunk_values
        Attention values held at once. With more, labels go in chunks.

    Returns
    -------
    Tensor
        0 if no cell is forbidden.

    Raises
    ------
    ValueError
        If shapes do not agree.
    """
    settings = settings or MaskLossSettings()
    _check_shapes(z, weights, allowed, considered)
    with torch.autocast(z.device.type, enabled=False):
        z, weights = (x if x.dtype == torch.float64 else x.float() for x in (z, weights))
        features, by_cell = _features_by_cell(z), _weights_by_cell(weights, settings.on)
        chunks = _label_chunks(allowed, considered, chunk_values)
        total, count = _ForbiddenSum.apply(features, by_cell, allowed, chunks, settings)
        return total / count.clamp(min=1) if settings.is_mean else total  # type: ignore[no-any-return]


def _check_shapes(z: Tensor, weights: Tensor, allowed: Tensor, considered: Tensor | None) -> None:
    if z.ndim != 4 or weights.ndim != 4 or z.shape[1:] != weights.shape[1:]:
        raise ValueError(f"Z {tuple(z.shape)} and weights {tuple(weights.shape)} do not belong together")
    expected = (len(weights), len(z), *z.shape[2:])
    if tuple(allowed.shape) != expected:
        raise ValueError(f"allowed has shape {tuple(allowed.shape)}, expected {expected}")
    if considered is not None and tuple(considered.shape) != expected[:1]:
        raise ValueError(f"considered has shape {tuple(considered.shape)}, expected {expected[:1]}")


def _label_chunks(allowed: Tensor, considered: Tensor | None, chunk_values: int) -> tuple[Tensor, ...]:
    """Return the considered labels in chunks."""
    if considered is None:
        rows = torch.arange(len(allowed), device=allowed.device)
    else:
        rows = considered.to(allowed.device).nonzero().flatten()
    size = max(1, chunk_values // max(1, allowed[:1].numel()))
    return torch.split(rows, size) if len(rows) else ()


class _ForbiddenSum(torch.autograd.Function):
    """The sum of a penalty over forbidden cells, and their number.

    The derivative by Z and the weights is worked out along with the sum, while the attention is at hand: so it need
    neither be kept for the backward pass nor be computed again there.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weights: Tensor,
        allowed: Tensor,
        chunks: tuple[Tensor, ...],
        settings: MaskLossSettings,
    ) -> tuple[Tensor, Tensor]:
        """Return sum and number for features [D1 D2, F, H], weights [D1 D2 or 1, M, F] and allowed [M, H, D1, D2]."""
        wanted = any(ctx.needs_input_grad)
        by_features, by_weights = (torch.zeros_like(x) if wanted else x for x in (features, weights))
        total, count = features.new_zeros(()), features.new_zeros(())
        for rows in chunks:
            forbidden = (allowed[rows] == 0).flatten(2).permute(2, 0, 1).to(features.dtype).contiguous()
            own = weights[:, rows]
            values, slopes = _PENALTIES[settings.variant](_attention(features, own), settings)
            total += torch.dot(values.view(-1), forbidden.view(-1))
            count += forbidden.sum()
            if wanted:
                slopes *= forbidden
                by_features += torch.matmul(own.transpose(1, 2), slopes)
                by_weights[:, rows] = torch.matmul(slopes, features.transpose(1, 2)).sum_to_size(own.shape)
        ctx.save_for_backward(by_features, by_weights)
        ctx.mark_non_differentiable(count)
        return total, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _count: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivative of the sum by features and weights."""
        by_features, by_weights = ctx.saved_tensors
        return gradient * by_features, gradient * by_weights, None, None, None


def _authors(attention: Tensor, _settings: MaskLossSettings) -> tuple[Tensor, Tensor]:
    """Return log(1 + exp(a)) and its slope s, the sigmoid; the former as max(a, 0) - log max(s, 1 - s).

    That form does not overflow, and needs no log1p, which takes ten times as long as log.
    """
    slope = attention.sigmoid()
    return attention.clamp(min=0).sub_(torch.maximum(slope, 1 - slope).log_()), slope


def _paper(attention: Tensor, settings: MaskLossSettings) -> tuple[Tensor, Tensor]:
    """Return log(1 + r / (max r - r + t)) and its slope for a constant max r: 1 / (max r - r + t) where a > 0."""
    positive = attention.clamp(min=0)
    highest = positive.amax((0, 2), keepdim=True)
    below = highest - positive + settings.softening
    return (highest + settings.softening).log() - below.log(), below.reciprocal_().mul_(attention > 0)


def _l2(attention: Tensor, _settings: MaskLossSettings) -> tuple[Tensor, Tensor]:
    """Return a² and its slope."""
    return attention.square(), 2 * attention


_PENALTIES: dict[Variant, Callable[[Tensor, MaskLossSettings], tuple[Tensor, Tensor]]] = {
    "authors": _authors,
    "paper": _paper,
    "l2": _l2,
}
