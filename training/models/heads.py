"""Heads: from Z to scores. Which guarantee a head carries is found by code and checked by numbers.

A head takes Z [H, F, D1, D2] of one CT and returns M scores (before the sigmoid). Heads are sequences of a small
family of modules; :func:`find_guarantee` reads the sequence, derives the closed form it claims, and compares the claim
with the module itself in float64, so that a wrong claim cannot pass.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from enum import StrEnum
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

CLOSED_FORM_TOLERANCE = 1e-9
"""Largest difference, relative to the largest absolute score, of a head from its closed form in float64."""

HIDDEN = (128, 96)
"""Outputs of the first two fully connected layers of CTNet, BodyConv and 3DConv."""

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
    "one-fully-connected-max": (
        "Exact for one slice group: the map's values add up to the score, which is the highest slice group's alone.",
        "After Z there is one fully connected layer, shared by all slice groups, and a maximum over the slice groups. "
        "The score is that of the highest slice group, so its gradient is that layer's weights in this slice group and "
        "zero in all others, and the values of the HiResCAM map plus the bias add up to the score. What the map shows "
        "is therefore all that the score is made of; but the other slice groups were looked at and lost the "
        "comparison, and the map is empty there whatever they hold. A small change of the CT can move the whole map to "
        "another slice group.",
    ),
    "other-pooling": (
        "No guarantee: these maps are drawn as if the model took the mean over slice groups; it takes the maximum.",
        "After Z there is one fully connected layer and a maximum over the slice groups. The maps shown are those of "
        "the same weights under a mean over slice groups, as the paper's authors computed OrganIoU for this ablation, "
        "so that more than one slice group shows something. They add up to the mean of the slice scores, which is not "
        "the score.",
    ),
    "no-map": (
        "No maps: this model mixes slices and features, so no value after its convolutions belongs to a place.",
        "The model takes the slice groups as channels and convolves over its trunk's features as if they were an axis "
        "in space. From the first of these convolutions on, every value mixes all slices of the CT and neighbouring "
        "features; a map by HiResCAM or Grad-CAM would have an axis of features where the slices should be. The scores "
        "are the model's; where they come from cannot be drawn.",
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
    ONE_FULLY_CONNECTED_MAX = "one-fully-connected-max"
    """One fully connected layer on Z, then the maximum over slice groups: HiResCAM is exact and in one slice group."""
    OTHER_POOLING = "other-pooling"
    """Maps of a mean over slice groups for a head that takes their maximum."""
    NONE = "none"
    """Anything else."""
    NO_MAP = "no-map"
    """Cells of Z belong to no place: there is nothing to draw."""

    @property
    def is_linear(self) -> bool:
        """True if the score is the mean over slice groups of a linear function of Z: maps have a closed form."""
        return self in (Guarantee.ONE_FULLY_CONNECTED, Guarantee.POOLED_FULLY_CONNECTED)

    @property
    def holds(self) -> bool:
        """True if HiResCAM map values and bias add up to the score."""
        return self.is_linear or self is Guarantee.ONE_FULLY_CONNECTED_MAX

    @property
    def has_maps(self) -> bool:
        """True if there is anything to draw."""
        return self is not Guarantee.NO_MAP

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


class MaxOverSlices(nn.Module):
    """[H, M] -> [M]: the maximum over slice groups; slice groups that share it share its gradient."""

    def forward(self, scores: Tensor) -> Tensor:
        """Return the maximum over the first axis."""
        return scores.amax(0)


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
        super().__init__(OrderedDict(flatten=nn.Flatten(1), fc=fc, over_slices=self._over_slices()))

    @staticmethod
    def _over_slices() -> nn.Module:
        return MeanOverSlices()

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


class MaxHead(AxialHead):
    """The MaxPool ablation's head: score_m = max_h ( sum_{f,i,j} W[m,f,i,j] Z[h,f,i,j] + b_m )."""

    @staticmethod
    def _over_slices() -> nn.Module:
        return MaxOverSlices()


