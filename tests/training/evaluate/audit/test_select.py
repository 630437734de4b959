from __future__ import annotations

import numpy as np
import pytest

from training.cohort.results import CohortStore
from training.evaluate.audit.evidence import Evidence
from training.evaluate.audit.predictions import Outcome, Predictions, thresholds
from training.evaluate.audit.select import GROUPS, ErrorKind, Filter, Order, Reviewed, select
from training.evaluate.audit.suggest import HINTS, Hint
from training.evaluate.audit.verdicts import Entry, Standing, Subject, Verdict
from training.issues import InputError
from training.labels import find_label


@pytest.fixture
def predictions(store: CohortStore) -> Predictions:
    return Predictions.of(store)


def judged(subject: Subject, verdict: Verdict | None, who: str = "A", comment: str = "") -> Standing:
    return {(who, subject): Entry(subject, verdict, who, "m", "s", comment=comment)}


def test_errors_are_told_by_threshold_and_truth(store: CohortStore, predictions: Predictions) -> None:
    assert predictions.thresholds.tolist() == [0.5] * len(store.labels)
    wrong = select(predictions, Filter())
    expected = {
        Subject(case, label)
        for n, case in enumerate(store.cases)
        for m, label in enumerate(store.labels)
        if (store.probabilities[n, m] >= 0.5) != (store.truth is not None and store.truth[n, m] == 1)
    }
    assert set(wrong) == expected
    assert len(wrong) == len(expected) > 3
    kinds = {kind: set(select(predictions, Filter(errors=kind))) for kind in ErrorKind}
    assert kinds[ErrorKind.FALSE_POSITIVE] | kinds[ErrorKind.FALSE_NEGATIVE] == expected
    assert not kinds[ErrorKind.FALSE_POSITIVE] & kinds[ErrorKind.FALSE_NEGATIVE]
    assert len(kinds[ErrorKind.ALL]) == len(store.cases) * len(store.labels)
    for subject in kinds[ErrorKind.FALSE_POSITIVE]:
        assert predictions.outcome(subject) is Outcome.FALSE_POSITIVE
    for subject in kinds[ErrorKind.BORDERLINE]:
        assert 0.37 < predictions.probabilities[predictions.at(subject)] < 0.63


def test_the_authors_threshold_is_the_median_and_half_the_cases_reach_it(store: CohortStore) -> None:
    found = Predictions.of(store, "median")
    np.testing.assert_array_equal(found.thresholds, np.median(store.probabilities, axis=0))
    assert (found.predicted.sum(axis=0) == len(store.cases) / 2).all()
    assert not select(found, Filter())  # the store's truth is "above the median"


def test_thresholds_by_hand_change_the_counts(store: CohortStore) -> None:
    label = store.labels[1]
    none, every = (Predictions.of(store, "hand", {label: value}).counts()[label] for value in (1.0, 0.0))
    assert none[0] == 0
    assert every[1] == 0
    assert none[1] == every[0] == len(store.cases) / 2
    assert thresholds(store, "hand", {label: 0.3}).tolist()[:3] == [0.5, 0.3, 0.5]
    for bad in ({label: 1.5}, {"no such label": 0.5}, {label: float("nan")}):
        with pytest.raises(InputError, match=r"no (threshold|label called)"):
            thresholds(store, "hand", bad)


def test_unknown_truth_is_neither_right_nor_wrong(predictions: Predictions) -> None:
    truth = np.full_like(predictions.truth, -1)
    blind = Predictions(predictions.cases, predictions.labels, predictions.probabilities, truth, predictions.thresholds)
    assert not select(blind, Filter())
    assert blind.outcome(Subject(predictions.cases[0], predictions.labels[0])) is Outcome.UNKNOWN
    assert len(select(blind, Filter(errors=ErrorKind.ALL))) == truth.size


