"""Where the maps of a store point, for cases whose lesions are known: every method, placement and baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.evaluate.bootstrap import BoolArray, Resampling
from training.evaluate.cohort.comparisons import Measured
from training.evaluate.cohort.known_lesions import KnownLesions
from training.evaluate.cohort.subject import Steps, Subject
from training.evaluate.lesions import MEASURES, LesionCase, lesion_tables
from training.evaluate.rows import Rows
from training.evaluate.tables import LESION_AVERAGE, lesion_rows
from training.explain.placement import PLACEMENTS, Placement

FloatArray = npt.NDArray[np.float64]

COMPARED = ("error_mm", "hit", "mass_inside")
"""Measures by which maps are compared without being asked for."""


@dataclass(frozen=True, eq=False)
class LesionResult:
    """Rows for tables, and every measure of every map, for comparisons."""

    rows: Rows
    measured: tuple[Measured, ...]


def evaluate_lesions(
    subject: Subject,
    cases: Sequence[str],
    known: KnownLesions,
    others: Sequence[str],
    steps: Steps,
    extra_groups: Mapping[str, BoolArray] | None = None,
    resampling: Resampling | None = None,
) -> LesionResult:
    """Return pointing error, pointing game and mass inside of ``cases``.

    Parameters
    ----------
    others
        Cases whose lesions tell the prior of place; none of them is judged.
    steps
        Counts the cases.
    extra_groups
        Masks [N, M] of pairs, such as sizes of lesions, beside the groups of labels.
    """
    prior = known.centres(subject.store, others)
    rows: list[Rows] = []
    measured: list[Measured] = []
    for placement in PLACEMENTS:
        tables = lesion_tables(_cases(subject, steps.over(cases), known, placement), subject.labels, prior)
        about = {"model": subject.name, "placement": placement}
        rows.append(lesion_rows(tables, subject.labels, about, extra_groups, resampling))
        measured += _measured(tables, placement)
    return LesionResult(tuple(row for part in rows for row in part), tuple(measured))


def _measured(tables: Mapping[str, Mapping[str, FloatArray]], placement: Placement) -> Iterator[Measured]:
    """Yield every measure, with the maps that have any of it: a point has no mass."""
    for measure in MEASURES:
        own = {source: found[measure] for source, found in tables.items() if not np.isnan(found[measure]).all()}
        yield Measured(measure, placement, LESION_AVERAGE[measure], own, measure in COMPARED)


def _cases(subject: Subject, cases: Iterable[str], known: KnownLesions, placement: Placement) -> Iterator[LesionCase]:
    for case in cases:
        explanation, lesions = subject.store.explanation(case), known.of(case)
        chosen = np.array([bool(lesions.get(label)) for label in subject.labels], dtype=bool)
        cells = explanation.geometry("hirescam", placement)
        maps = {**subject.maps(explanation, chosen), **subject.random_maps(case, explanation, chosen)}
        yield LesionCase(maps, cells, explanation.image_geometry, lesions)
