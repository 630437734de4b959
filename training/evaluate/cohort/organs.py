"""OrganIoU and soft mass of a store's maps: every method and baseline, variant, placement and group."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.cohort.results.layout import AUTHORS_CELLS, ORGAN_GRIDS
from training.evaluate.baselines import with_baselines
from training.evaluate.bootstrap import BoolArray, Resampling
from training.evaluate.cohort.comparisons import Measured
from training.evaluate.cohort.coverage import coverage_issue, left_out_rows, placeless_rows
from training.evaluate.cohort.subject import Choice, Steps, Subject
from training.evaluate.organ_iou import (
    VARIANTS,
    OrganCase,
    OrganCurves,
    Variant,
    as_authors,
    choose_thresholds,
    organ_curves,
)
from training.evaluate.rows import Rows
from training.evaluate.tables import JSON_FILE, ORGAN_MEASURES, organ_rows
from training.explain.result import METHOD_NAMES
from training.issues import InputError, Issue, error
from training.labels import is_known

FloatArray = npt.NDArray[np.float64]

PLACES = {"receptive_field": "receptive_field", "stretch": "stretch", "authors": "stretch, authors' regions"}
"""How results call the grids on which organs are kept."""

Key = tuple[Variant, str]
"""Variant and place."""

Thresholds = Mapping[Key, Mapping[str, FloatArray]]
"""By variant and place, then by source: [M], NaN where none could be chosen."""


@dataclass(frozen=True, eq=False)
class OrganResult:
    """Rows for tables, and every measure of every map, for comparisons.

    ``left_out`` are rows of the pairs that OrganIoU leaves out, and ``issue`` says so of HiResCAM by the paper's
    definition; None if it leaves none out.
    """

    rows: Rows
    measured: tuple[Measured, ...]
    left_out: Rows = ()
    issue: Issue | None = None


def evaluate_organs(
    subject: Subject,
    choice: Choice,
    steps: Steps,
    given: Thresholds | None = None,
    extra_groups: Mapping[str, BoolArray] | None = None,
    resampling: Resampling | None = None,
) -> OrganResult:
    """Return OrganIoU and soft mass of the judged cases.

    Parameters
    ----------
    steps
        Counts the cases.
    given
        Thresholds from an earlier evaluation; None chooses them on ``choice.chosen_on``.
    extra_groups
        Masks [N, M] of pairs, such as sizes of lesions, beside the groups of labels.

    Raises
    ------
    InputError
        If there are neither thresholds nor cases to choose them on.
    """
    if given is None and not choice.chosen_on:
        fact = "there are no validation cases to choose the thresholds of OrganIoU on"
        way_out = (
            "Give those of an evaluation that had some (--thresholds), or judge the validation cases (--on valid)."
        )
        raise InputError(error("no-thresholds", fact, way_out, subject.store.path.name))
    rows: list[Rows] = []
    left_out = [_placeless(subject, choice)]
    measured: list[Measured] = []
    for grid in ORGAN_GRIDS:
        judged = _curves(subject, choice.judged, grid, steps)
        same = choice.chosen_on == choice.judged
        chosen_on = judged if same or given else _curves(subject, choice.chosen_on, grid, steps)
        for variant in VARIANTS:
            key: Key = (variant, PLACES[grid])
            own, validation = (_as(variant, curves) for curves in (judged, chosen_on))
            thresholds = given[key] if given else {name: choose_thresholds(c) for name, c in validation.items()}
            about = {"model": subject.name, "variant": variant, "placement": PLACES[grid]}
            measures = ORGAN_MEASURES if variant == "paper" else ORGAN_MEASURES[:1]  # soft mass knows no variants
            rows.append(organ_rows(own, thresholds, about, resampling, extra_groups, measures))
            left_out.append(left_out_rows(own, thresholds, None if given else validation, about))
            tables = {name: curves.at(thresholds[name]) for name, curves in own.items()}
            measured.append(Measured(ORGAN_MEASURES[0], f"{variant}, {PLACES[grid]}", "mean", tables))
        masses = {name: curves.soft_mass() for name, curves in judged.items()}
        measured.append(Measured(ORGAN_MEASURES[1], PLACES[grid], "mean", masses))
    told = tuple(row for part in left_out for row in part)
    return OrganResult(
        tuple(row for part in rows for row in part), tuple(measured), told, _issue(told, subject, choice)
    )


def _placeless(subject: Subject, choice: Choice) -> Rows:
    about = {"model": subject.name, "variant": None, "placement": None}
    return placeless_rows(subject.known(choice.judged), _placed(subject), subject.labels, about)


def _placed(subject: Subject) -> BoolArray:
    """Return [M]: the labels that belong to an organ."""
    return np.array([is_known(name) for name in subject.labels], dtype=bool)


def _issue(left_out: Rows, subject: Subject, choice: Choice) -> Issue | None:
    """Return what HiResCAM leaves out by the paper's definition, where its cells look."""
    present = subject.known(choice.judged) == 1
    own = {"variant": "paper", "placement": PLACES["receptive_field"], "source": METHOD_NAMES["hirescam"]}
    rows = [row for row in left_out if row["variant"] is None or all(row[key] == own[key] for key in own)]
    return coverage_issue(tuple(rows), int(present.sum()), int(present.any(axis=0).sum()), subject.name)


