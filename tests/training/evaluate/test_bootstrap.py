"""Resampling: weights, intervals, medians and paired differences, by hand and by identities."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate import bootstrap as module
from training.evaluate.bootstrap import (
    Bootstrapped,
    Interval,
    Resampling,
    bootstrap,
    case_weights,
    mean_over,
    median_over,
    ratio,
)

PLAN = Resampling(n=200, seed=3)


def _mean(values: np.ndarray) -> module.Statistic:
    return lambda weights: ratio(weights @ values[:, None], weights.sum(axis=1, keepdims=True))


def test_weights_are_draws_with_replacement_and_come_from_the_seed() -> None:
    weights = np.concatenate(list(case_weights(7, PLAN)))
    assert weights.shape == (200, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean() == 1.0
    assert weights.max() > 1
    np.testing.assert_array_equal(weights, np.concatenate(list(case_weights(7, PLAN))))
    assert (weights != np.concatenate(list(case_weights(7, Resampling(200, 4))))).any()


def test_chunks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(case_weights(11, PLAN)))
    monkeypatch.setattr(module, "CHUNK_VALUES", 30)
    chunks = list(case_weights(11, PLAN))
    assert len(chunks) == 100
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    interval = bootstrap(_mean(values), 400, Resampling(2000, 1)).interval(0)
    half = 1.96 * values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert interval.n == 2000
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_a_narrower_level_lies_inside() -> None:
    values = np.random.default_rng(1).random(50)
    wide = bootstrap(_mean(values), 50, Resampling(300, 0, 0.95)).interval(0)
    narrow = bootstrap(_mean(values), 50, Resampling(300, 0, 0.5)).interval(0)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high  # type: ignore[operator]


def test_a_constant_has_no_width_and_what_does_not_apply_has_no_number() -> None:
    constant = bootstrap(_mean(np.full(9, 0.25)), 9, PLAN).interval(0)
    assert (constant.value, constant.low, constant.high) == (0.25, 0.25, 0.25)
    never = bootstrap(lambda w: np.full((len(w), 1), np.nan), 9, PLAN).interval(0)
    assert never == Interval(None, None, None, 0)
    assert bootstrap(_mean(np.ones(3)), 3, Resampling(0)).interval(0) == Interval(1.0, None, None, 0)


def test_resamples_where_it_does_not_apply_are_left_out_and_counted() -> None:
    samples = np.array([[0.2], [np.nan], [0.4]])
    interval = Bootstrapped(np.array([0.3]), samples, 5, Resampling(3)).interval(0)
    assert interval.n == 2
    assert 0.2 <= interval.low < interval.high <= 0.4  # type: ignore[operator]


def test_paired_difference_is_far_narrower_than_the_two_intervals() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(0, 10, 100)
    a, b = (bootstrap(_mean(v), 100, PLAN) for v in (base + 1 + rng.normal(0, 0.1, 100), base))
    (difference,) = a.differences(b)
    assert difference.value == pytest.approx(1.0, abs=0.05)
    assert 0.9 < difference.low < difference.high < 1.1  # type: ignore[operator]
    assert difference.below_zero == 0.0
    assert b.differences(a)[0].below_zero == 1.0
    assert a.interval(0).high - a.interval(0).low > 2  # type: ignore[operator]


def test_the_same_against_itself_is_zero_and_never_below() -> None:
    found = bootstrap(_mean(np.arange(6.0)), 6, PLAN)
    (difference,) = found.differences(found)
    assert (difference.value, difference.low, difference.high, difference.below_zero) == (0.0, 0.0, 0.0, 0.0)


def test_share_below_zero_by_hand() -> None:
    plan = Resampling(4)
    a = Bootstrapped(np.array([0.1]), np.array([[0.3], [0.1], [-0.2], [np.nan]]), 5, plan)
    b = Bootstrapped(np.array([0.0]), np.zeros((4, 1)), 5, plan)
    (difference,) = a.differences(b)
    assert difference.below_zero == pytest.approx(1 / 3)
    assert difference.n == 3


def test_unpaired_comparisons_are_refused() -> None:
    found = bootstrap(_mean(np.arange(6.0)), 6, PLAN)
    for other in (bootstrap(_mean(np.arange(7.0)), 7, PLAN), bootstrap(_mean(np.arange(6.0)), 6, Resampling(200, 9))):
        with pytest.raises(ValueError, match="same cases"):
            found.differences(other)


def test_mean_and_median_leave_out_what_does_not_apply() -> None:
    values = np.array([[3.0, np.nan, 1.0, 8.0], [np.nan, 4.0, 2.0, np.nan], [np.nan] * 4])
    np.testing.assert_array_equal(mean_over(values), [[4.0], [3.0], [np.nan]])
    np.testing.assert_array_equal(median_over(values), [[3.0], [3.0], [np.nan]])
    full = np.random.default_rng(5).random((4, 9))
    np.testing.assert_allclose(median_over(full)[:, 0], np.median(full, axis=1))


def test_derived_estimates_are_taken_within_each_resample() -> None:
    found = Bootstrapped(np.array([1.0, 3.0]), np.array([[0.0, 2.0], [2.0, 6.0]]), 5, Resampling(2))
    mean = found.derived(mean_over)
    np.testing.assert_array_equal(mean.values, [2.0])
    np.testing.assert_array_equal(mean.samples, [[1.0], [4.0]])


@pytest.mark.parametrize("wrong", [{"n": -1}, {"level": 1.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Resampling(**wrong)  # type: ignore[arg-type]


def test_no_case_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one case"):
        bootstrap(_mean(np.empty(0)), 0, PLAN)


def test_a_bias_of_resampling_is_taken_away_within_the_ends() -> None:
    plan = Resampling(3, level=0.5)
    samples = np.array([[0.2, 0.9], [0.3, 0.9], [0.4, np.nan]])
    found = Bootstrapped(np.array([0.1, 1.0]), samples, 5, plan, (0.0, 1.0))
    low, high = found.interval(0).low, found.interval(0).high
    assert (low, high) == (pytest.approx(0.05), pytest.approx(0.15))
    assert (found.interval(1).low, found.interval(1).high) == (1.0, 1.0)
    other = Bootstrapped(np.array([0.0, 0.5]), np.zeros((3, 2)), 5, plan, (0.0, 1.0))
    difference = found.differences(other)[0]
    assert (difference.value, difference.low) == (pytest.approx(0.1), pytest.approx(0.05))
    assert difference.below_zero == 0.0
    assert found.derived(mean_over).biased_within == (0.0, 1.0)
