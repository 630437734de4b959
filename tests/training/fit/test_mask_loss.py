"""The mask loss against loops over cells in float64, and what each variant rewards."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from training.explain import cam
from training.fit.losses import classification_loss
from training.fit.mask_loss import LAMBDA, MaskLossSettings, mask_loss, raw_attention
from training.models import NetworkConfig, build_network
from training.partition.allowed import RegionSettings, allowed_regions
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG

VARIANTS = ("authors", "paper", "l2")
BOTH = ("hirescam", "gradcam")
M, H, F, D1, D2 = 4, 5, 3, 2, 3


def example(seed: int = 0, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Z as after a ReLU, weights of both signs, an allowed region; label 3 is absent, label 2 allowed everywhere."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn((H, F, D1, D2), generator=generator, dtype=torch.float64).relu()
    weights = scale * torch.randn((M, F, D1, D2), generator=generator, dtype=torch.float64)
    allowed = (torch.rand((M, H, D1, D2), generator=generator) > 0.5).float()
    allowed[2], allowed[3] = 1, 0
    return z, weights, allowed


def reference_attention(z: np.ndarray, w: np.ndarray, on: str) -> np.ndarray:
    out = np.zeros((len(w), len(z), *z.shape[2:]))
    for m, h, i, j in np.ndindex(out.shape):
        for f in range(z.shape[1]):
            weight = w[m, f, i, j] if on == "hirescam" else w[m, f].mean()
            out[m, h, i, j] += weight * z[h, f, i, j]
    return out


def reference(z: Tensor, weights: Tensor, allowed: Tensor, considered: list[bool], settings: MaskLossSettings) -> float:
    attention = reference_attention(z.numpy(), weights.numpy(), settings.on)
    total, count = 0.0, 0
    for m in range(len(attention)):
        if not considered[m]:
            continue
        largest = max(attention[m].max(), 0.0)
        for cell in np.ndindex(attention.shape[1:]):
            if allowed[(m, *cell)] != 0:
                continue
            a = attention[(m, *cell)]
            count += 1
            if settings.variant == "authors":
                total += -math.log(1 - 1 / (1 + math.exp(-a)))  # binary cross-entropy of sigmoid(a) against 0
            elif settings.variant == "paper":
                total += -math.log(1 - max(a, 0.0) / (largest + settings.softening))
            else:
                total += a * a
    mean = settings.reduction == "mean" or (settings.reduction == "own" and settings.variant != "paper")
    return total / max(count, 1) if mean else total


@pytest.mark.parametrize(
    ("variant", "on", "reduction"), list(itertools.product(VARIANTS, BOTH, ("own", "sum", "mean")))
)
def test_values_are_those_of_a_loop_over_cells(variant: Any, on: Any, reduction: Any) -> None:
    settings = MaskLossSettings(variant, on, reduction=reduction)
    for seed, considered in enumerate(([True] * M, [True, False, True, False])):
        z, weights, allowed = example(seed)
        found = mask_loss(z, weights, allowed, torch.tensor(considered), settings)
        assert found.dtype == torch.float64
        assert float(found) == pytest.approx(reference(z, weights, allowed, considered, settings), rel=1e-12)
    everything = mask_loss(*example(0), settings=settings)
    assert float(everything) == pytest.approx(reference(*example(0), [True] * M, settings), rel=1e-12)


@pytest.mark.parametrize("on", BOTH)
def test_attention_is_the_map_times_the_number_of_slice_groups(on: Any) -> None:
    z, weights, _ = example()
    maps = cam.hirescam(z.numpy(), weights.numpy()) if on == "hirescam" else cam.gradcam(z.numpy(), weights.numpy())
    np.testing.assert_allclose(raw_attention(z, weights, on).numpy(), H * maps, rtol=1e-12)


@pytest.mark.parametrize(("variant", "on", "chunk"), list(itertools.product(("authors", "l2"), BOTH, (10**6, 1))))
def test_gradients_are_right(variant: Any, on: Any, chunk: int) -> None:
    z, weights, allowed = example()
    settings = MaskLossSettings(variant, on)

    def loss(z: Tensor, weights: Tensor) -> Tensor:
        return mask_loss(z, weights, allowed, settings=settings, chunk_values=chunk)

    assert torch.autograd.gradcheck(loss, (z.requires_grad_(), weights.requires_grad_()))


@pytest.mark.parametrize(("on", "chunk"), list(itertools.product(BOTH, (10**6, 1))))
def test_gradient_of_the_papers_variant_takes_its_divisor_as_constant(on: Any, chunk: int) -> None:
    z, weights, allowed = example(scale=0.2)
    z.add_(0.1)  # no attention at the kink of the ReLU
    settings = MaskLossSettings("paper", on, softening=0.5)
    divisor = raw_attention(z, weights, on).relu().amax((1, 2, 3), keepdim=True) + settings.softening

    def frozen(z: Tensor, weights: Tensor) -> Tensor:
        share = raw_attention(z, weights, on).relu() / divisor
        return -torch.log(1 - share)[allowed == 0].sum()

    inputs = (z.requires_grad_(), weights.requires_grad_())
    assert torch.autograd.gradcheck(frozen, inputs)
    expected = torch.autograd.grad(frozen(*inputs), inputs)
    found = torch.autograd.grad(mask_loss(*inputs, allowed, settings=settings, chunk_values=chunk), inputs)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def attention_gradient(attention: Tensor, allowed: Tensor, settings: MaskLossSettings) -> tuple[float, Tensor]:
    """Loss and its gradient by attention: one feature, weights 1, so that Z is the attention of one label."""
    z = attention[:, None].clone().requires_grad_()
    loss = mask_loss(z, torch.ones((1, 1, *attention.shape[1:]), dtype=z.dtype), allowed[None], settings=settings)
    return float(loss.detach()), torch.autograd.grad(loss, z)[0][:, 0]


def test_paper_pushes_down_positive_forbidden_cells_and_nothing_else() -> None:
    settings = MaskLossSettings("paper")
    attention = torch.randn((6, 4, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for allowed in (torch.zeros(6, 4, 4), (torch.arange(96).reshape(6, 4, 4) % 3 == 0).float()):
        _, gradient = attention_gradient(attention, allowed, settings)
        assert torch.equal(gradient > 0, (allowed == 0) & (attention > 0))
        assert gradient.min() == 0
        assert gradient.max() <= 1 / settings.softening * (1 + 1e-12)


def test_paper_falls_to_zero_as_an_absent_labels_attention_shrinks() -> None:
    settings = MaskLossSettings("paper")
    attention = torch.rand((3, 2, 2), dtype=torch.float64)
    values = [attention_gradient(s * attention, torch.zeros(3, 2, 2), settings)[0] for s in (1, 0.1, 1e-2, 1e-4, 0)]
    assert all(a > b for a, b in itertools.pairwise(values))
    assert values[-1] == 0
    assert values[-2] < 0.2
    assert attention_gradient(-attention, torch.zeros(3, 2, 2), settings)[0] == 0


def test_paper_comes_near_equation_12_where_that_is_finite() -> None:
    attention = torch.tensor([[[2.0, 0.5], [-1.0, 1.0]]], dtype=torch.float64)
    allowed = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    exact = -math.log(1 - 0.25) - math.log(1 - 0.5)
    assert attention_gradient(attention, allowed, MaskLossSettings("paper", softening=1e-9))[0] == pytest.approx(exact)
    assert attention_gradient(attention, allowed, MaskLossSettings("paper"))[0] == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-6, 1.0, 1e4, 1e9, 1e15])
def test_nothing_ever_gets_infinite(variant: Any, scale: float) -> None:
    for sign in (1, -1):
        z, weights, allowed = (x.float().requires_grad_() for x in example(scale=sign * scale))
        loss = mask_loss(z, weights, allowed.detach(), settings=MaskLossSettings(variant))
        gradients = torch.autograd.grad(loss, (z, weights))
        assert torch.isfinite(loss)
        assert all(torch.isfinite(g).all() for g in gradients)


def test_authors_is_ln_2_without_attention_and_rewards_evidence_against() -> None:
    settings = MaskLossSettings()
    assert settings.variant == "authors"
    forbidden, attention = torch.zeros(2, 3, 3), torch.ones((2, 3, 3), dtype=torch.float64)
    values = [attention_gradient(s * attention, forbidden, settings)[0] for s in (0, -1, -5, -20, -100)]
    assert values[0] == pytest.approx(math.log(2), rel=1e-12)
    assert all(a > b for a, b in itertools.pairwise(values))
    assert values[-1] < 1e-40
    assert attention_gradient(attention, forbidden, settings)[1].min() > 0
    assert attention_gradient(300 * attention, forbidden, settings)[0] == pytest.approx(300)


def test_l2_costs_both_signs_alike() -> None:
    forbidden, attention = torch.zeros(2, 3, 3), torch.randn((2, 3, 3), dtype=torch.float64)
    settings = MaskLossSettings("l2")
    value, gradient = attention_gradient(attention, forbidden, settings)
    assert value == pytest.approx(float(attention.square().mean()))
    assert attention_gradient(-attention, forbidden, settings)[0] == value
    torch.testing.assert_close(gradient, 2 * attention / attention.numel())


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_is_lost_where_nothing_is_forbidden(variant: Any) -> None:
    z, weights, allowed = example()
    settings = MaskLossSettings(variant)
    for allowed_everywhere, considered in ((torch.ones_like(allowed), None), (allowed, torch.zeros(M, dtype=bool))):
        weights.requires_grad_()
        loss = mask_loss(z, weights, allowed_everywhere, considered, settings)
        assert float(loss.detach()) == 0
        if loss.requires_grad:
            assert torch.autograd.grad(loss, weights)[0].abs().max() == 0
    fractions = torch.where(allowed == 0, 0.0, 0.3)  # any share of the organ allows a cell
    assert mask_loss(z, weights, fractions, settings=settings) == mask_loss(z, weights, allowed, settings=settings)


def test_absent_labels_are_forbidden_or_ignored_as_the_regions_say() -> None:
    organs = {v: np.zeros((H, D1, D2), np.float32) for v in (RIGHT_LUNG, LEFT_LUNG, MEDIASTINUM)}
    organs[RIGHT_LUNG][:, :, 0] = 1
    names = ("consolidation", "pneumonia", "emphysema", "cardiomegaly")
    z, weights, _ = example()
    weights.requires_grad_()
    learned = {}
    for absent in ("forbidden", "ignored"):
        regions = allowed_regions(organs, names, {"consolidation": frozenset({"right"})}, RegionSettings(absent=absent))
        allowed, considered = torch.from_numpy(regions.allowed), torch.from_numpy(regions.considered)
        loss = mask_loss(z, weights, allowed, considered)
        (gradient,) = torch.autograd.grad(loss, weights)
        learned[absent] = (gradient.abs().amax((1, 2, 3)) > 0).tolist()
        assert gradient[0, :, :, 0].abs().max() == 0  # the allowed column
        assert gradient[0, :, :, 1:].abs().max() > 0
    assert learned == {"forbidden": [True] * 4, "ignored": [True, False, False, False]}


def kept_for_backward(loss: Callable[[], Tensor], *known: Tensor) -> tuple[Tensor, list[int]]:
    """The loss, and how many values it keeps in memory of its own for the backward pass, per piece of memory."""
    pieces = {x.untyped_storage().data_ptr(): 0 for x in known}

    def keep(x: Tensor) -> Tensor:
        pieces.setdefault(x.untyped_storage().data_ptr(), x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        return loss(), list(pieces.values())


@pytest.mark.parametrize(("variant", "on"), list(itertools.product(VARIANTS, BOTH)))
def test_chunks_of_labels_change_nothing_and_save_memory(variant: Any, on: Any) -> None:
    z, weights = torch.rand((30, F, D1, D2), dtype=torch.float64), torch.randn((40, F, D1, D2), dtype=torch.float64)
    allowed, considered = (torch.rand((40, 30, D1, D2)) > 0.5).float(), torch.arange(40) % 4 > 0
    settings = MaskLossSettings(variant, on)
    results, kept = [], []
    for chunk in (10**6, 1):
        inputs = [x.clone().requires_grad_() for x in (z, weights)]
        loss, sizes = kept_for_backward(
            lambda i=inputs, c=chunk: mask_loss(*i, allowed, considered, settings, c), *inputs
        )
        kept.append(sum(sizes))
        results.append((loss.detach(), *torch.autograd.grad(loss, inputs)))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    inputs_again, cells = z.numel() + weights.numel(), 30 * allowed[0].numel()
    assert max(kept) <= inputs_again + 100 < cells  # no cell of any map is kept
    with torch.no_grad():
        again = mask_loss(z, weights, allowed, considered, settings, 1)
    assert float(again) == pytest.approx(float(results[0][0]))


def test_maps_of_single_features_are_never_made() -> None:
    """Nothing as large as [M, H, F, D1, D2] is kept for the backward pass."""
    z, weights, allowed = torch.rand(7, 16, 4, 4), torch.randn(8, 16, 4, 4), torch.zeros(8, 7, 4, 4)
    _, sizes = kept_for_backward(lambda: mask_loss(z.requires_grad_(), weights.requires_grad_(), allowed))
    assert max(sizes) <= max(z.numel(), weights.numel(), allowed.numel()) < 8 * 7 * 16 * 4 * 4


def test_arithmetic_stays_fp32_under_autocast() -> None:
    z, weights, allowed = (x.float() for x in example())
    expected = mask_loss(z, weights, allowed)
    with torch.autocast("cpu", torch.bfloat16):
        found = mask_loss(z, weights, allowed)
        half = mask_loss(z.bfloat16(), weights, allowed)
    assert torch.equal(found, expected)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(expected), rel=0.01)


def test_a_network_learns_to_leave_the_forbidden_region() -> None:
    config = NetworkConfig("axialnet-local", 2, 4, 2, (6, 4), 3, 4, (64, 64))
    network = build_network(config, 0).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    x, targets = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)), torch.tensor([[1.0, 0.0]])
    allowed = torch.zeros(2, 4, 8, 8)
    allowed[0, :, :, 4:] = 1
    shares = []
    for _ in range(25):
        z = network.features(x)
        mask = mask_loss(z, network.head.weights, allowed)
        loss = classification_loss(network.head(z)[None], targets).mean() + LAMBDA * mask
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        shares.append(float(mask.detach()))
    assert MaskLossSettings().weight == LAMBDA == 1 / 3
    assert shares[-1] < shares[0] - 0.01


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"variant": "dice"}, "variant"),
        ({"on": "lime"}, "on must"),
        ({"reduction": "max"}, "reduction"),
        ({"softening": 0.0}, "softening"),
        ({"softening": float("nan")}, "softening"),
        ({"weight": -1.0}, "weight"),
    ],
)
def test_settings_that_mean_nothing_are_refused(fault: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        MaskLossSettings(**fault)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    z, weights, allowed = example()
    with pytest.raises(ValueError, match="do not belong together"):
        mask_loss(z, weights[:, :2], allowed)
    with pytest.raises(ValueError, match="allowed has shape"):
        mask_loss(z, weights, allowed[:3])
    with pytest.raises(ValueError, match="considered has shape"):
        mask_loss(z, weights, allowed, torch.ones(3, dtype=bool))
