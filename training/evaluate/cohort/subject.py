"""What is evaluated: a store, the cases that are judged and those that thresholds are chosen on, labels and truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.cohort.results import CohortStore
from training.cohort.sources.tables import (
    Faults,
    check_one_column_each,
    note_duplicates,
    numbered,
    read_table,
    targets_of,
)
from training.evaluate.baselines import CENTRE, RANDOM_LAST_LAYER, RANDOM_WEIGHTS, UNIFORM
from training.explain.result import METHOD_NAMES, METHODS, Explanation
from training.io.privacy import case_id_for
from training.issues import InputError, error
from training.labels import paper_name
from training.words import counted

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
MapArray = npt.NDArray[np.float32]
JudgedOn = Literal["test", "valid", "train", "all"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A store to be evaluated.

    Parameters
    ----------
    name
        What the model is called in tables.
    store
        Its results.
    labels
        The M labels that are evaluated; the store has them all.
    truth
        float64 [N, M] for the N cases of the store: 1 present, 0 absent, NaN unknown.
    random
        Store of the same cases by the same architecture with random weights, the baseline; None without one.
    """

    name: str
    store: CohortStore
    labels: tuple[str, ...]
    truth: FloatArray = field(repr=False)
    random: CohortStore | None = None

    def rows(self, cases: Sequence[str]) -> npt.NDArray[np.intp]:
        """Return where the cases stand in the store."""
        return np.array([self.store.position(case) for case in cases], dtype=np.intp)

    def known(self, cases: Sequence[str]) -> FloatArray:
        """Return the truth of some cases, [n, M]."""
        return self.truth[self.rows(cases)]

    def probabilities(self, cases: Sequence[str]) -> FloatArray:
        """Return the predictions for some cases, [n, M]."""
        columns = [self.store.index(label) for label in self.labels]
        return np.asarray(self.store.probabilities[self.rows(cases)][:, columns])

    @property
    def sources(self) -> tuple[str, ...]:
        """What its maps, and the baselines beside them, are called; none if the model has no maps."""
        if not self.store.layout.has_maps:
            return ()
        last = (RANDOM_LAST_LAYER,) if self.store.layout.closed_form else ()
        return (*METHOD_NAMES.values(), UNIFORM, CENTRE, *last, *((RANDOM_WEIGHTS,) if self.random else ()))

    def maps(self, explanation: Explanation, chosen: BoolArray) -> dict[str, MapArray]:
        """Return the maps of the chosen labels by method, float32 [M, H, D1, D2]; those of other labels are left 0."""
        return {METHOD_NAMES[m]: self._filled(explanation, chosen, m) for m in METHODS}

    def random_maps(self, case: str, explanation: Explanation, chosen: BoolArray) -> dict[str, MapArray]:
        """Return HiResCAM of the random network, and of the model's own Z under a last layer of random weights."""
        found = {}
        if self.store.layout.closed_form:
            found[RANDOM_LAST_LAYER] = self._filled(replace(explanation, weights=self._random_layer), chosen)
        if self.random is not None:
            found[RANDOM_WEIGHTS] = self._filled(self.random.explanation(case), chosen)
        return found

    def _filled(self, case: Explanation, chosen: BoolArray, method: str = "hirescam") -> MapArray:
        out = np.zeros((len(self.labels), *case.cells.n_cells), dtype=np.float32)  # untouched pages take no memory
        for m in np.flatnonzero(chosen):
            out[m] = case.map(self.labels[m], method)  # type: ignore[arg-type]
        return out

    @property
    def _random_layer(self) -> npt.NDArray[np.float32]:
        """Weights of the shape and the spread of the model's own, always the same."""
        own = self.store.weights
        return np.random.default_rng(0).normal(0.0, own.std(), own.shape).astype(np.float32)


class Steps:
    """Counts the cases that were gone through, for a progress bar; ``progress`` is called with (done, total, stage)."""

    def __init__(self, total: int, progress: Callable[[int, int, str], None] | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def over(self, cases: Iterable[str]) -> Iterator[str]:
        """Yield the cases, counting each."""
        for case in cases:
            yield case
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total, "evaluating")


def make_subject(store: CohortStore, name: str, truth: Path | None, random: CohortStore | None = None) -> Subject:
    """Return the store as a subject: with its own truth, or with that of a table.

    Raises
    ------
    InputError
        The store has no case yet; nothing is known of any case; the table is faulty; the random store is of another
        kind of cells.
    """
    if not store.cases:
        fact = "no case is explained yet"
        raise InputError(error("no-cases", fact, "Let `hirescam batch` go on.", store.path.name))
    known = _truth_of(store) if truth is None else read_truth(truth, store)
    if np.isnan(known).all():
        fact = "nothing is known of which case has which abnormality"
        raise InputError(error("no-truth", fact, "Give a table with --truth.", store.path.name))
    if random is not None:
        _check_random(store, random)
    return Subject(name, store, store.labels, known, random)


def _truth_of(store: CohortStore) -> FloatArray:
    if store.truth is None:
        return np.full(store.scores.shape, np.nan)
    return np.where(store.truth < 0, np.nan, store.truth.astype(np.float64))


def _check_random(store: CohortStore, random: CohortStore) -> None:
    missing, same = set(store.cases) - set(random.cases), is_baseline_of(store, random)
    if missing or not same:
        fact = f"lacks {len(missing)} of the cases" if same else "is of another architecture, input or list of labels"
        way_out = f"Make it by `hirescam batch` of the same cohort with {store.model.architecture}:random."
        raise InputError(error("not-the-baseline", fact, way_out, random.path.name))


