from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.stores import make_store
from training.cohort.results import CohortStore, open_store
from training.evaluate.audit.evidence import EVIDENCE_FILE, Evidence, books_of_case
from training.evaluate.audit.suggest import HINTS, Hint, Suggestion, hints


@pytest.mark.parametrize(
    ("positive", "negative", "bias", "hint"),
    [
        ((1.0, 1.0, 1.0, 4.0), 0.0, 0.0, Hint.OUTSIDE_BODY),
        ((4.0, 1.0, 1.0, 1.0), -9.0, -2.0, Hint.RIGHT_ORGAN),
        ((1.0, 4.0, 0.0, 1.0), 0.0, 0.0, Hint.WRONG_PLACE),
        ((1.0, 2.0, 2.0, 1.0), 0.0, 0.0, Hint.WRONG_PLACE),
        ((1.0, 0.0, 4.0, 1.0), 0.0, 0.0, Hint.WRONG_PLACE),
        ((2.0, 1.0, 1.0, 2.0), 0.0, 0.0, Hint.SPREAD),
        ((4.5, 2.4, 2.7, 0.4), 0.0, 0.0, Hint.SPREAD),
        ((2.0, 2.5, 2.5, 1.0), 0.0, 0.0, Hint.WRONG_PLACE),
        ((0.01, 0.0, 0.0, 0.0), -3.0, -2.0, Hint.HARDLY_ANY),
        ((0.0, 0.0, 0.0, 0.0), 0.0, -2.0, Hint.HARDLY_ANY),
        ((np.nan,) * 4, np.nan, -2.0, Hint.UNKNOWN),
    ],
)
def test_the_rule(positive: tuple[float, ...], negative: float, bias: float, hint: Hint) -> None:
    against = np.array([negative, 0, 0, 0])
    assert HINTS[int(hints(np.array(positive), against, np.float64(bias)))] is hint


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    positive, negative, bias = rng.exponential(1, (40, 4)), -rng.exponential(0.1, (40, 4)), rng.normal(0, 1, 40)
    together = hints(positive, negative, bias)
    assert len(set(together.tolist())) > 2
    assert together.tolist() == [int(hints(p, n, b)) for p, n, b in zip(positive, negative, bias, strict=True)]


def test_words_say_shares_and_what_even_spread_would_give() -> None:
    words = Suggestion(Hint.WRONG_PLACE, (0.1, 0.2, 0.696, 0.004), (0.25, 0.25, 0.3, 0.2)).words
    start, _, shares = words.partition(": ")
    assert start == "Evidence mostly in the wrong organ"
    assert shares == "rest of the body 70 %, other organs 20 %, allowed organ 10 % (25 % if spread evenly)."
    assert Suggestion(Hint.UNKNOWN).words == "No organ masks are kept for this case."


def test_the_organ_with_the_largest_share_is_not_called_wrong() -> None:
    words = Suggestion(Hint.SPREAD, (0.45, 0.24, 0.27, 0.04), (0.04, 0.3, 0.3, 0.36)).words
    assert words == (
        "Evidence spread: more of it in the right organ than in any other place, but not more than half. "
        "Allowed organ 45 % (4 % if spread evenly), rest of the body 27 %, other organs 24 %, outside the body 4 %."
    )
    elsewhere = Suggestion(Hint.SPREAD, (0.3, 0.2, 0.1, 0.4), (0.25,) * 4).words
    assert elsewhere.startswith("Evidence spread, more than half of it in no one place: outside the body 40 %")


def test_outside_the_allowed_organ() -> None:
    assert Suggestion(Hint.WRONG_PLACE, (0.3, 0.7, 0, 0)).outside_allowed
    assert not Suggestion(Hint.RIGHT_ORGAN, (0.7, 0.3, 0, 0)).outside_allowed
    assert not Suggestion(Hint.HARDLY_ANY, (0.0, 1.0, 0, 0)).outside_allowed
    assert not Suggestion(Hint.UNKNOWN).outside_allowed


def test_the_books_add_up_to_the_scores(store: CohortStore) -> None:
    for n, case in enumerate(store.cases[:3]):
        books = books_of_case(store, case)
        total = books.bias + books.positive.sum(axis=1) + books.negative.sum(axis=1)
        np.testing.assert_allclose(total, store.scores[n], rtol=0, atol=2e-5)
        np.testing.assert_allclose(books.even.sum(axis=1), 1, atol=1e-6)


def test_evidence_is_kept_and_taken_up_for_the_same_store_only(store: CohortStore, tmp_path: Path) -> None:
    evidence = Evidence(store, tmp_path)
    evidence.work_out([0, 2])
    assert np.flatnonzero(evidence.known).tolist() == [0, 2]
    again = Evidence(store, tmp_path)
    np.testing.assert_array_equal(again.known, evidence.known)
    np.testing.assert_array_equal(again.hints, evidence.hints)
    np.testing.assert_array_equal(again.shares, evidence.shares)
    with np.load(tmp_path / EVIDENCE_FILE) as kept:
        np.savez(tmp_path / "other-rule.npz", **{**kept, "rule": np.array(1)})
    (tmp_path / "other-rule.npz").rename(tmp_path / EVIDENCE_FILE)
    assert not Evidence(store, tmp_path).known.any()
    evidence.work_out([4])
    other = open_store(make_store(tmp_path / "other", n_cases=12, n_labels=6, seed=1, holds=False))
    assert not Evidence(other, tmp_path).known.any()
    (tmp_path / EVIDENCE_FILE).write_bytes(b"PK\x03\x04 damaged")
    assert not Evidence(store, tmp_path).known.any()


def test_work_that_is_cancelled_keeps_what_was_done(store: CohortStore, tmp_path: Path) -> None:
    evidence, seen = Evidence(store, tmp_path), []
    evidence.work_out(range(5), lambda done, total, stage: seen.append((done, total, stage)), lambda: len(seen) == 2)
    assert seen == [(1, 5, "evidence"), (2, 5, "evidence")]
    assert Evidence(store, tmp_path).known.sum() == 2


def test_without_organ_masks_there_is_no_suggestion(tmp_path: Path) -> None:
    store = open_store(make_store(tmp_path / "store", n_cases=2, organs=False))
    suggestion = books_of_case(store, store.cases[0]).suggestion(0)
    assert suggestion == Suggestion(Hint.UNKNOWN)
