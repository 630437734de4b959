"""The exact books of a cohort: where the evidence of every prediction lies, worked out case by case and kept.

A case's budgets follow from its Z, the head and the organs on its cells (:mod:`training.explain.budget`); for all
labels of a case that is a few milliseconds. They are kept beside the verdicts, so that filters need them once only.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.cohort.results import CohortStore
from training.evaluate.audit.missed import MISSED, MissedWords, missed
from training.evaluate.audit.predictions import Predictions
from training.evaluate.audit.suggest import HINTS, RULE, Hint, Suggestion, hints
from training.evaluate.audit.verdicts import Subject
from training.explain.budget import PLACES, place_shares
from training.explain.result import Explanation
from training.io.atomic import atomic_path
from training.labels import find_label, is_known
from training.partition.cells import OrganCells

Float32 = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]

EVIDENCE_FILE = "evidence.npz"
"""In the folder of the verdicts; it can be removed at any time and is worked out again."""

N_PLACES = len(PLACES)
_COLUMNS = ("hints", "shares", "even", "allowed", "every", "bias")


@dataclass(frozen=True, eq=False)
class Books:
    """Budgets of all labels of one case.

    ``positive`` and ``negative`` are float32 [M, 4] at ``PLACES``, score units; ``bias`` is float32 [M]; ``even`` is
    float32 [M, 4]: the shares that evenly spread evidence would have. NaN where organs, or the label's, are unknown.
    """

    positive: Float32
    negative: Float32
    bias: Float32
    even: Float32

    def suggestion(self, m: int) -> Suggestion:
        """Return the suggestion for label ``m``."""
        hint = HINTS[int(hints(self.positive[m], self.negative[m], self.bias[m]))]
        even = tuple(float(share) for share in self.even[m])
        total = float(self.positive[m].sum())
        if hint is Hint.UNKNOWN or total <= 0:
            return Suggestion(hint)
        return Suggestion(hint, tuple(float(part) / total for part in self.positive[m]), even)

    @property
    def every(self) -> Float32:
        """float32 [M]: all evidence for and against and the bias, without signs; NaN where nothing is known."""
        return np.asarray(self.positive.sum(axis=1) - self.negative.sum(axis=1) + np.abs(self.bias), dtype=np.float32)

    def missed(self, m: int, threshold: float) -> MissedWords:
        """Return what the books suggest about label ``m`` if it was missed; ``threshold`` is the score there."""
        allowed, bias = float(self.positive[m, 0]), float(self.bias[m])
        (code,) = missed(self.positive[m, :1], self.every[m : m + 1], self.bias[m : m + 1], np.array([threshold]))
        against = tuple(float(part) for part in self.negative[m])
        return MissedWords(MISSED[code], allowed, bias, threshold, against)


def books_of(explanation: Explanation, cells: OrganCells | None, sides: Callable[[str], frozenset[str]]) -> Books:
    """Return the books of one case.

    Parameters
    ----------
    cells
        Organs on the cells; None where none are kept.
    sides
        Gives the lungs in which a label is present; empty means both, or unknown.
    """
    labels, bias = explanation.labels, np.asarray(explanation.bias, dtype=np.float32)
    empty = np.full((len(labels), N_PLACES), np.nan, dtype=np.float32)
    if cells is None or not explanation.has_maps:
        return Books(empty, empty, bias, empty)
    positive, negative, even = empty.copy(), empty.copy(), empty.copy()
    shares: dict[tuple[str, frozenset[str]], npt.NDArray[np.float64]] = {}
    maps = explanation.maps("hirescam").reshape(len(labels), -1)
    for m, label in enumerate(labels):
        if not is_known(label):
            continue
        group = find_label(label).organ_group
        key = (group, sides(label) if group == "lung" else frozenset[str]())
        if key not in shares:
            allowed = cells.allowed_share(label, key[1])
            shares[key] = place_shares(allowed, cells.organ_share, cells.body).reshape(N_PLACES, -1)
        positive[m] = shares[key] @ np.maximum(maps[m], 0)
        negative[m] = shares[key] @ np.minimum(maps[m], 0)
        even[m] = shares[key].mean(axis=1)
    return Books(positive, negative, bias, even)


def books_of_case(store: CohortStore, case: str) -> Books:
    """Return the books of one case of ``store``; raises ``InputError`` if it is damaged."""
    return books_of(store.explanation(case), store.organ_cells(case), lambda label: store.sides_of(case, label))


class Evidence:
    """The books of the cases of one store as far as they were worked out.

    Parameters
    ----------
    store
        The cohort.
    folder
        Where they are kept; None to keep them in memory alone.
    """

    def __init__(self, store: CohortStore, folder: str | os.PathLike[str] | None = None) -> None:
        self.store = store
        self.file = None if folder is None else Path(folder) / EVIDENCE_FILE
        shape = (len(store.cases), len(store.labels))
        self.known: npt.NDArray[np.bool_] = np.zeros(shape[0], dtype=bool)
        self.hints = np.full(shape, HINTS.index(Hint.UNKNOWN), dtype=np.int8)
        """int8 [N, M]: positions in ``HINTS``; of cases not ``known`` yet they say nothing."""
        self.shares = np.full((*shape, N_PLACES), np.nan, dtype=np.float32)
        """float32 [N, M, 4]: of the positive evidence at ``PLACES``."""
        self.even = np.full(shape, np.nan, dtype=np.float32)
        """float32 [N, M]: the share of the allowed organ if the evidence were spread evenly."""
        self.allowed, self.every, self.bias = (np.full(shape, np.nan, dtype=np.float32) for _ in range(3))
        """float32 [N, M], score units: positive evidence in the allowed organ; all evidence and the bias without signs;
        the bias."""
        if self.file is not None:
            self.take_kept(self.file.parent)

    def work_out(
        self,
        cases: Iterable[int],
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Work out the books of the cases at these positions that are not known yet, and keep them.

        What was done until ``cancelled`` said so is kept. Errors as :meth:`CohortStore.explanation`.
        """
        wanted = [n for n in sorted(set(cases)) if not self.known[n]]
        try:
            for done, n in enumerate(wanted):
                if cancelled is not None and cancelled():
                    return
                self._take(n, books_of_case(self.store, self.store.cases[n]))
                if progress is not None:
                    progress(done + 1, len(wanted), "evidence")
        finally:
            if wanted:
                self._keep()

    def outside_allowed(self) -> npt.NDArray[np.bool_]:
        """Return bool [N, M]: most of the evidence lies outside the allowed organ (see ``Suggestion``)."""
        with np.errstate(invalid="ignore"):
            outside = self.shares[..., 0] < 0.5
        return np.asarray(outside & (self.hints != HINTS.index(Hint.HARDLY_ANY)))

    def missed(self, predictions: Predictions) -> npt.NDArray[np.int8]:
        """Return int8 [N, M], positions in ``MISSED``: why each label would have been missed at these thresholds."""
        return missed(self.allowed, self.every, self.bias, predictions.threshold_scores)

    def hint(self, predictions: Predictions, subject: Subject) -> Hint | None:
        """Return the hint for ``subject``, None if its case was not worked out."""
        n, m = predictions.at(subject)
        return HINTS[self.hints[n, m]] if self.known[n] else None

    def _take(self, n: int, books: Books) -> None:
        self.hints[n] = hints(books.positive, books.negative, books.bias)
        total = books.positive.sum(axis=1, keepdims=True)
        self.shares[n] = np.divide(books.positive, total, out=np.full_like(books.positive, np.nan), where=total > 0)
        self.even[n] = books.even[:, 0]
        self.allowed[n], self.every[n], self.bias[n] = books.positive[:, 0], books.every, books.bias
        self.known[n] = True

    def _keep(self) -> None:
        if self.file is None:
            return
        with atomic_path(self.file) as partial:
            about = {"store": np.array(self.store.sha256), "cases": np.array(self.store.cases), "rule": np.array(RULE)}
            columns = {name: getattr(self, name) for name in ("known", *_COLUMNS)}
            np.savez(partial, allow_pickle=False, **about, **columns)

    def take_kept(self, folder: str | os.PathLike[str]) -> None:
        """Take over what was kept for this store in ``folder``.

        What does not fit, was found by another rule, or is damaged, is left out.
        """
        file = Path(folder) / EVIDENCE_FILE
        if not file.is_file():
            return
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                arrays = {name: kept[name] for name in ("store", "cases", "rule", "known", *_COLUMNS)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # it is worked out again
            return
        fits = str(arrays["store"]) == self.store.sha256 and int(arrays["rule"]) == RULE
        if not fits or arrays["shares"].shape[1:] != self.shares.shape[1:]:
            return
        rows = {str(name): n for n, name in enumerate(arrays["cases"])}
        for n, case in enumerate(self.store.cases):
            if case in rows and arrays["known"][rows[case]]:
                for name in _COLUMNS:
                    getattr(self, name)[n] = arrays[name][rows[case]]
                self.known[n] = True
