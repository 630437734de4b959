"""The score budget adds up to the score, and puts evidence where it lies."""

from __future__ import annotations

import numpy as np
import pytest

from training.explain.budget import PLACES, place_shares, score_budget

SHAPE = (3, 4, 5)


def _shares(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return place_shares(rng.random(SHAPE) * 0.4, rng.random(SHAPE), rng.random(SHAPE))


def test_shares_add_up_to_one_whatever_the_masks() -> None:
    shares = _shares()
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, atol=1e-15)
    assert (shares >= 0).all()


def test_the_budget_adds_up_to_the_score_exactly() -> None:
    cells = np.random.default_rng(1).normal(size=SHAPE)
    budget = score_budget(cells, -0.7, _shares())
    assert budget.score == pytest.approx(cells.sum() - 0.7, abs=1e-12)
    assert all(part >= 0 for part in budget.positive)
    assert all(part <= 0 for part in budget.negative)


def test_evidence_is_booked_where_it_lies() -> None:
    allowed, organs, body = (np.zeros(SHAPE) for _ in range(3))
    allowed[0] = organs[:2] = 1
    body[:2] = 1
    body[2, 0] = 0.5
    cells = np.zeros(SHAPE)
    cells[0, 0, 0], cells[1, 0, 0], cells[2, 0, 0], cells[2, 1, 0] = 4.0, -3.0, 2.0, 1.0
    budget = score_budget(cells, 0.0, place_shares(allowed, organs, body))
    assert budget.positive == (4.0, 0.0, 1.0, 2.0)
    assert budget.negative == (0.0, -3.0, 0.0, 0.0)
    assert budget.positive_share("allowed organ") == pytest.approx(4 / 7)
    assert sum(budget.positive_share(place) for place in PLACES) == pytest.approx(1.0)


def test_without_positive_evidence_all_shares_are_zero() -> None:
    budget = score_budget(-np.ones(SHAPE), 1.0, _shares())
    assert [budget.positive_share(place) for place in PLACES] == [0.0] * 4


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shape"):
        score_budget(np.zeros((1, 2, 3)), 0.0, _shares())
