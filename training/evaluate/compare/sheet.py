"""Cases of a contact sheet: which, in which order, and what is said of each (figure 11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from training.evaluate.compare.cohort import Which, cohort_disagreements

if TYPE_CHECKING:
    from training.cohort.results import CohortStore

Order = Literal["probability", "disagreement"]


@dataclass(frozen=True)
class SheetEntry:
    """One case of a contact sheet: ``group`` is the slice group with the highest score, ``truth`` 1, 0 or -1."""

    case: str
    probability: float
    group: int
    value: float
    truth: int = -1


def sheet_entries(
    store: CohortStore,
    label: str,
    order: Order = "probability",
    most: int = 12,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    pairs: Which = "all",
) -> list[SheetEntry]:
    """Return the first ``most`` cases for a contact sheet of ``label``.

    Parameters
    ----------
    order
        ``probability``: highest first; ``disagreement``: where the methods disagree most (:class:`Disagreement`).
    pairs
        Which cases, as for :func:`cohort_disagreements`.

    Raises
    ------
    KeyError
        If the model has no such label.
    InputError, Cancelled
        As for :func:`cohort_disagreements`.
    """
    column = store.index(label)
    if order == "probability" and pairs == "all":
        ranked = np.argsort(-store.probabilities[:, column], kind="stable")[:most]
        rows = [(store.cases[int(n)], float(store.probabilities[int(n), column])) for n in ranked]
    else:
        found = cohort_disagreements(store, pairs, [label], len(store.cases), progress, cancelled)
        rows = [(one.case, one.value) for one in found]
        if order == "probability":
            known = [(case, float(store.probabilities[store.position(case), column])) for case, _ in rows]
            rows = sorted(known, key=lambda row: -row[1])
        rows = rows[:most]
    return [_entry(store, case, column, value) for case, value in rows]


def _entry(store: CohortStore, case: str, column: int, value: float) -> SheetEntry:
    row = store.position(case)
    truth = -1 if store.truth is None else int(store.truth[row, column])
    group = int(store.slice_scores(case)[column].argmax())
    return SheetEntry(case, float(store.probabilities[row, column]), group, value, truth)
