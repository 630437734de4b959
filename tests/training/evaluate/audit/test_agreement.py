from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from training.evaluate.audit.agreement import agreements, cohens_kappa, share
from training.evaluate.audit.verdicts import VERDICTS, Entry, Standing, Subject, Verdict

A, B = Verdict.OUTSIDE_BODY, Verdict.WRONG_ORGAN


def standing(**given: list[Verdict | None]) -> Standing:
    subjects = [Subject(f"case-{n // 2}", f"label-{n % 2}") for n in range(100)]
    return {
        (who, subject): Entry(subject, verdict, who, "m", "s")
        for who, verdicts in given.items()
        for subject, verdict in zip(subjects, verdicts, strict=False)
    }


def test_kappa_of_the_textbook_example() -> None:
    # 50 judged by two, 20 both A, 5 A then B, 10 B then A, 15 both B: observed .70, expected .50, kappa .40
    first = [A] * 25 + [B] * 25
    second = [A] * 20 + [B] * 5 + [A] * 10 + [B] * 15
    assert cohens_kappa(first, second) == pytest.approx(0.40)


def test_kappa_against_its_definition_on_random_verdicts() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, (2, 300))
    second = np.where(rng.random(300) < 0.5, first, second)
    observed = np.mean(first == second)
    expected = sum(np.mean(first == k) * np.mean(second == k) for k in range(6))
    wanted = (observed - expected) / (1 - expected)
    found = cohens_kappa([VERDICTS[k] for k in first], [VERDICTS[k] for k in second])
    assert found == pytest.approx(wanted)


def test_kappa_where_it_is_not_defined() -> None:
    assert cohens_kappa([], []) is None
    assert cohens_kappa([A, A], [A, A]) is None
    assert cohens_kappa([A, B], [A, B]) == pytest.approx(1.0)
    assert cohens_kappa([A, B], [B, A]) == pytest.approx(-1.0)
    with pytest.raises(ValueError, match="same subjects"):
        cohens_kappa([A], [])


def test_agreement_counts_what_both_judged_and_has_an_interval() -> None:
    ann: list[Verdict | None] = [A, B, A, B, A, B, A, B, None, A]
    bob: list[Verdict | None] = [A, B, A, B, A, B, B, A, B]
    (found,) = agreements(standing(Ann=ann, Bob=bob, Carl=[None]))
    assert (found.first, found.second, found.n) == ("Ann", "Bob", 8)
    assert found.observed == pytest.approx(0.75)
    assert found.kappa.value == pytest.approx(0.5)
    assert found.kappa.low is not None
    assert found.kappa.high is not None
    assert found.kappa.low < 0.5 < found.kappa.high


@pytest.mark.parametrize(("count", "of"), [(0, 10), (10, 10), (167, 212), (1, 3)])
def test_a_share_has_wilsons_interval(count: int, of: int) -> None:
    found = share(count, of)
    reference = binomtest(count, of).proportion_ci(method="wilson")
    assert found.value == count / of
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_no_share_of_nothing() -> None:
    assert share(0, 0).value is None
    with pytest.raises(ValueError, match="3 of 2"):
        share(3, 2)
