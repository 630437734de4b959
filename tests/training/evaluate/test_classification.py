"""Metrics with intervals against independent references, and on resamples against their repeated cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_average_precision, binary_calibration_error, binary_roc

from training.evaluate.bootstrap import Difference, Interval, Resampling, case_weights, mean_over
from training.evaluate.calibration import brier, expected_calibration_error, reliability
from training.evaluate.classification import METRICS, Ranking, compare_predictions, evaluate_predictions
from training.evaluate.metrics import auroc

LABELS = ("nodule", "mass", "air trapping")
PLAN = Resampling(n=60, seed=1)


def _data(seed: int, n: int = 40, levels: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (n, len(LABELS)))
    truth[:2] = [[0] * 3, [1] * 3]
    return (rng.integers(0, levels, truth.shape) / levels + 0.2 * truth) / 1.2503, truth  # off the bins' edges


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [4, 1000])
def test_estimates_equal_references(seed: int, levels: int) -> None:
    values, truth = _data(seed, levels=levels)
    found = evaluate_predictions(values, truth, LABELS, Resampling(0))
    for m in range(len(LABELS)):
        p, t = torch.from_numpy(values[:, m].copy()), torch.from_numpy(truth[:, m].copy())
        expected = {
            "auroc": auroc(values[:, m], truth[:, m]),
            "average_precision": binary_average_precision(p, t).item(),
            "brier": ((p - t) ** 2).mean().item(),
            "calibration_error": binary_calibration_error(p, t, n_bins=10).item(),
        }
        for metric in METRICS:
            assert found.bootstrapped[metric].values[m] == pytest.approx(expected[metric], abs=1e-6)


def test_weights_are_the_same_as_repeated_cases() -> None:
    values, truth = _data(7, levels=5)
    ranking = Ranking(values[:, 0], truth[:, 0].astype(float))
    weights = next(case_weights(len(values), PLAN))
    for row, area, precision in zip(weights, ranking.auroc(weights), ranking.average_precision(weights), strict=True):
        index = np.repeat(np.arange(len(values)), row.astype(int))
        p, t = values[index, 0], truth[index, 0]
        assert area == pytest.approx(auroc(p, t))
        expected = binary_average_precision(torch.from_numpy(p), torch.from_numpy(t)).item()
        assert precision == pytest.approx(expected, abs=1e-6)


def test_every_resampled_metric_is_that_of_the_drawn_cases() -> None:
    values, truth = _data(8)
    found = evaluate_predictions(values, truth, LABELS, PLAN)
    weights = next(case_weights(len(values), PLAN))
    for r in (0, 17, 59):
        index = np.repeat(np.arange(len(values)), weights[r].astype(int))
        drawn = evaluate_predictions(values[index], truth[index], LABELS, Resampling(0))
        for metric in METRICS:
            np.testing.assert_allclose(found.bootstrapped[metric].samples[r], drawn.bootstrapped[metric].values)


def test_by_hand() -> None:
    # ranked 0.9 (+), 0.6 (-), 0.5 (+), 0.1 (-): AUROC 3/4, AP (1 + 2/3) / 2, Brier and calibration by sums
    found = evaluate_predictions([[0.9], [0.6], [0.5], [0.1]], [[1], [0], [1], [0]], ("nodule",), Resampling(0))
    value = {metric: found.bootstrapped[metric].values[0] for metric in METRICS}
    assert value["auroc"] == pytest.approx(0.75)
    assert value["average_precision"] == pytest.approx(5 / 6)
    assert value["brier"] == pytest.approx((0.01 + 0.36 + 0.25 + 0.01) / 4)
    assert value["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.5 + 0.1) / 4)
    fpr, tpr = found.roc["nodule"]
    np.testing.assert_allclose(fpr, (0, 0, 0.5, 0.5, 1))
    np.testing.assert_allclose(tpr, (0, 0.5, 0.5, 1, 1))


def test_roc_equals_torchmetrics() -> None:
    values, truth = _data(9, levels=6)
    fpr, tpr = evaluate_predictions(values, truth, LABELS, Resampling(0)).roc["mass"]
    reference = binary_roc(torch.from_numpy(values[:, 1]), torch.from_numpy(truth[:, 1]))
    np.testing.assert_allclose(fpr, reference[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(tpr, reference[1].numpy(), atol=1e-6)
    assert np.trapezoid(tpr, fpr) == pytest.approx(auroc(values[:, 1], truth[:, 1]))


@pytest.mark.parametrize("constant", [0, 1])
def test_labels_of_one_class_are_not_applicable_by_any_metric(constant: int) -> None:
    values, truth = _data(10)
    truth[:, 1] = constant
    found = evaluate_predictions(values, truth, LABELS, PLAN)
    assert found.not_applicable == ("mass",)
    for metric in METRICS:
        mass = found.per_label(metric)["mass"]
        assert (mass.value, mass.low, mass.high, mass.n) == (None, None, None, 0)
        rest = [found.per_label(metric)[name].value for name in ("nodule", "air trapping")]
        assert found.over_labels(metric, "mean").value == pytest.approx(np.mean(rest))  # type: ignore[arg-type]
        assert found.over_labels(metric, "median").value == pytest.approx(np.median(rest))  # type: ignore[arg-type]


def test_a_resample_without_a_positive_does_not_count() -> None:
    truth = np.zeros((12, 1))
    truth[0] = 1
    found = evaluate_predictions(np.linspace(1, 0, 12)[:, None], truth, ("nodule",), Resampling(400, 0))
    interval = found.per_label("auroc")["nodule"]
    drawn = np.concatenate(list(case_weights(12, found.resampling)))[:, 0] > 0
    assert interval.n == drawn.sum() < 400
    assert (interval.low, interval.value, interval.high) == (1.0, 1.0, 1.0)


def test_the_interval_holds_the_estimate_and_narrows_with_more_cases() -> None:
    widths = []
    for n in (40, 640):
        values, truth = _data(11, n)
        interval = evaluate_predictions(values, truth, LABELS, PLAN).per_label("auroc")["nodule"]
        assert interval.low < interval.value < interval.high  # type: ignore[operator]
        widths.append(interval.high - interval.low)  # type: ignore[operator]
    assert widths[1] < widths[0] / 2


def test_paired_comparison_of_a_better_model() -> None:
    values, truth = _data(12, 120)
    better, worse = (evaluate_predictions(v, truth, LABELS, PLAN) for v in ((values + truth) / 2, values))
    rows = compare_predictions(better, worse)
    assert set(rows["auroc"]) == {*LABELS, "median over labels", "mean over labels"}
    for difference in rows["auroc"].values():
        assert difference.value > 0  # type: ignore[operator]
        assert difference.below_zero == 0.0
    gap = better.over_labels("brier", "mean").value - worse.over_labels("brier", "mean").value  # type: ignore[operator]
    assert rows["brier"]["mean over labels"].value == pytest.approx(gap)


def test_cases_of_unknown_truth_are_left_out_for_that_label_only() -> None:
    values, truth = _data(14)
    unknown = truth.astype(float)
    unknown[5:15, 1] = np.nan
    found = evaluate_predictions(values, unknown, LABELS, PLAN)
    whole = evaluate_predictions(values, truth, LABELS, PLAN)
    keep = np.r_[0:5, 15:40]
    rest = evaluate_predictions(values[keep], truth[keep], LABELS, Resampling(0))
    for metric in METRICS:
        a, b = found.bootstrapped[metric], whole.bootstrapped[metric]
        assert a.values[1] == pytest.approx(rest.bootstrapped[metric].values[1])
        np.testing.assert_array_equal(a.samples[:, [0, 2]], b.samples[:, [0, 2]])
    unknown[:, 1] = np.nan
    assert evaluate_predictions(values, unknown, LABELS, PLAN).not_applicable == ("mass",)


def test_comparisons_need_the_same_truth() -> None:
    values, truth = _data(13)
    first = evaluate_predictions(values, truth, LABELS, PLAN)
    other = evaluate_predictions(values, 1 - truth, LABELS, PLAN)
    with pytest.raises(ValueError, match="same truth"):
        compare_predictions(first, other)


def test_reliability_bins_by_hand() -> None:
    bins = reliability([0.0, 0.05, 0.1, 0.95, 1.0], [0, 1, 0, 1, 1])
    assert [b.n for b in bins] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (bins[0].mean_probability, bins[0].share_positive) == (pytest.approx(0.025), 0.5)
    assert (bins[2].mean_probability, bins[2].share_positive) == (None, None)
    assert (bins[9].mean_probability, bins[9].share_positive) == (pytest.approx(0.975), 1.0)
    expected = (2 * 0.475 + 1 * 0.1 + 2 * 0.025) / 5
    assert expected_calibration_error([0.0, 0.05, 0.1, 0.95, 1.0], [0, 1, 0, 1, 1]) == pytest.approx(expected)


def test_perfect_and_worst_probabilities() -> None:
    assert brier([0, 1, 1], [0, 1, 1]) == 0.0
    assert brier([1, 0], [0, 1]) == 1.0
    assert expected_calibration_error([0.5] * 4, [0, 1, 0, 1]) == 0.0


@pytest.mark.parametrize(
    ("values", "truth", "labels", "fact"),
    [
        ([[0.1, 1.2]], [[0, 1]], ("a", "b"), r"\[0, 1\]"),
        ([[0.1, np.nan]], [[0, 1]], ("a", "b"), r"\[0, 1\]"),
        ([[0.1, 0.2]], [[0, 2]], ("a", "b"), "0 or 1"),
        ([[0.1, 0.2]], [[0, 1]], ("a",), r"\(N, 1\)"),
        ([[0.1, 0.2]], [[0, 1]], ("a", "a"), "twice"),
        (np.empty((0, 2)), np.empty((0, 2)), ("a", "b"), "nothing to evaluate"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    values: np.ndarray, truth: np.ndarray, labels: tuple[str, ...], fact: str
) -> None:
    with pytest.raises(ValueError, match=fact):
        evaluate_predictions(values, truth, labels)


def test_a_calibration_error_lies_inside_its_interval_in_a_small_cohort() -> None:
    rng = np.random.default_rng(4)
    probabilities = rng.random((30, 3))
    truth = (rng.random((30, 3)) < probabilities).astype(float)
    first = evaluate_predictions(probabilities, truth, ["a", "b", "c"], Resampling(300))
    second = evaluate_predictions(probabilities**2, truth, ["a", "b", "c"], Resampling(300))
    compared = compare_predictions(first, second)["calibration_error"]
    found = first.bootstrapped["calibration_error"]
    rows: list[Interval | Difference] = [*found.intervals(), found.derived(mean_over).interval(0), *compared.values()]
    assert all(row.low < row.value < row.high for row in rows)  # type: ignore[operator]
    assert all(row.low >= 0 for row in found.intervals())  # type: ignore[operator]
    assert found.samples.mean(axis=0).min() > found.values.min()
