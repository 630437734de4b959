"""Methods compared over a whole cohort: the pairs of case and label about which they disagree most."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from training.evaluate.compare.methods import Disagreement, SidesOf, method_disagreements
from training.issues import Cancelled, InputError, error

if TYPE_CHECKING:
    from training.cohort.results import CohortStore

Which = Literal["predicted", "present", "all"]
WHICH: tuple[Which, ...] = ("predicted", "present", "all")

DEFAULT_THRESHOLD = 0.5
"""Probability from which a label counts as predicted where the model states no threshold."""


def cohort_disagreements(
    store: CohortStore,
    which: Which = "predicted",
    labels: Sequence[str] | None = None,
    most: int = 100,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Disagreement]:
    """Return the ``most`` pairs of case and label about which the methods disagree most, over a whole cohort.

    Parameters
    ----------
    which
        ``predicted``: probabilities from the model's threshold up; ``present``: where the label is known to be there;
        ``all`` pairs.
    labels
        All by default.
    progress
        Called with (cases done, cases, "comparing methods").
    cancelled
        Asked before every case.

    Raises
    ------
    InputError
        If no case has organs on its cells, or nothing is known of any case and ``present`` is asked for.
    Cancelled
        ``cancelled`` said so.
    """
    if which == "present" and store.truth is None:
        raise InputError(error("no-truth", "nothing is known of any case", "Choose predicted labels.", store.path.name))
    best: list[tuple[float, int, Disagreement]] = []
    any_organs = False
    for done, case in enumerate(store.cases):
        if cancelled is not None and cancelled():
            raise Cancelled
        cells = store.organ_cells(case)
        any_organs |= cells is not None
        wanted = pairs_of(store, case, which, labels) if cells is not None else []
        if cells is not None and wanted:
            found = method_disagreements(store.explanation(case), cells, wanted, _sides_in(store, case))
            for n, one in enumerate(found):
                heapq.heappush(best, (one.value, -(done * len(store.labels) + n), one))
                if len(best) > most:
                    heapq.heappop(best)
        if progress is not None:
            progress(done + 1, len(store.cases), "comparing methods")
    if not any_organs:
        way_out = "Run `hirescam batch` with organs."
        raise InputError(error("no-organs", "no case has organ masks", way_out, store.path.name))
    return [one for _, _, one in sorted(best, key=lambda item: (-item[0], -item[1]))]


def _sides_in(store: CohortStore, case: str) -> SidesOf:
    return lambda label: store.sides_of(case, label)


def pairs_of(store: CohortStore, case: str, which: Which, labels: Sequence[str] | None = None) -> list[str]:
    """Return the labels of ``case`` that ``which`` asks for; arguments as :func:`cohort_disagreements`."""
    row = store.position(case)
    wanted = store.labels if labels is None else tuple(labels)
    if which == "all":
        return list(wanted)
    if which == "present":
        truth = store.truth
        return [name for name in wanted if truth is not None and truth[row, store.index(name)] == 1]
    return [
        name
        for name in wanted
        if store.probabilities[row, store.index(name)] >= store.thresholds.get(name, DEFAULT_THRESHOLD)
    ]
