"""The classification loss against the formula of the paper, written out in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.fit.losses import balanced_weights, classification_loss


def test_classification_loss_is_equation_2() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(0, 3, (5, 7)), rng.integers(0, 2, (5, 7)).astype(float)
    p = 1 / (1 + np.exp(-scores))
    expected = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean(axis=1)
    found = classification_loss(torch.from_numpy(scores), torch.from_numpy(truth))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_positive_weight_multiplies_the_positive_term_only() -> None:
    scores, truth = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 0.0]])
    plain = classification_loss(scores, truth)
    weighted = classification_loss(scores, truth, torch.tensor([3.0, 5.0]))
    gain = 2 * torch.nn.functional.softplus(torch.tensor(-1.0)) / 2
    torch.testing.assert_close(weighted - plain, gain[None])


def test_loss_does_not_overflow() -> None:
    assert classification_loss(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]])).item() == 1e4


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(B, M\)"):
        classification_loss(torch.zeros(2, 3), torch.zeros(3))


def test_balanced_weights_by_hand() -> None:
    targets = torch.tensor([[1, 0, 1, 0], [0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]], dtype=torch.float32)
    assert balanced_weights(targets, 3.0).tolist() == [3.0, 1.0, 1.0, 3.0]
    assert balanced_weights(targets, 10.0).tolist() == [4.0, 1.0, 1.0, 4.0]
    assert balanced_weights(targets, 1.0).tolist() == [1.0, 1.0, 1.0, 1.0]