def test_labels_and_groups(predictions: Predictions) -> None:
    label = predictions.labels[2]
    named = select(predictions, Filter(labels=(label,), errors=ErrorKind.ALL))
    assert {subject.label for subject in named} == {label}
    assert len(named) == len(predictions.cases)
    for group, belongs in GROUPS.items():
        found = {subject.label for subject in select(predictions, Filter(group=group, errors=ErrorKind.ALL))}
        assert found == {name for name in predictions.labels if belongs(find_label(name))}


def test_confidence_bounds_and_order(predictions: Predictions) -> None:
    found = select(predictions, Filter(errors=ErrorKind.ALL, confidence=(0.2, 1.0)))
    confidence = [predictions.confidence[predictions.at(subject)] for subject in found]
    assert confidence == sorted(confidence, reverse=True)
    assert 0.2 <= min(confidence) <= max(confidence) <= 1.0
    reverse = select(predictions, Filter(errors=ErrorKind.ALL, confidence=(0.2, 1.0), order=Order.BORDERLINE))
    assert sorted(found) == sorted(reverse)
    assert reverse[0] == found[-1]
    likely = select(predictions, Filter(errors=ErrorKind.ALL, order=Order.PROBABILITY))
    assert predictions.probabilities[predictions.at(likely[0])] == predictions.probabilities.max()
    by_case = select(predictions, Filter(errors=ErrorKind.ALL, order=Order.CASE))
    assert [subject.case for subject in by_case] == sorted(subject.case for subject in by_case)
    by_label = select(predictions, Filter(errors=ErrorKind.ALL, order=Order.LABEL))
    assert by_label[:2] == [Subject(case, predictions.labels[0]) for case in predictions.cases[:2]]


def test_what_reviewers_said(predictions: Predictions) -> None:
    first, second, third, fourth = select(predictions, Filter())[:4]
    said = judged(first, Verdict.UNCLEAR) | judged(second, Verdict.UNCLEAR) | judged(third, None, comment="why?")
    said |= judged(second, Verdict.WRONG_ORGAN, "B") | judged(fourth, Verdict.WRONG_ORGAN, "B")

    def found(state: Reviewed, verdict: Verdict | None = None) -> set[Subject]:
        return set(select(predictions, Filter(reviewed=state, verdict=verdict), said, "A"))

    every = found(Reviewed.ANY)
    assert found(Reviewed.BY_ME) == {first, second}
    assert found(Reviewed.NOT_BY_ME) == every - {first, second}
    assert found(Reviewed.BY_NOBODY) == every - {first, second, fourth}
    assert found(Reviewed.DISAGREED) == {second}
    assert found(Reviewed.COMMENTED) == {third}
    assert found(Reviewed.ANY, Verdict.WRONG_ORGAN) == {second, fourth}


def test_evidence_selects_and_sorts(store: CohortStore, predictions: Predictions) -> None:
    evidence = Evidence(store)
    with pytest.raises(ValueError, match="needs the evidence"):
        select(predictions, Filter(outside_allowed=True))
    assert not select(predictions, Filter(hints=frozenset(Hint)), evidence=evidence)  # nothing worked out yet
    evidence.work_out(range(len(store.cases)))
    outside = select(predictions, Filter(errors=ErrorKind.ALL, outside_allowed=True), evidence=evidence)
    assert 0 < len(outside) < predictions.truth.size
    for subject in outside:
        assert evidence.shares[predictions.at(subject)][0] < 0.5
    by_hint = [
        len(select(predictions, Filter(errors=ErrorKind.ALL, hints=frozenset({hint})), evidence=evidence))
        for hint in HINTS
    ]
    assert sum(by_hint) == predictions.truth.size
    ordered = select(predictions, Filter(errors=ErrorKind.ALL, order=Order.OUTSIDE), evidence=evidence)
    shares = [evidence.shares[predictions.at(subject)][0] for subject in ordered]
    assert shares == sorted(shares)
