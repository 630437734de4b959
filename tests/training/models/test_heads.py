"""Which guarantee a head carries: found by code, never by its name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.models.heads import (
    AxialHead,
    GlobalAveragePool,
    Guarantee,
    MaxHead,
    MeanOverSlices,
    PooledHead,
    closed_form,
    find_guarantee,
    fully_connected,
)

Z_SHAPE = (3, 4, 5)
N = 60


class MaxByAnotherName(nn.Module):
    def forward(self, scores: Tensor) -> Tensor:
        return scores.amax(0)


class LyingMean(MeanOverSlices):
    """Another class under a trusted parent."""

    def forward(self, scores: Tensor) -> Tensor:
        return scores.amax(0)


class WrongSum(AxialHead):
    """Right modules, other arithmetic."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z.relu())


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(1), nn.Linear(N, 8), nn.ReLU(), nn.Linear(8, 2), MeanOverSlices())


HEADS = {
    "shared layer": (AxialHead(Z_SHAPE, 2), Guarantee.ONE_FULLY_CONNECTED),
    "with dropout": (
        nn.Sequential(nn.Flatten(1), nn.Dropout(0.5), nn.Linear(N, 2), nn.Identity(), MeanOverSlices()),
        Guarantee.ONE_FULLY_CONNECTED,
    ),
    "without bias": (
        nn.Sequential(nn.Flatten(1), nn.Linear(N, 2, bias=False), MeanOverSlices()),
        Guarantee.ONE_FULLY_CONNECTED,
    ),
    "pooled": (PooledHead(3, 2), Guarantee.POOLED_FULLY_CONNECTED),
    "two layers": (mlp(), Guarantee.NONE),
    "sigmoid": (nn.Sequential(AxialHead(Z_SHAPE, 2), nn.Sigmoid()), Guarantee.NONE),
    "unknown pooling": (nn.Sequential(nn.Flatten(1), nn.Linear(N, 2), MaxByAnotherName()), Guarantee.NONE),
    "highest slice": (MaxHead(Z_SHAPE, 2), Guarantee.ONE_FULLY_CONNECTED_MAX),
    "max in disguise": (nn.Sequential(nn.Flatten(1), nn.Linear(N, 2), LyingMean()), Guarantee.NONE),
    "rectified before": (WrongSum(Z_SHAPE, 2), Guarantee.NONE),
    "pooled twice": (nn.Sequential(GlobalAveragePool(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), Guarantee.NONE),
}


@pytest.mark.parametrize("name", list(HEADS))
def test_guarantees_are_found(name: str) -> None:
    head, expected = HEADS[name]
    found = find_guarantee(head, Z_SHAPE)
    assert found is expected
    assert found.holds == (expected is not Guarantee.NONE)


def test_the_layer_of_a_maximum_is_given_but_has_no_closed_form() -> None:
    head = MaxHead(Z_SHAPE, 2)
    weights, bias = fully_connected(head, Z_SHAPE)
    z = torch.randn(7, *Z_SHAPE)
    per_slice = np.einsum("mfij,hfij->hm", weights, z.numpy()) + bias
    np.testing.assert_allclose(head(z).detach().numpy(), per_slice.max(0), atol=1e-6)
    with pytest.raises(ValueError, match="closed form"):
        closed_form(head, Z_SHAPE)
    with pytest.raises(ValueError, match="not one fully connected layer"):
        fully_connected(mlp(), Z_SHAPE)


def test_a_head_that_only_claims_to_take_the_maximum_is_found_out() -> None:
    head = MaxHead(Z_SHAPE, 2)
    head.fc.register_forward_hook(lambda module, inputs, output: output.clamp(min=-1, max=1))
    assert find_guarantee(head, Z_SHAPE) is Guarantee.NONE


def test_a_head_that_only_claims_to_be_linear_is_found_out() -> None:
    """Modules of the right kinds whose numbers say otherwise: a hook bends the result."""
    head = AxialHead(Z_SHAPE, 2)
    head.fc.register_forward_hook(lambda module, inputs, output: output.clamp(min=-1, max=1))
    assert find_guarantee(head, Z_SHAPE) is Guarantee.NONE


@pytest.mark.parametrize("name", ["shared layer", "with dropout", "without bias", "pooled"])
def test_closed_form_gives_the_heads_scores(name: str) -> None:
    head = HEADS[name][0].eval()
    weights, bias = closed_form(head, Z_SHAPE)
    assert weights.shape == (2, *Z_SHAPE)
    assert weights.dtype == np.float32
    z = torch.randn(7, *Z_SHAPE)
    expected = np.einsum("mfij,hfij->m", weights, z.numpy()) / 7 + bias
    np.testing.assert_allclose(head(z).detach().numpy(), expected, atol=1e-6)


def test_closed_form_is_the_gradient() -> None:
    for name in ("shared layer", "pooled"):
        head = HEADS[name][0]
        z = torch.randn(7, *Z_SHAPE, requires_grad=True)
        (gradient,) = torch.autograd.grad(head(z)[1], z)
        np.testing.assert_allclose(7 * gradient[4].numpy(), closed_form(head, Z_SHAPE)[0][1], atol=1e-6)


def test_closed_form_is_refused_without_guarantee() -> None:
    with pytest.raises(ValueError, match="closed form"):
        closed_form(mlp(), Z_SHAPE)


def test_weights_are_copies() -> None:
    head = AxialHead(Z_SHAPE, 2)
    weights, bias = closed_form(head, Z_SHAPE)
    before = head.weights.detach().clone()
    weights[:] = 0
    bias[:] = 0
    assert torch.equal(head.weights, before)
    assert head.bias.abs().max() > 0


def test_looking_for_a_guarantee_changes_nothing() -> None:
    head = AxialHead(Z_SHAPE, 2).train()
    before = {k: v.clone() for k, v in head.state_dict().items()}
    find_guarantee(head, Z_SHAPE)
    assert head.training
    assert all(torch.equal(v, before[k]) and v.dtype == torch.float32 for k, v in head.state_dict().items())


def test_words_differ_and_say_which_map_is_exact() -> None:
    assert len({g.words for g in Guarantee}) == len({g.details for g in Guarantee}) == len(Guarantee) == 6
    assert Guarantee.NONE.words.startswith("No guarantee")
    assert "HiResCAM" in Guarantee.ONE_FULLY_CONNECTED.words
    assert [g for g in Guarantee if g.holds_for_gradcam] == [Guarantee.POOLED_FULLY_CONNECTED]
    assert [g for g in Guarantee if not g.has_maps] == [Guarantee.NO_MAP]
    assert all(g.holds for g in Guarantee if g.is_linear)
    assert Guarantee("none") is Guarantee.NONE
