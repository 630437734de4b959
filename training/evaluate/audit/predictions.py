"""Predictions of a cohort against the truth: thresholds, and who is wrong by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.cohort.results import CohortStore
from training.evaluate.audit.verdicts import Subject
from training.issues import InputError, error

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ThresholdKind = Literal["checkpoint", "median", "hand"]
THRESHOLD_KINDS: Mapping[ThresholdKind, str] = MappingProxyType(
    {"checkpoint": "From the checkpoint", "median": "Median (the authors)", "hand": "By hand"}
)
"""Where the probability comes from at which a label counts as predicted; ``median`` is the label's median predicted
probability over the cohort."""

DEFAULT_THRESHOLD = 0.5
"""For labels whose checkpoint names no threshold."""


class Outcome(StrEnum):
    """A prediction against the truth."""

    TRUE_POSITIVE = "TP"
    FALSE_POSITIVE = "FP"
    FALSE_NEGATIVE = "FN"
    TRUE_NEGATIVE = "TN"
    UNKNOWN = "unknown"


def thresholds(store: CohortStore, kind: ThresholdKind, by_hand: Mapping[str, float] | None = None) -> FloatArray:
    """Return the threshold of every label, float64 [M], as a probability.

    Parameters
    ----------
    by_hand
        For ``hand``, by label; labels it does not name keep the checkpoint's.

    Raises
    ------
    InputError
        If a threshold by hand does not lie between 0 and 1, or its label is unknown.
    """
    if kind == "median":
        return np.asarray(np.median(store.probabilities, axis=0) if len(store.cases) else np.zeros(len(store.labels)))
    chosen = {label: store.thresholds.get(label, DEFAULT_THRESHOLD) for label in store.labels}
    for label, value in (by_hand or {}).items() if kind == "hand" else ():
        if label not in chosen:
            raise InputError(error("no-such-label", f"the model has no label called {label!r}", "Give one it has."))
        if not 0 <= value <= 1:
            fact = f"{value:g} is no threshold of {label}: a probability is from 0 to 1"
            raise InputError(error("bad-setting", fact, f"Give another value, such as {label}=0.5."))
        chosen[label] = value
    return np.array([chosen[label] for label in store.labels], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Predictions:
    """All predictions of a cohort.

    Parameters
    ----------
    cases, labels
        N and M names.
    probabilities
        float64 [N, M].
    truth
        int8 [N, M]: 1 present, 0 absent, -1 unknown.
    thresholds
        float64 [M]; a label counts as predicted from there on.
    kind
        Where the thresholds come from.
    """

    cases: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: FloatArray
    truth: npt.NDArray[np.int8]
    thresholds: FloatArray
    kind: ThresholdKind = "checkpoint"

    @classmethod
    def of(
        cls, store: CohortStore, kind: ThresholdKind = "checkpoint", by_hand: Mapping[str, float] | None = None
    ) -> Predictions:
        """Return the predictions of ``store``; errors as :func:`thresholds`."""
        shape = (len(store.cases), len(store.labels))
        truth = np.full(shape, -1, dtype=np.int8) if store.truth is None else store.truth
        found = thresholds(store, kind, by_hand)
        return cls(store.cases, store.labels, store.probabilities, truth, found, kind)

    @cached_property
    def predicted(self) -> Mask:
        """Mask [N, M]."""
        return np.asarray(self.probabilities >= self.thresholds)

    @cached_property
    def false_positive(self) -> Mask:
        """Mask [N, M]: predicted and absent."""
        return np.asarray(self.predicted & (self.truth == 0))

    @cached_property
    def false_negative(self) -> Mask:
        """Mask [N, M]: present and not predicted."""
        return np.asarray(~self.predicted & (self.truth == 1))

    @cached_property
    def confidence(self) -> FloatArray:
        """float64 [N, M]: distance of the score from the score at the threshold, log odds, not negative."""
        return np.asarray(np.abs(_log_odds(self.probabilities) - _log_odds(self.thresholds)))

    @cached_property
    def threshold_scores(self) -> FloatArray:
        """float64 [M]: the scores (log odds) at the thresholds."""
        return _log_odds(self.thresholds)

    @cached_property
    def case_index(self) -> Mapping[str, int]:
        """Position of every case."""
        return {name: n for n, name in enumerate(self.cases)}

    @cached_property
    def label_index(self) -> Mapping[str, int]:
        """Position of every label."""
        return {name: m for m, name in enumerate(self.labels)}

    def at(self, subject: Subject) -> tuple[int, int]:
        """Return the position (case, label) of ``subject``; raises ``KeyError`` if the cohort has no such one."""
        return (self.case_index[subject.case], self.label_index[subject.label])

    def outcome(self, subject: Subject) -> Outcome:
        """Return the prediction for ``subject`` against its truth."""
        n, m = self.at(subject)
        if self.truth[n, m] < 0:
            return Outcome.UNKNOWN
        if self.predicted[n, m]:
            return Outcome.TRUE_POSITIVE if self.truth[n, m] else Outcome.FALSE_POSITIVE
        return Outcome.FALSE_NEGATIVE if self.truth[n, m] else Outcome.TRUE_NEGATIVE

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return, by label, how many predictions are false positive, false negative, and of known truth."""
        known = self.truth >= 0
        columns = (self.false_positive.sum(axis=0), self.false_negative.sum(axis=0), known.sum(axis=0))
        return {name: (int(a), int(b), int(c)) for name, a, b, c in zip(self.labels, *columns, strict=True)}


def _log_odds(probability: FloatArray) -> FloatArray:
    tiny = np.finfo(np.float64).tiny
    kept = np.clip(probability, tiny, 1.0 - np.finfo(np.float64).epsneg)
    return np.asarray(np.log(kept) - np.log1p(-kept))
