"""AUROC and operating points against a reference implementation and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_auroc

from training.evaluate.metrics import auroc, auroc_per_label, mean_applicable, youden_point


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("levels", [3, 1000])
def test_auroc_equals_torchmetrics_with_and_without_ties(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 60)
    truth[:2] = (0, 1)
    scores = (rng.integers(0, levels, 60) / levels + 0.2 * truth) / 2  # within 0..1, or the reference rescales
    expected = binary_auroc(torch.from_numpy(scores), torch.from_numpy(truth)).item()
    assert auroc(scores, truth) == pytest.approx(expected, abs=1e-6)


def test_auroc_by_hand() -> None:
    assert auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert auroc([1, 1, 1, 1], [0, 1, 0, 1]) == 0.5
    assert auroc([-5, 3], [1, 0]) == 0.0


@pytest.mark.parametrize("truth", [[0, 0, 0], [1, 1, 1]])
def test_auroc_does_not_apply_to_a_single_class(truth: list[int]) -> None:
    assert auroc([0.1, 0.2, 0.3], truth) is None


@pytest.mark.parametrize(
    ("scores", "truth", "fact"),
    [([0.1, np.nan], [0, 1], "finite"), ([0.1, 0.2], [0, 2], "0 or 1"), ([0.1, 0.2], [0, 1, 1], "one length")],
)
def test_auroc_refuses_what_it_cannot_rank(scores: list[float], truth: list[int], fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        auroc(scores, truth)


def test_labels_without_both_classes_stay_out_of_the_mean() -> None:
    scores = np.array([[0.1, 0.9], [0.2, 0.1], [0.3, 0.5]])
    truth = np.array([[0, 1], [1, 1], [1, 1]])
    per_label = auroc_per_label(scores, truth, ("nodule", "mass"))
    assert per_label == {"nodule": 1.0, "mass": None}
    assert mean_applicable(per_label) == 1.0
    assert mean_applicable({"mass": None}) is None


def test_label_count_must_match() -> None:
    with pytest.raises(ValueError, match=r"\(N, 1\)"):
        auroc_per_label(np.zeros((3, 2)), np.zeros((3, 2)), ("nodule",))


def test_youden_point_separates_by_hand() -> None:
    point = youden_point([0.1, 0.2, 0.6, 0.7, 0.8], [0, 0, 1, 0, 1])
    assert point is not None
    assert point.threshold == pytest.approx(0.4)
    assert (point.sensitivity, point.specificity) == (1.0, pytest.approx(2 / 3))


def test_youden_point_does_what_it_says_and_nothing_is_better() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, 80)
    probabilities = np.round(rng.random(80) * 0.6 + 0.3 * truth, 1)
    point = youden_point(probabilities, truth)
    assert point is not None
    called = probabilities >= point.threshold
    assert point.sensitivity == pytest.approx(called[truth == 1].mean())
    assert point.specificity == pytest.approx((~called)[truth == 0].mean())
    indices = [
        (probabilities >= t)[truth == 1].mean() - (probabilities >= t)[truth == 0].mean() for t in np.arange(0, 1, 0.01)
    ]
    assert point.sensitivity + point.specificity - 1 == pytest.approx(max(indices))


def test_youden_point_does_not_apply_to_a_single_class() -> None:
    assert youden_point([0.1, 0.2], [0, 0]) is None