def is_baseline_of(store: CohortStore, random: CohortStore) -> bool:
    """Return True if ``random`` is of the same cells, labels and input."""
    return (store.cells, store.labels, store.input_spec) == (random.cells, random.labels, random.input_spec)


def read_truth(table: Path, store: CohortStore) -> FloatArray:
    """Return the truth of a store's cases by a table with the column ``case`` and columns of labels, [N, M].

    Cases are called as the store calls them, or as the table does from which the store was made. Labels that the table
    lacks, and cases without a row, are unknown.

    Raises
    ------
    InputError
        If it is no such table, has two columns for one label, none of its labels is the store's, or none of its cases.
    """
    columns, rows = read_table(table)
    check_one_column_each(map(paper_name, columns), table)
    names = {paper_name(column): column for column in columns}
    labels = {m: names[paper_name(label)] for m, label in enumerate(store.labels) if paper_name(label) in names}
    if "case" not in columns or not labels:
        fact = "has no column case" if "case" not in columns else "has no column that is a label of the model"
        raise InputError(error("no-truth", fact, "Name the columns case and the labels.", table.name))
    faults, truth = Faults(table.name), np.full(store.scores.shape, np.nan)
    position = {name: n for n, name in enumerate(store.cases)}
    note_duplicates(((number, row["case"]) for number, row in numbered(rows)), False, faults)
    for number, row in numbered(rows):
        values = targets_of(row, list(labels.values()), number, faults)
        n = position.get(row["case"], position.get(case_id_for(row["case"])))
        if n is not None:
            truth[n, list(labels)] = values
    if faults.issues():
        raise InputError(faults.issues())
    if np.isnan(truth).all():
        raise InputError(error("no-truth", "names none of the store's cases", "Check the column case.", table.name))
    return truth


def in_common(subjects: Sequence[Subject]) -> tuple[tuple[Subject, ...], tuple[str, ...]]:
    """Return the subjects with the labels that all have, and the cases that all have, in the order of the first.

    Raises
    ------
    InputError
        If they have no label or no case in common, or say different things about a case.
    """
    first = subjects[0]
    labels = tuple(name for name in first.labels if all(name in one.labels for one in subjects))
    cases = tuple(case for case in first.store.cases if all(case in set(one.store.cases) for one in subjects))
    if not labels or not cases:
        what = "label" if not labels else "case"
        raise InputError(
            error("nothing-in-common", f"the stores have no {what} in common", "Give stores of one cohort.")
        )
    chosen = tuple(_with_labels(one, labels) for one in subjects)
    known = [one.known(cases) for one in chosen]
    if any(not np.array_equal(known[0], other, equal_nan=True) for other in known[1:]):
        fact = "the stores differ in what is known of the same cases"
        raise InputError(error("other-truth", fact, "Give one table for both with --truth."))
    return chosen, cases


def _with_labels(subject: Subject, labels: tuple[str, ...]) -> Subject:
    columns = [subject.labels.index(name) for name in labels]
    return replace(subject, labels=labels, truth=subject.truth[:, columns])


@dataclass(frozen=True)
class Choice:
    """The cases that are judged, and those on which thresholds are chosen unless they are given."""

    judged: tuple[str, ...]
    chosen_on: tuple[str, ...]
    split: JudgedOn
    notes: tuple[str, ...]

    def threshold_words(self, given: bool) -> str:
        """Return where thresholds come from, and whether numbers that use them are too good."""
        if given:
            return "Thresholds are those of an earlier evaluation (--thresholds)."
        if self.chosen_on == self.judged:
            which = "the validation cases, which are" if self.split == "valid" else "the cases"
            judged = "the very cases that are judged" if self.split == "valid" else "that are judged"
            return f"Thresholds were chosen on {which} {judged}, so numbers that use them are too good."
        words = f"Thresholds were chosen on {counted(len(self.chosen_on), 'validation case')}"
        if set(self.chosen_on) & set(self.judged):
            return f"{words}, which are among those that are judged, so numbers that use them are too good."
        return f"{words}, none of which is judged."


def choose_cases(store: CohortStore, cases: Sequence[str], on: JudgedOn | None) -> Choice:
    """Return which of ``cases`` are judged: of split ``on``; or the test cases, else the validation cases, else all.

    Raises
    ------
    InputError
        If no case is of split ``on``.
    """
    split = dict(zip(store.cases, store.splits, strict=True))
    counts = [name for name in ("test", "valid", "train") if any(split[case] == name for case in cases)]
    wanted = on or ("test" if "test" in counts else "valid" if "valid" in counts else "all")
    judged = tuple(case for case in cases if wanted in ("all", split[case]))
    if not judged:
        raise InputError(
            error("no-cases", f"no case is of split {on}", f"There are {', '.join(counts)}.", store.path.name)
        )
    where = "all splits" if wanted == "all" else f"split {wanted}"
    notes = (f"Judged on {counted(len(judged), 'case')} ({where}).", *_SEEN.get(wanted, ()))
    validation = tuple(case for case in cases if split[case] == "valid")
    chosen_on = validation if wanted == "test" else validation or judged
    return Choice(judged, chosen_on, wanted, notes)


_SEEN = {
    "valid": (
        "The judged cases are the validation cases: where the model's best epoch was chosen on them, all numbers are "
        "somewhat too good.",
    ),
    "train": (
        "The judged cases are training cases: for a model that was trained on them, numbers say nothing of others.",
    ),
    "all": (
        "Cases of all splits are judged: for a model that was trained on some of them, numbers say little of others.",
    ),
}
"""What a reader has to know of cases of these splits."""
