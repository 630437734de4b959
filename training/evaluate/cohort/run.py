"""A store evaluated, alone or against another: everything that its cases' truth allows, as one :class:`Evaluation`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training.cohort.results import CohortStore, open_store
from training.evaluate.bands import Bands, bands
from training.evaluate.baselines import PRIOR
from training.evaluate.bootstrap import BoolArray, Resampling
from training.evaluate.classification import Classification, evaluate_predictions
from training.evaluate.cohort import organs
from training.evaluate.cohort.comparisons import Compared, Pair, Side, asked_pairs, comparison_rows, without_rows
from training.evaluate.cohort.known_lesions import KnownLesions, cohort_not_found, known_lesions
from training.evaluate.cohort.made import made_of
from training.evaluate.cohort.organs import OrganResult, evaluate_organs, read_evaluation, read_thresholds
from training.evaluate.cohort.pointing import LesionResult, evaluate_lesions
from training.evaluate.cohort.small import small_cohort_notes
from training.evaluate.cohort.subject import (
    Choice,
    JudgedOn,
    Steps,
    Subject,
    choose_cases,
    in_common,
    is_baseline_of,
    make_subject,
)
from training.evaluate.pairs import size_groups
from training.evaluate.rows import Rows
from training.evaluate.tables import Evaluation, prediction_comparison_rows
from training.explain.placement import PLACEMENTS
from training.issues import Issue
from training.words import counted, counted_of

SAME_NAME = " (second)"


@dataclass(frozen=True)
class EvaluateSettings:
    """What to evaluate a store with.

    Parameters
    ----------
    against
        Store of another model, to be compared case by case.
    random
        Store of the same cases by random weights: the baseline.
    truth
        Table of the truth; None takes what the store has.
    on
        Which split is judged; None: test, else valid, else all.
    lesions, lesion_label
        Table of lesions (centres or masks), and the label of its rows; None looks whether these are phantoms.
    thresholds
        An earlier evaluation whose thresholds are used; None chooses them on the validation cases.
    resampling
        How intervals are made.
    compare
        Pairs of maps that are compared beside the usual ones (:func:`asked_pairs`).
    """

    against: Path | None = None
    random: Path | None = None
    truth: Path | None = None
    on: JudgedOn | None = None
    lesions: Path | None = None
    lesion_label: str | None = None
    thresholds: Path | None = None
    resampling: Resampling = field(default_factory=Resampling)
    compare: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of one model; None where it does not apply."""

    subject: Subject
    classification: Classification
    organs: OrganResult | None
    lesions: LesionResult | None

    @property
    def compared(self) -> Compared:
        """What its maps are compared by."""
        parts = [one.measured for one in (self.organs, self.lesions) if one is not None]
        return Compared(self.subject.name, self.subject.labels, tuple(one for part in parts for one in part))


def evaluate_stores(
    path: Path, settings: EvaluateSettings | None = None, progress: Callable[[int, int, str], None] | None = None
) -> Evaluation:
    """Evaluate the store at ``path``; ``progress`` is called with (cases done, of how many, stage).

    Raises
    ------
    InputError
        A store is none, or not of the same cohort as the others; no truth; no thresholds; a faulty table; a pair to
        compare of which one side is not there.
    """
    plan = settings or EvaluateSettings()
    if plan.thresholds is not None:
        read_evaluation(plan.thresholds)  # a wrong one is told at once, also where no thresholds are needed
    subjects, cases = in_common(_subjects(path, plan))
    choice = choose_cases(subjects[0].store, cases, plan.on)
    known = known_lesions(subjects[0].store, plan.lesions, plan.lesion_label)
    asked = _asked(plan, subjects, known)
    others = [case for case in cases if case not in set(choice.judged)]
    looked = 0 if known is None else len(cases)
    steps = Steps(looked + sum(_n_steps(one, choice, known, plan) for one in subjects), progress)
    groups: Mapping[str, BoolArray] = {}
    if known is not None:
        known.measure(subjects[0].store, subjects[0].labels, steps.over(cases))
        groups = size_groups(known.diameters(choice.judged, subjects[0].labels))
    found = [_found(one, choice, known, others, groups, plan, steps) for one in subjects]
    too_small = small_cohort_notes(found[0].classification, len(cases))
    return Evaluation(
        title=f"{' against '.join(one.name for one in subjects)}, {counted(len(choice.judged), 'case')}",
        classification={one.subject.name: one.classification for one in found},
        organ_iou=tuple(row for one in found if one.organs for row in one.organs.rows),
        lesions=tuple(row for one in found if one.lesions for row in one.lesions.rows),
        comparisons=_comparisons(found, asked, plan.resampling),
        left_out=tuple(row for one in found if one.organs for row in one.organs.left_out),
        thresholds=choice.threshold_words(plan.thresholds is not None) if any(one.organs for one in found) else "",
        issues=(
            *_lesion_issues(subjects, known),
            *(one.organs.issue for one in found if one.organs and one.organs.issue),
            *without_rows([one.compared for one in found], asked),
        ),
        made=made_of(path, plan),
        notes=(
            *choice.notes,
            *too_small,
            *(note for one in subjects for note in _notes(one, known)),
        ),
        in_short=(choice.notes[0], *too_small),
        bands=tuple(_bands(subjects[0], choice)),
        bands_of=subjects[0].name,
    )


