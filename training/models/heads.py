"""Heads: from Z to scores. Which guarantee a head carries is found by code and checked by numbers.

A head takes Z [H, F, D1, D2] of one CT and returns M scores (before the sigmoid). Heads are sequences of a small
family of modules; :func:`find_guarantee` reads the sequence, derives the closed form it claims, and compares the claim
with the module itself in float64, so that a wrong claim cannot pass.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from enum import StrEnum
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

CLOSED_FORM_TOLERANCE = 1e-9
"""Largest difference, relative to the largest absolute score, of a head from its closed form in float64."""

_WORDS = {
    "one-fully-connected": (
        "Exact: the HiResCAM map's values add up to the score, so what it shows is what the model used.",
        "After Z there is one fully connected layer, shared by all slice groups, and a mean over the slice groups. The "
        "score is therefore linear in Z, and the values of the HiResCAM map plus the bias add up to the score (paper, "
        "equations 3 to 6 and the proof for networks that end in one fully connected layer). Grad-CAM averages the "
        "weights over each feature map first and carries no such guarantee for this head. The guarantee is about cells "
        "of Z; what a cell saw of the CT is its receptive field.",
    ),
    "pooled-fully-connected": (
        "Exact: the map's values add up to the score; HiResCAM and Grad-CAM are the same map for this model.",
        "After Z there is a global average pooling and one fully connected layer (the CAM architecture). The gradient "
        "is the same at every cell, so that HiResCAM, Grad-CAM and CAM agree up to a constant factor, and the values "
        "of the HiResCAM map plus the bias add up to the score. The guarantee is about cells of Z; what a cell saw of "
        "the CT is its receptive field.",
    ),
    "none": (
        "No guarantee: the maps of this model may show places that it did not use.",
        "After Z the model does not go through one fully connected layer alone (or pooling and one fully connected "
        "layer). The score is not a sum over the cells of Z, so a map's values need not add up to it, and neither "
        "HiResCAM nor Grad-CAM is guaranteed to show only places that raised the score.",
    ),
}


class Guarantee(StrEnum):
    """What the maps of a head are worth."""

    ONE_FULLY_CONNECTED = "one-fully-connected"
    """One fully connected layer on Z, shared over slice groups, then their mean: HiResCAM is exact."""
    POOLED_FULLY_CONNECTED = "pooled-fully-connected"
    """Global average pooling, then one fully connected layer: HiResCAM and Grad-CAM agree and are exact."""
    NONE = "none"
    """Anything else."""

    @property
    def holds(self) -> bool:
        """True if HiResCAM map values and bias add up to the score."""
        return self is not Guarantee.NONE

    @property
    def holds_for_gradcam(self) -> bool:
        """True if the same is true of Grad-CAM (up to a constant factor)."""
        return self is Guarantee.POOLED_FULLY_CONNECTED

    @property
    def words(self) -> str:
        """One sentence for the badge."""
        return _WORDS[self.value][0]

    @property
    def details(self) -> str:
        """The reasons, with references to the paper."""
        return _WORDS[self.value][1]


class MeanOverSlices(nn.Module):
    """[H, M] -> [M]: the mean over slice groups (the paper's average over h)."""

    def forward(self, scores: Tensor) -> Tensor:
        """Return the mean over the first axis."""
        return scores.mean(0)


class GlobalAveragePool(nn.Module):
    """[H, F, D1, D2] -> [F]: the mean over all cells."""

    def forward(self, z: Tensor) -> Tensor:
        """Return the mean over slice groups, rows and columns."""
        return z.mean((0, 2, 3))


class AxialHead(nn.Sequential):
    """AxialNet's head: one fully connected layer shared by all slice groups, then their mean.

    score_m = 1/H sum_h ( sum_{f,i,j} W[m,f,i,j] Z[h,f,i,j] + b_m )
    """

    def __init__(self, z_shape: tuple[int, int, int], n_labels: int) -> None:
        self.z_shape = z_shape
        fc = nn.Linear(int(np.prod(z_shape)), n_labels)
        super().__init__(OrderedDict(flatten=nn.Flatten(1), fc=fc, mean=MeanOverSlices()))

    @property
    def layer(self) -> nn.Linear:
        """The fully connected layer."""
        return cast(nn.Linear, self.fc)

    def slice_scores(self, z: Tensor) -> Tensor:
        """Return the score of every slice group, [H, M], for Z [H, F, D1, D2]."""
        scores: Tensor = self.layer(z.flatten(1))
        return scores

    @property
    def weights(self) -> Tensor:
        """The layer's weights as [M, F, D1, D2]."""
        return self.layer.weight.view(-1, *self.z_shape)

    @property
    def bias(self) -> Tensor:
        """The layer's biases, [M]."""
        return self.layer.bias


class PooledHead(nn.Sequential):
    """BodyCAM's head: global average pooling over all cells, then one fully connected layer."""

    def __init__(self, n_features: int, n_labels: int) -> None:
        super().__init__(OrderedDict(pool=GlobalAveragePool(), fc=nn.Linear(n_features, n_labels)))


FloatArray32 = npt.NDArray[np.float32]


def find_guarantee(head: nn.Module, z_shape: tuple[int, int, int]) -> Guarantee:
    """Return the guarantee that ``head`` carries for Z with cells of ``z_shape`` (F, D1, D2).

    The claim comes from the head's modules and is kept only if the head's scores equal the closed form
    1/H sum_h <W_m, Z_h> + b_m for random Z of both signs and of several sizes, in float64.
    """
    claim = _claimed(head)
    if claim is Guarantee.NONE:
        return claim
    weights, bias = _closed_form(head, claim, z_shape)
    exact = copy.deepcopy(head).double().cpu().eval()
    generator = torch.Generator().manual_seed(0)
    for n_groups, scale in ((2, 1.0), (3, 1e3), (3, 1e-3)):
        z = scale * torch.randn((n_groups, *z_shape), generator=generator, dtype=torch.float64)
        expected = torch.einsum("mfij,hfij->m", weights, z) / n_groups + bias
        with torch.no_grad():
            found = exact(z)
        if found.shape != expected.shape or not _agree(found, expected):
            return Guarantee.NONE
    return claim


def closed_form(head: nn.Module, z_shape: tuple[int, int, int]) -> tuple[FloatArray32, FloatArray32]:
    """Return (W [M, F, D1, D2], b [M]) with score_m = 1/H sum_h <W_m, Z_h> + b_m.

    Raises
    ------
    ValueError
        If the head has no guarantee, so that no such form exists.
    """
    claim = find_guarantee(head, z_shape)
    if not claim.holds:
        raise ValueError("the head is not one fully connected layer on Z: it has no closed form")
    weights, bias = _closed_form(head, claim, z_shape)
    return weights.float().numpy(), bias.float().numpy()


def _agree(found: Tensor, expected: Tensor) -> bool:
    scale = expected.abs().max().clamp(min=1e-30)
    return bool((found - expected).abs().max() <= CLOSED_FORM_TOLERANCE * scale)


def _claimed(head: nn.Module) -> Guarantee:
    """Return what the head's modules say; modules without effect on the result are passed over."""
    leaves = [m for m in head.modules() if not list(m.children())]
    kinds = [type(m) for m in leaves if not isinstance(m, (nn.Identity, nn.Dropout, nn.Flatten))]
    if kinds == [nn.Linear, MeanOverSlices]:
        return Guarantee.ONE_FULLY_CONNECTED
    if kinds == [GlobalAveragePool, nn.Linear]:
        return Guarantee.POOLED_FULLY_CONNECTED
    return Guarantee.NONE


def _closed_form(head: nn.Module, claim: Guarantee, z_shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Return copies of (W [M, F, D1, D2], b [M]) in float64, as ``claim`` has them."""
    layer = next(m for m in head.modules() if isinstance(m, nn.Linear))
    weight = layer.weight.detach().cpu().double()
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach().cpu()
    if claim is Guarantee.POOLED_FULLY_CONNECTED:
        cells = z_shape[1] * z_shape[2]
        weight = (weight / cells)[:, :, None, None].expand(-1, -1, *z_shape[1:])
    return weight.reshape(-1, *z_shape).clone(), bias.double().clone()
