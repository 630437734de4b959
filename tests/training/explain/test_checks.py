"""Completeness: what balances passes in silence, what does not is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.explain import checks
from training.issues import Severity


@pytest.fixture
def explanation(explanation_factory):
    return explanation_factory(n_labels=6, n_groups=4)


def off_by(explanation, share):
    """The same explanation whose third score is off by ``share`` of its scale."""
    scores = explanation.scores.copy()
    scores[2] += share * explanation.scale[2]
    return replace(explanation, scores=scores)


def test_balanced_books_give_no_issue(explanation):
    assert checks.completeness(explanation) == ()
    assert "add up to the scores" in checks.completeness_words(explanation)


def zeroed(explanation, *rows):
    """The same explanation whose labels ``rows`` have no weights, so that their score is the bias."""
    weights, scores = explanation.weights.copy(), explanation.scores.copy()
    weights[list(rows)] = 0
    scores[list(rows)] = explanation.bias[list(rows)]
    return replace(explanation, weights=weights, scores=scores)


def test_a_map_of_nothing_is_told_and_not_praised(explanation):
    one = zeroed(explanation, 1)
    (issue,) = checks.completeness(one)
    assert (issue.code, issue.severity) == ("zero-map", Severity.NOTE)
    assert "1 of 6 abnormalities" in issue.message
    assert [checks.is_zero(one, label) for label in one.labels] == [False, True, False, False, False, False]
    assert not checks.is_zero(one)
    every = zeroed(explanation, *range(6))
    (issue,) = checks.completeness(every)
    assert (issue.code, issue.severity) == ("zero-map", Severity.WARNING)
    assert checks.is_zero(every)
    assert checks.completeness_words(every) == checks.ZERO_WORDS


@pytest.mark.parametrize(("precision", "limit"), list(checks.TOLERANCE.items()))
def test_each_precision_has_its_limit(explanation_factory, precision, limit):
    exact = explanation_factory(n_labels=6, n_groups=4)
    doubles = {name: getattr(exact, name).astype(np.float64) for name in ("z", "weights", "bias")}
    exact = replace(exact, precision=precision, **doubles)
    assert checks.completeness(off_by(exact, 0.5 * limit)) == ()
    issues = checks.completeness(off_by(exact, 2 * limit))
    assert [i.code for i in issues] == ["incomplete-explanation"]


def test_a_violation_names_label_amount_and_way_out(explanation):
    (issue,) = checks.completeness(off_by(explanation, 0.01))
    assert issue.severity is Severity.WARNING
    assert explanation.labels[2] in issue.message
    assert "0.01" in issue.message
    assert "1 of 6 abnormalities" in issue.message
    assert "fp32" in issue.way_out
    assert "do NOT add up" in checks.completeness_words(off_by(explanation, 0.01))


def test_without_guarantee_a_note_says_how_far_apart(explanation_factory):
    unsure = off_by(explanation_factory(n_labels=6, n_groups=4, holds=False), 0.3)
    (issue,) = checks.completeness(unsure)
    assert (issue.code, issue.severity) == ("no-guarantee", Severity.NOTE)
    assert "0.3" in issue.message
    assert "need not add up" in checks.completeness_words(unsure)


def test_unknown_precision(explanation):
    with pytest.raises(ValueError, match="no precision is called 'fp8'"):
        checks.completeness(replace(explanation, precision="fp8"))
