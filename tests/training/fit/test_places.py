"""Teaching features where abnormalities are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.fit.places import log_odds_of, place_loss, rarity_of


def test_place_loss_is_the_formula_written_out() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, (2, 3, 4, 2, 2))
    places = rng.integers(0, 2, (2, 3, 4, 4, 6)) * rng.integers(0, 2, (2, 3, 4, 4, 6))
    truth = places.reshape(2, 3, 4, 2, 2, 2, 3).max(axis=(4, 6))
    p = 1 / (1 + np.exp(-odds))
    rarity = np.array([1.0, 10.0, 300.0])
    weight = (rarity**0.7)[:, None, None, None]
    per_label = -(weight * truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean(axis=(2, 3, 4))
    share = 1 / (1 + rarity)
    expected = (per_label / (share * rarity**0.7 + (1 - share))).mean(axis=1)
    found = place_loss(torch.from_numpy(odds), torch.from_numpy(places.astype(np.float64)), torch.from_numpy(rarity))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def test_log_odds_are_the_first_features() -> None:
    features = torch.arange(2 * 3 * 4 * 2 * 2).reshape(2, 3, 4, 2, 2)
    odds = log_odds_of(features, 2)
    assert odds.shape == (2, 2, 3, 2, 2)
    assert odds[1, 1, 2, 0, 1] == features[1, 2, 1, 0, 1]


def test_rarity_by_hand() -> None:
    one, two = np.zeros((3, 1, 2, 4), dtype=np.uint8), np.zeros((3, 1, 2, 4), dtype=np.uint8)
    one[0, 0, 0, 0] = two[0, 0, 1, 1] = 1
    one[1] = 1
    assert rarity_of([one, two]).tolist() == [7.0, 1.0, pytest.approx(1e5)]
