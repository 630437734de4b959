"""Small cohorts say what they are too small for, and what would help."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate.bands import MIN_CASES
from training.evaluate.bootstrap import Resampling
from training.evaluate.classification import Classification, evaluate_predictions
from training.evaluate.cohort.small import small_cohort_notes


def judged(*positives: int, n: int = 40) -> Classification:
    """Labels with so many of ``n`` cases positive."""
    truth = np.array([np.arange(n) < count for count in positives], dtype=np.int8).T
    probabilities = np.random.default_rng(0).random(truth.shape)
    labels = [f"label {m}" for m in range(len(positives))]
    return evaluate_predictions(probabilities, truth, labels, Resampling(0))


@pytest.mark.parametrize("enough", [MIN_CASES, 20, 40 - MIN_CASES])
def test_a_cohort_that_is_large_enough_needs_no_note(enough: int) -> None:
    assert small_cohort_notes(judged(enough, 20), 100) == ()


def test_labels_without_a_number_and_with_too_few_cases_are_counted() -> None:
    (note,) = small_cohort_notes(judged(0, 40, 4, 37, 20), 40)
    assert note.startswith("2 labels of 5 are n/a: no judged case has the finding, or all have; 2 labels have fewer")
    assert "--on all" not in note
    (note,) = small_cohort_notes(judged(0, 20), 41)
    assert note.startswith("1 label of 2 is n/a")
    assert note.endswith("--on all judges all 41 cases of the store.")
    (note,) = small_cohort_notes(judged(1, 20), 41)
    assert note.startswith("1 label has fewer than 5 positive or negative cases, too few for the interval")