def _subjects(path: Path, plan: EvaluateSettings) -> list[Subject]:
    random = None if plan.random is None else open_store(plan.random)
    first = open_store(path)
    if plan.against is None:
        return [make_subject(first, first.model.name, plan.truth, random)]
    second = open_store(plan.against)
    names = _different_names(first, second)
    own = random if random is not None and is_baseline_of(second, random) else None
    return [make_subject(first, names[0], plan.truth, random), make_subject(second, names[1], plan.truth, own)]


def _different_names(first: CohortStore, second: CohortStore) -> tuple[str, str]:
    """Return what two models are called: by their names, if these are equal by their stores' names too."""
    if first.model.name != second.model.name:
        return first.model.name, second.model.name
    a, b = (f"{store.model.name} in {store.path.name}" for store in (first, second))
    return (a, b) if a != b else (a, b + SAME_NAME)


def _found(
    subject: Subject,
    choice: Choice,
    known: KnownLesions | None,
    others: Sequence[str],
    groups: Mapping[str, BoolArray],
    plan: EvaluateSettings,
    steps: Steps,
) -> Found:
    truth = subject.known(choice.judged)
    predicted = evaluate_predictions(subject.probabilities(choice.judged), truth, subject.labels, plan.resampling)
    layout = subject.store.layout
    organ_result = lesion_result = None
    if "organs" in layout.arrays():
        given = None if plan.thresholds is None else read_thresholds(plan.thresholds, subject)
        organ_result = evaluate_organs(subject, choice, steps, given, groups, plan.resampling)
    if known is not None and layout.has_maps:
        lesion_result = evaluate_lesions(subject, choice.judged, known, others, steps, groups, plan.resampling)
    return Found(subject, predicted, organ_result, lesion_result)


def _n_steps(subject: Subject, choice: Choice, known: KnownLesions | None, plan: EvaluateSettings) -> int:
    """Return how many cases will be gone through for one model."""
    layout = subject.store.layout
    pointed = len(PLACEMENTS) * len(choice.judged) if known is not None and layout.has_maps else 0
    return pointed + (organs.n_steps(choice, plan.thresholds is not None) if "organs" in layout.arrays() else 0)


def _comparisons(found: Sequence[Found], asked: Sequence[Pair], plan: Resampling) -> Rows:
    """Return the predictions of two models compared, then maps."""
    predictions: Rows = ()
    if len(found) == 2:
        names = (found[0].subject.name, found[1].subject.name)
        predictions = prediction_comparison_rows(found[0].classification, found[1].classification, names)
    return predictions + comparison_rows([one.compared for one in found], asked, plan)


def _lesion_issues(subjects: Sequence[Subject], known: KnownLesions | None) -> Iterator[Issue]:
    """Yield what keeps lesions out that a reader may count on: the cohort is gone, or rows are of something else."""
    stores = {one.store.path: one.store for one in subjects}
    yield from (issue for store in stores.values() if (issue := cohort_not_found(store)) is not None)
    if known is not None:
        yield from known.left_out(subjects[0].store, subjects[0].labels)


def _asked(plan: EvaluateSettings, subjects: Sequence[Subject], known: KnownLesions | None) -> tuple[Pair, ...]:
    """Return the pairs that were asked for, before anything is worked out; errors as :func:`asked_pairs`."""
    sides = [Side(one.name, source) for one in subjects for source in one.sources]
    if known is not None:
        sides += [Side(one.name, PRIOR) for one in subjects if one.sources]
    return asked_pairs(plan.compare, sides)


def _notes(subject: Subject, known: KnownLesions | None) -> Iterator[str]:
    store, model = subject.store, subject.store.model
    yield f"{subject.name}: {model.architecture}, checkpoint {model.sha256[:12]}. {model.guarantee_words}"
    if not model.has_maps:
        return
    if store.cases:
        yield f"{subject.name}: {store.explanation(store.cases[0]).where_words}"
    failed = len(store.failures)
    if failed:
        yield f"{subject.name}: {counted_of(failed, len(store.planned), 'case')} failed, left out."
    if "organs" not in store.layout.arrays():
        yield f"{subject.name}: the store keeps no organs, so there is no OrganIoU."
    if subject.random is None:
        yield f"{subject.name}: without a store of random weights (--random) only the last layer is randomised."
    if known is None:
        yield "Where lesions lie is not known, so nothing is said about pointing."


def _bands(subject: Subject, choice: Choice) -> Iterator[Bands]:
    """Yield the slice scores of every label that some judged case has."""
    if not subject.store.model.has_maps:
        return
    rows, known = subject.rows(choice.judged), subject.known(choice.judged)
    for m, label in enumerate(subject.labels):
        if (known[:, m] == 1).any():
            truth = np.nan_to_num(known[:, m], nan=-1.0).astype(np.int8)
            yield bands(label, subject.store.label_slice_scores(label)[rows], truth, "mean")
