"""Where the maps of a store point, for cases whose lesions are known: every method, placement and baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.evaluate.bootstrap import BoolArray, Resampling
from training.evaluate.cohort.known_lesions import KnownLesions
from training.evaluate.cohort.subject import Steps, Subject
from training.evaluate.lesions import LesionCase, lesion_tables
from training.evaluate.rows import Rows
from training.evaluate.tables import LESION_AVERAGE, lesion_rows, pair_comparison_rows
from training.explain.placement import PLACEMENTS, Placement
from training.explain.result import METHOD_NAMES

FloatArray = npt.NDArray[np.float64]

COMPARED = ("error_mm", "hit", "mass_inside")
"""Measures by which methods, baselines and models are compared."""


@dataclass(frozen=True, eq=False)
class LesionResult:
    """Rows for tables, and tables [N, M] by placement, source and measure, for comparisons."""

    rows: Rows
    tables: Mapping[Placement, Mapping[str, Mapping[str, FloatArray]]]


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
    tables: dict[Placement, dict[str, dict[str, FloatArray]]] = {}
    for placement in PLACEMENTS:
        tables[placement] = lesion_tables(_cases(subject, steps.over(cases), known, placement), subject.labels, prior)
        about = {"model": subject.name, "placement": placement}
        rows.append(lesion_rows(tables[placement], subject.labels, about, extra_groups, resampling))
    return LesionResult(tuple(row for part in rows for row in part), tables)


def _cases(subject: Subject, cases: Iterable[str], known: KnownLesions, placement: Placement) -> Iterator[LesionCase]:
    for case in cases:
        explanation, lesions = subject.store.explanation(case), known.of(case)
        chosen = np.array([bool(lesions.get(label)) for label in subject.labels], dtype=bool)
        cells = explanation.geometry("hirescam", placement)
        maps = {**subject.maps(explanation, chosen), **subject.random_maps(case, explanation, chosen)}
        yield LesionCase(maps, cells, explanation.image_geometry, lesions)


def compare_sources(found: LesionResult, subject: Subject, plan: Resampling | None) -> Rows:
    """Return HiResCAM minus every other source, paired, for every placement."""
    first = METHOD_NAMES["hirescam"]
    return tuple(
        row
        for placement, tables in found.tables.items()
        for second in tables
        if second != first
        for measure in COMPARED
        for row in pair_comparison_rows(
            tables[first][measure],
            tables[second][measure],
            subject.labels,
            f"{measure} ({placement})",
            (f"{subject.name}: {first}", f"{subject.name}: {second}"),
            LESION_AVERAGE[measure],
            plan,
        )
    )


def compare_models(a: LesionResult, b: LesionResult, first: Subject, second: Subject, plan: Resampling | None) -> Rows:
    """Return the first model minus the second, paired, for every method and placement."""
    return tuple(
        row
        for placement, tables in a.tables.items()
        for method in METHOD_NAMES.values()
        for measure in COMPARED
        for row in pair_comparison_rows(
            tables[method][measure],
            b.tables[placement][method][measure],
            first.labels,
            f"{measure} of {method} ({placement})",
            (first.name, second.name),
            LESION_AVERAGE[measure],
            plan,
        )
    )