class PooledHead(nn.Sequential):
    """BodyCAM's head: global average pooling over all cells, then one fully connected layer."""

    def __init__(self, n_features: int, n_labels: int) -> None:
        super().__init__(OrderedDict(pool=GlobalAveragePool(), fc=nn.Linear(n_features, n_labels)))


class AllValues(nn.Module):
    """[H, F, D1, D2] -> [F * H * D1 * D2]: all values of one CT, feature by feature."""

    def forward(self, z: Tensor) -> Tensor:
        """Return all values in one row."""
        return z.transpose(0, 1).flatten()


class MultilayerHead(nn.Sequential):
    """Three fully connected layers on all values of Z, with dropout after the first two: CTNet, BodyConv and 3DConv."""

    def __init__(self, n_values: int, n_labels: int, dropout: float) -> None:
        steps: list[nn.Module] = [AllValues()]
        for inputs, outputs in pairwise((n_values, *HIDDEN)):
            steps += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        super().__init__(*steps, nn.Linear(HIDDEN[-1], n_labels))


FloatArray32 = npt.NDArray[np.float32]


def find_guarantee(head: nn.Module, z_shape: tuple[int, int, int]) -> Guarantee:
    """Return the guarantee that ``head`` carries for Z with cells of ``z_shape`` (F, D1, D2).

    The claim comes from the head's modules and is kept only if the head's scores equal what it claims, the mean (or the
    maximum) over h of <W_m, Z_h> + b_m, for random Z of both signs and of several sizes, in float64.
    """
    claim = _claimed(head)
    if claim is Guarantee.NONE:
        return claim
    weights, bias = _layer(head, claim, z_shape)
    exact = copy.deepcopy(head).double().cpu().eval()
    generator = torch.Generator().manual_seed(0)
    for n_groups, scale in ((2, 1.0), (3, 1e3), (3, 1e-3)):
        z = scale * torch.randn((n_groups, *z_shape), generator=generator, dtype=torch.float64)
        per_slice = torch.einsum("mfij,hfij->hm", weights, z) + bias
        expected = per_slice.mean(0) if claim.is_linear else per_slice.amax(0)
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
        If the score is not linear in Z, so that no such form exists.
    """
    if not find_guarantee(head, z_shape).is_linear:
        raise ValueError("the head is not one fully connected layer on Z and a mean: it has no closed form")
    return fully_connected(head, z_shape)


def fully_connected(head: nn.Module, z_shape: tuple[int, int, int]) -> tuple[FloatArray32, FloatArray32]:
    """Return copies of the weights [M, F, D1, D2] and biases [M] of a head's one fully connected layer on Z.

    Raises
    ------
    ValueError
        If the head is not one such layer with a mean or a maximum over slice groups.
    """
    claim = find_guarantee(head, z_shape)
    if not claim.holds:
        raise ValueError("the head is not one fully connected layer on Z")
    weights, bias = _layer(head, claim, z_shape)
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
    if kinds == [nn.Linear, MaxOverSlices]:
        return Guarantee.ONE_FULLY_CONNECTED_MAX
    if kinds == [GlobalAveragePool, nn.Linear]:
        return Guarantee.POOLED_FULLY_CONNECTED
    return Guarantee.NONE


def _layer(head: nn.Module, claim: Guarantee, z_shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Return copies of (W [M, F, D1, D2], b [M]) in float64, as ``claim`` has them."""
    layer = next(m for m in head.modules() if isinstance(m, nn.Linear))
    weight = layer.weight.detach().cpu().double()
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach().cpu()
    if claim is Guarantee.POOLED_FULLY_CONNECTED:
        cells = z_shape[1] * z_shape[2]
        weight = (weight / cells)[:, :, None, None].expand(-1, -1, *z_shape[1:])
    return weight.reshape(-1, *z_shape).clone(), bias.double().clone()
