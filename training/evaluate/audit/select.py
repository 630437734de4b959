"""Which predictions a reviewer looks at, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from training.evaluate.audit.evidence import Evidence
from training.evaluate.audit.predictions import Mask, Predictions
from training.evaluate.audit.suggest import HINTS, Hint
from training.evaluate.audit.verdicts import Standing, Subject, Verdict
from training.labels import Label, find_label, is_known


class ErrorKind(StrEnum):
    """Kinds of predictions to look at."""

    WRONG = "wrong"
    FALSE_POSITIVE = "false positive"
    FALSE_NEGATIVE = "false negative"
    BORDERLINE = "borderline"
    ALL = "all"


class Reviewed(StrEnum):
    """What reviewers have said already."""

    ANY = "any"
    NOT_BY_ME = "not judged by me"
    BY_ME = "judged by me"
    BY_NOBODY = "judged by nobody"
    DISAGREED = "reviewers disagree"
    COMMENTED = "with comment or tag"


class Order(StrEnum):
    """In which order."""

    CONFIDENT = "most confident first"
    BORDERLINE = "least confident first"
    PROBABILITY = "highest probability first"
    OUTSIDE = "least evidence in the allowed organ first"
    LABEL = "by abnormality"
    CASE = "by case"


BORDERLINE_LOG_ODDS = 0.5
"""A prediction this near to its threshold (log odds; odds within a factor of 1.65) is borderline."""

GROUPS: Mapping[str, Callable[[Label], bool]] = MappingProxyType(
    {
        "lung": lambda label: label.region == "lung",
        "heart": lambda label: label.region == "heart",
        "great vessel": lambda label: label.region == "great vessel",
        "mediastinum": lambda label: label.region == "mediastinum",
        "biological": lambda label: label.kind == "biological",
        "intervention": lambda label: label.kind == "intervention",
        "focal": lambda label: label.extent == "focal",
        "diffuse": lambda label: label.extent == "diffuse",
    }
)
"""Groups of labels, by region, kind and extent."""


class Selection(Sequence[Subject]):
    """Predictions in order; millions of them are two arrays, and a :class:`Subject` each only when asked for.

    Parameters
    ----------
    predictions
        What was selected from.
    rows, columns
        Positions of cases and labels.
    """

    def __init__(self, predictions: Predictions, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> None:
        self._predictions = predictions
        self._cases, self._labels = predictions.cases, predictions.labels
        self.rows, self.columns = rows, columns

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Subject: ...

    @overload
    def __getitem__(self, index: slice) -> list[Subject]: ...

    def __getitem__(self, index: int | slice) -> Subject | list[Subject]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        return Subject(self._cases[self.rows[index]], self._labels[self.columns[index]])

    def row_of(self, subject: Subject) -> int | None:
        """Return the position of ``subject``, None if it is not among them."""
        known = self._predictions
        if subject.case not in known.case_index or subject.label not in known.label_index:
            return None
        n, m = known.at(subject)
        found = np.flatnonzero((self.rows == n) & (self.columns == m))
        return int(found[0]) if found.size else None

    def among(self, subjects: Iterable[Subject]) -> set[Subject]:
        """Return those of ``subjects`` that are selected."""
        known = self._predictions
        mask = np.zeros(known.probabilities.shape, dtype=bool)
        mask[self.rows, self.columns] = True
        listed = (s for s in subjects if s.case in known.case_index and s.label in known.label_index)
        return {subject for subject in listed if mask[known.at(subject)]}

    def by_label(self) -> Mapping[str, int]:
        """Return how many there are of every label."""
        counts = np.bincount(self.columns, minlength=len(self._labels))
        return dict(zip(self._labels, counts.tolist(), strict=True))


@dataclass(frozen=True)
class Filter:
    """What to look at.

    Parameters
    ----------
    labels
        Names; empty for all.
    group
        Key of :data:`GROUPS`, None for all.
    errors
        Kind of prediction.
    confidence
        Least and largest distance from the threshold, log odds.
    hints
        Suggestions; empty for all. Predictions whose case was not worked out fit no suggestion.
    outside_allowed
        Only predictions whose evidence lies mostly outside the allowed organ.
    reviewed
        What reviewers have said.
    verdict
        Only predictions that somebody judged so.
    order
        The sequence.
    """

    labels: tuple[str, ...] = ()
    group: str | None = None
    errors: ErrorKind = ErrorKind.WRONG
    confidence: tuple[float, float] = (0.0, float("inf"))
    hints: frozenset[Hint] = frozenset()
    outside_allowed: bool = False
    reviewed: Reviewed = Reviewed.ANY
    verdict: Verdict | None = None
    order: Order = Order.CONFIDENT

    @property
    def needs_evidence(self) -> bool:
        """True if the budgets have to be known."""
        return bool(self.hints) or self.outside_allowed or self.order is Order.OUTSIDE


def select(
    predictions: Predictions,
    wanted: Filter,
    standing: Standing | None = None,
    reviewer: str = "",
    evidence: Evidence | None = None,
) -> Selection:
    """Return the predictions that ``wanted`` asks for, in its order.

    Parameters
    ----------
    standing
        What reviewers have said.
    reviewer
        Who "me" is.
    evidence
        The books; needed for what :attr:`Filter.needs_evidence` tells.

    Raises
    ------
    ValueError
        If the books are needed and not given.
    """
    if wanted.needs_evidence and evidence is None:
        raise ValueError("this selection needs the evidence of the cohort")
    mask = of_kind(predictions, wanted.errors) & of_labels(predictions, wanted)[None, :]
    low, high = wanted.confidence
    if (low, high) != (0.0, float("inf")):
        mask &= (predictions.confidence >= low) & (predictions.confidence <= high)
    if evidence is not None:
        mask &= _of_evidence(evidence, wanted)
    mask &= _reviewed_mask(predictions, wanted, standing or {}, reviewer)
    return _ordered(predictions, mask, wanted.order, evidence)


def of_kind(predictions: Predictions, kind: ErrorKind) -> Mask:
    """Return bool [N, M]: predictions of a kind. Borderline ones and all may be right, wrong or of unknown truth."""
    if kind is ErrorKind.FALSE_POSITIVE:
        return predictions.false_positive.copy()
    if kind is ErrorKind.FALSE_NEGATIVE:
        return predictions.false_negative.copy()
    if kind is ErrorKind.WRONG:
        return predictions.false_positive | predictions.false_negative
    if kind is ErrorKind.BORDERLINE:
        return np.asarray(predictions.confidence <= BORDERLINE_LOG_ODDS)
    return np.ones(predictions.probabilities.shape, dtype=bool)


def of_labels(predictions: Predictions, wanted: Filter) -> Mask:
    """Return bool [M]: labels by name and group; labels that are not among the 80 belong to no group."""
    chosen = [not wanted.labels or name in wanted.labels for name in predictions.labels]
    if wanted.group is not None:
        belongs = GROUPS[wanted.group]
        chosen = [
            yes and is_known(name) and belongs(find_label(name))
            for yes, name in zip(chosen, predictions.labels, strict=True)
        ]
    return np.array(chosen, dtype=bool)


def _of_evidence(evidence: Evidence, wanted: Filter) -> Mask:
    mask = np.ones(evidence.hints.shape, dtype=bool)
    if wanted.hints:
        mask &= np.isin(evidence.hints, [HINTS.index(hint) for hint in wanted.hints]) & evidence.known[:, None]
    if wanted.outside_allowed:
        mask &= evidence.outside_allowed()
    return mask


def _reviewed_mask(predictions: Predictions, wanted: Filter, standing: Standing, reviewer: str) -> Mask:
    mask = np.ones(predictions.probabilities.shape, dtype=bool)
    if wanted.reviewed is not Reviewed.ANY:
        subjects, inverted = _subjects_by_state(wanted.reviewed, standing, reviewer)
        marked = _marked(predictions, subjects)
        mask &= ~marked if inverted else marked
    if wanted.verdict is not None:
        mask &= _marked(predictions, {s for (_, s), entry in standing.items() if entry.verdict is wanted.verdict})
    return mask


def _subjects_by_state(state: Reviewed, standing: Standing, reviewer: str) -> tuple[set[Subject], bool]:
    """Return subjects, and whether the others are meant."""
    if state is Reviewed.COMMENTED:
        return {s for (_, s), entry in standing.items() if entry.comment or entry.tags}, False
    if state is Reviewed.DISAGREED:
        return disagreed(standing), False
    judged = {(who, s) for (who, s), entry in standing.items() if entry.verdict is not None}
    if state is Reviewed.BY_NOBODY:
        return {s for _, s in judged}, True
    return {s for who, s in judged if who == reviewer}, state is Reviewed.NOT_BY_ME


def disagreed(standing: Standing) -> set[Subject]:
    """Return the subjects about which reviewers gave different verdicts."""
    given: dict[Subject, set[Verdict]] = {}
    for (_, subject), entry in standing.items():
        if entry.verdict is not None:
            given.setdefault(subject, set()).add(entry.verdict)
    return {subject for subject, verdicts in given.items() if len(verdicts) > 1}


def _marked(predictions: Predictions, subjects: Iterable[Subject]) -> Mask:
    mask = np.zeros(predictions.probabilities.shape, dtype=bool)
    for subject in subjects:
        if subject.case in predictions.case_index and subject.label in predictions.label_index:
            mask[predictions.at(subject)] = True
    return mask


def _ordered(predictions: Predictions, mask: Mask, order: Order, evidence: Evidence | None) -> Selection:
    rows, columns = np.nonzero(mask)
    sequence = np.argsort(_keys(predictions, rows, columns, order, evidence), kind="stable")
    return Selection(predictions, rows[sequence], columns[sequence])


def _keys(
    predictions: Predictions,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    order: Order,
    evidence: Evidence | None,
) -> npt.NDArray[Any]:
    """Return what to sort by, smallest first."""
    if order is Order.LABEL:
        return columns
    if order is Order.CASE:
        return rows
    if order is Order.OUTSIDE and evidence is not None:
        return np.asarray(np.nan_to_num(evidence.shares[rows, columns, 0], nan=2.0))
    if order is Order.PROBABILITY:
        return np.asarray(-predictions.probabilities[rows, columns])
    confidence = predictions.confidence[rows, columns]
    return confidence if order is Order.BORDERLINE else np.asarray(-confidence)