def n_steps(choice: Choice, given: bool) -> int:
    """Return how many cases are gone through."""
    alone = given or choice.chosen_on == choice.judged
    return len(ORGAN_GRIDS) * (len(choice.judged) + (0 if alone else len(choice.chosen_on)))


def _curves(subject: Subject, cases: Sequence[str], grid: str, steps: Steps) -> dict[str, OrganCurves]:
    """Return OrganIoU at every threshold; on the authors' grid, maps of other shapes are resampled as theirs are."""
    shape = (subject.store.layout.n_groups, *AUTHORS_CELLS) if grid == "authors" else None
    return organ_curves(cases_of(subject, cases, grid, steps), subject.labels, shape=shape)


def _as(variant: Variant, curves: Mapping[str, OrganCurves]) -> dict[str, OrganCurves]:
    return {name: as_authors(one) if variant == "authors" else one for name, one in curves.items()}


def cases_of(subject: Subject, cases: Sequence[str], grid: str, steps: Steps) -> Iterator[OrganCase]:
    """Yield maps and allowed regions of every case with a present label that belongs to an organ, else none of them."""
    placed = _placed(subject)
    truth = subject.known(cases)
    for n, case in enumerate(steps.over(cases)):
        present = (truth[n] == 1) & placed
        explanation = subject.store.explanation(case)
        cells = explanation.geometry("hirescam", "receptive_field" if grid == "receptive_field" else "stretch")
        chosen = [subject.labels[m] for m in np.flatnonzero(present)]
        regions = subject.store.allowed_regions(case, chosen, grid)
        shape = next((region.shape for region in regions.values()), cells.shape)
        allowed = np.zeros((len(subject.labels), *shape), dtype=np.float32)
        for label, region in regions.items():
            allowed[subject.labels.index(label)] = region
        maps = with_baselines(subject.maps(explanation, present), cells, explanation.input_geometry)
        yield OrganCase({**maps, **subject.random_maps(case, explanation, present)}, allowed, present)


def evaluation_file(path: Path) -> Path:
    """Return the ``evaluation.json`` of an evaluation that is given by its folder or by this file."""
    return path / JSON_FILE if path.is_dir() else path


def read_thresholds(file: Path, subject: Subject) -> Thresholds:
    """Return the thresholds that an earlier evaluation (its folder or ``evaluation.json``) used for the same model.

    Raises
    ------
    InputError
        If the file is no evaluation with thresholds for a model of this name.
    """
    try:
        rows = read_evaluation(file)["organ_iou"]
        own = [row for row in rows if row["model"] == subject.name and row["measure"] == "OrganIoU"]
        found: dict[Key, dict[str, FloatArray]] = {}
        for row in own:
            by_source = found.setdefault((row["variant"], row["placement"]), {})
            values = by_source.setdefault(row["source"], np.full(len(subject.labels), np.nan))
            label = str(row["group"]).removeprefix("label: ")
            if label in subject.labels and row["threshold"] is not None:
                values[subject.labels.index(label)] = row["threshold"]
    except (ValueError, KeyError, TypeError) as failure:
        fact = "is no evaluation with thresholds"
        raise InputError(error("no-thresholds", fact, _EVALUATION, file.name)) from failure
    if not found:
        fact = f"has no thresholds for a model called {subject.name}"
        raise InputError(error("no-thresholds", fact, "Give an evaluation of the same model.", file.name))
    return found


def read_evaluation(file: Path) -> dict[str, Any]:
    """Return what an earlier evaluation (its folder or ``evaluation.json``) came to.

    Raises
    ------
    InputError
        If nothing is there, or it is no evaluation.
    """
    try:
        found = json.loads(evaluation_file(file).read_text(encoding="utf-8"))
    except FileNotFoundError as failure:
        fact = f"has no {JSON_FILE}, so it is no evaluation" if file.exists() else "there is no such folder or file"
        raise InputError(error("no-thresholds", fact, _EVALUATION, file.name)) from failure
    except (OSError, ValueError) as failure:
        fact = f"its {JSON_FILE} is damaged" if file.is_dir() else "is no evaluation, or a damaged one"
        raise InputError(error("no-thresholds", fact, _EVALUATION, file.name)) from failure
    if not isinstance(found, dict) or "organ_iou" not in found:
        raise InputError(error("no-thresholds", "is no evaluation", _EVALUATION, file.name))
    return found


_EVALUATION = "Give the folder that an earlier `hirescam evaluate` wrote (--thresholds)."
