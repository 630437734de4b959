"""Results as rows, and rows as CSV, JSON and one HTML page.

A row is a mapping of plain JSON types; what does not apply is None: null in JSON, empty in CSV, "n/a" on the page.
Cases are only counted, never named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluate.bands import Bands
from training.evaluate.bootstrap import BoolArray, Difference, FloatArray, Interval, Resampling
from training.evaluate.classification import METRIC_NAMES, METRICS, OVER_LABELS, Classification, compare_predictions
from training.evaluate.lesions import MEASURES
from training.evaluate.organ_iou import OrganCurves
from training.evaluate.pairs import LABEL_GROUP, Average, GroupResult, compare_pairs, label_groups, summarise_pairs
from training.evaluate.reader_words import PLACEMENTS, VARIANTS, measure_words
from training.evaluate.rows import INTENDED_USE, Row, Rows, plain, to_csv
from training.io.atomic import atomic_path, check_folder_place
from training.io.privacy import exported
from training.issues import InputError, Issue, error
from training.labels import display_name

SCHEMA = "hirescam-evaluation"
SCHEMA_VERSION = 1
JSON_FILE, PAGE_FILE, BANDS_FILE = "evaluation.json", "evaluation.html", "slice_scores.svg"

LESION_AVERAGE: Mapping[str, Average] = {
    "error_mm": "median",
    "to_centre_mm": "median",
    "to_mask_mm": "median",
    "hit": "mean",
    "cell_hit": "mean",
    "mass_inside": "mean",
}
"""Distances are summed up by their median, shares by their mean."""


ORGAN_MEASURES = ("OrganIoU", "soft mass")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Everything that one evaluation found.

    Parameters
    ----------
    title
        What was evaluated.
    classification
        By model.
    organ_iou, lesions, comparisons
        Rows from :func:`organ_rows`, :func:`lesion_rows` and the ``..._comparison_rows`` functions.
    bands, bands_of
        Slice scores of cases with and without every label (Figure 13), and the model whose they are.
    left_out
        Rows of the pairs that OrganIoU leaves out.
    thresholds
        Where the thresholds of OrganIoU come from, in a sentence.
    notes
        Facts about the data and the models that a reader needs, in sentences.
    issues
        What whoever reads a number has to know, such as pairs that were left out.
    in_short
        Those of the notes that belong beside the first number: how many cases were judged, and what is too little.
    made
        When, by which versions and settings, and of what; plain JSON types.
    """

    title: str
    classification: Mapping[str, Classification] = field(default_factory=dict)
    organ_iou: Rows = ()
    lesions: Rows = ()
    comparisons: Rows = ()
    bands: tuple[Bands, ...] = ()
    bands_of: str = ""
    left_out: Rows = ()
    thresholds: str = ""
    notes: tuple[str, ...] = ()
    issues: tuple[Issue, ...] = ()
    in_short: tuple[str, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    def tables(self) -> dict[str, Rows]:
        """Return the rows of every table by its name; tables without rows are left out."""
        summaries = [row for name, found in self.classification.items() for row in summary_rows(found, name)]
        rows = [row for name, found in self.classification.items() for row in classification_rows(found, name)]
        bins = [row for name, found in self.classification.items() for row in calibration_rows(found, name)]
        named = {
            "summary": tuple(summaries),
            "labels": tuple(rows),
            "calibration": tuple(bins),
            "organ_iou": self.organ_iou,
            "organ_iou_left_out": self.left_out,
            "lesions": self.lesions,
            "comparisons": self.comparisons,
            "slice_scores": tuple(row for found in self.bands for row in band_rows(found)),
        }
        return {name: tuple(map(with_display_name, found)) for name, found in named.items() if found}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "intended_use": INTENDED_USE,
            "title": self.title,
            **self.made,
            "thresholds": self.thresholds or None,
            "issues": exported(self.issues),
            "notes": list(self.notes),
            "models": {name: _about(found) for name, found in self.classification.items()},
            **{name: [plain(row) for row in rows] for name, rows in self.tables().items()},
        }


def with_display_name(row: Row) -> Row:
    """Return a row that names a label, by itself or as a group, with what a reader calls it beside."""
    key = next((key for key in ("label", "group") if key in row), None)
    if key is None:
        return row
    name = str(row[key])
    shown = display_name(name) if key == "label" else _shown_group(name)
    items: dict[str, Any] = {}
    for column, value in row.items():
        items[column] = value
        if column == key:
            items["display_name"] = shown
    return items


def readable(row: Row) -> Row:
    """Return a row for the eyes of a reader: labels, measures and places as they are called, not as they are keyed."""
    shown: dict[str, Callable[[str], str]] = {
        "label": display_name,
        "group": _shown_group,
        "measure": measure_words,
        "placement": lambda name: PLACEMENTS.get(name, name),
        "variant": lambda name: VARIANTS.get(name, name),
    }
    return {key: shown[key](value) if key in shown and isinstance(value, str) else value for key, value in row.items()}


def _shown_group(name: str) -> str:
    """Return what a reader calls a group; a label may stand there with or without what marks it as a group."""
    return display_name(name.removeprefix(LABEL_GROUP))


def _about(found: Classification) -> dict[str, Any]:
    plan = found.resampling
    return {
        "n_cases": found.n_cases,
        "resamples": plan.n,
        "seed": plan.seed,
        "level": plan.level,
        "not_applicable": list(found.not_applicable),
    }


def summary_rows(found: Classification, model: str) -> list[Row]:
    """Return median and mean over labels of every metric."""
    n = len(found.labels) - len(found.not_applicable)
    return [
        {"model": model, "metric": METRIC_NAMES[metric], "average": average}
        | _interval(found.over_labels(metric, average))
        | {"n_labels": n, "n_cases": found.n_cases}
        for metric in METRICS
        for average in OVER_LABELS
    ]


def classification_rows(found: Classification, model: str) -> list[Row]:
    """Return one row for every label: counts and the four metrics with their intervals."""
    metrics = {metric: found.per_label(metric) for metric in METRICS}
    rows: list[Row] = []
    for name, n_positive in zip(found.labels, found.n_positive.tolist(), strict=True):
        row: dict[str, Any] = {"model": model, "label": name, "n_positive": n_positive, "n_cases": found.n_cases}
        for metric in METRICS:
            interval = metrics[metric][name]
            row |= {metric: interval.value, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        rows.append(row)
    return rows


def band_rows(found: Bands) -> list[Row]:
    """Return one row for every slice group (``group_index`` counts from 0 at the head): mean and band by truth."""
    sides = {"present": found.n_positive, "absent": found.n_negative}
    curves = {
        "present": (found.positives_mean, found.positives_low, found.positives_high),
        "absent": (found.negatives_mean, found.negatives_low, found.negatives_high),
    }
    return [
        {"label": found.label, "truth": side, "n_cases": n, "group_index": h, "band": found.kind}
        | {name: float(values[h]) for name, values in zip(("mean", "low", "high"), curves[side], strict=True)}
        for side, n in sides.items()
        for h in range(len(found.positives_mean))
    ]


def calibration_rows(found: Classification, model: str) -> list[Row]:
    """Return one row for every reliability bin of every label."""
    return [{"model": model, "label": name} | one.to_dict() for name, bins in found.reliability.items() for one in bins]


def organ_rows(
    curves: Mapping[str, OrganCurves],
    thresholds: Mapping[str, FloatArray],
    about: Row,
    resampling: Resampling | None = None,
    extra_groups: Mapping[str, BoolArray] | None = None,
    measures: Sequence[str] = ORGAN_MEASURES,
) -> Rows:
    """Return OrganIoU and soft mass of every source and group.

    Parameters
    ----------
    curves
        By source, of the test cases.
    thresholds
        By source, [M]: from :func:`training.evaluate.organ_iou.choose_thresholds` on that source's validation cases.
    about
        What all rows share: model, variant, placement.
    extra_groups
        Masks beside the label groups, such as :func:`training.evaluate.pairs.size_groups`.
    measures
        Which of ``ORGAN_MEASURES``.

    Raises
    ------
    ValueError
        If a source has no thresholds.
    """
    lacking = sorted(set(curves) - set(thresholds))
    if lacking:
        raise ValueError(f"no thresholds were chosen on validation for: {', '.join(lacking)}")
    rows: list[Row] = []
    for source, found in curves.items():
        groups = {**label_groups(found.labels), **(extra_groups or {})}
        chosen = {f"{LABEL_GROUP}{name}": _number(t) for name, t in zip(found.labels, thresholds[source], strict=True)}
        tables = {"OrganIoU": found.at(thresholds[source]), "soft mass": found.soft_mass()}
        for measure in measures:
            for one in summarise_pairs(tables[measure], groups, "mean", resampling):
                threshold = chosen.get(one.group) if measure == "OrganIoU" else None
                rows.append({**about, "source": source, "measure": measure, **_group(one), "threshold": threshold})
    return tuple(rows)


def lesion_rows(
    tables: Mapping[str, Mapping[str, FloatArray]],
    labels: Sequence[str],
    about: Row,
    extra_groups: Mapping[str, BoolArray] | None = None,
    resampling: Resampling | None = None,
) -> Rows:
    """Return every measure of :func:`training.evaluate.lesions.lesion_tables` for every source and group.

    Parameters
    ----------
    about
        What all rows share: model, placement.
    extra_groups
        Masks beside the label groups, such as :func:`training.evaluate.pairs.size_groups`.
    """
    groups = {**label_groups(labels), **(extra_groups or {})}
    return tuple(
        {**about, "source": source, "measure": measure, **_group(one)}
        for source, measures in tables.items()
        for measure in MEASURES
        for one in summarise_pairs(measures[measure], groups, LESION_AVERAGE[measure], resampling)
    )


def prediction_comparison_rows(first: Classification, second: Classification, names: tuple[str, str]) -> Rows:
    """Return first minus second for every metric, label and average; errors as :func:`compare_predictions`."""
    return tuple(
        {"first": names[0], "second": names[1], "measure": METRIC_NAMES[metric], "group": group} | _difference(found)
        for metric, rows in compare_predictions(first, second).items()
        for group, found in rows.items()
    )


def pair_comparison_rows(
    first: FloatArray,
    second: FloatArray,
    labels: Sequence[str],
    measure: str,
    names: tuple[str, str],
    average: Average = "mean",
    resampling: Resampling | None = None,
) -> Rows:
    """Return first minus second of two tables [N, M] of one measure for every group; errors as ``compare_pairs``."""
    found = compare_pairs(first, second, label_groups(labels), average, resampling)
    return tuple(
        {"first": names[0], "second": names[1], "measure": measure, "group": group} | _difference(one)
        for group, one in found.items()
    )


def _interval(found: Interval) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "n_resamples": found.n}


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "share_below_zero": found.below_zero,
        "n_resamples": found.n,
    }


def _group(one: GroupResult) -> dict[str, Any]:
    counts = {"n_pairs": one.n_pairs, "n_cases": one.n_cases}
    return {"group": one.group, "average": one.average, **_interval(one.estimate), **counts}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def check_free(folder: Path) -> None:
    """Refuse a place where something is already, or where no folder can be made; raises ``InputError``."""
    check_folder_place(folder, replaced=True)
    if folder.exists():
        fact = "exists already, and is left as it is"
        raise InputError(error("output-exists", fact, "Choose a folder that does not exist yet.", folder.name))


def write_evaluation(folder: Path, evaluation: Evaluation) -> Path:
    """Write ``folder``, completely or not at all: ``evaluation.json``, a CSV for every table, the page, Figure 13.

    Raises
    ------
    InputError
        If the place is not writable or the disk is full.
    FileExistsError
        If ``folder`` exists already (:func:`check_free` tells before).
    """
    from training.evaluate.figures import bands_picture  # both load matplotlib
    from training.evaluate.page import bands_title, page

    with atomic_path(folder, overwrite=False) as partial:
        partial.mkdir()
        text = json.dumps(evaluation.to_dict(), indent=1, allow_nan=False)
        (partial / JSON_FILE).write_text(text + "\n", encoding="utf-8")
        for name, rows in evaluation.tables().items():
            (partial / f"{name}.csv").write_text(to_csv(rows), encoding="utf-8")
        (partial / PAGE_FILE).write_text(page(evaluation), encoding="utf-8")
        if evaluation.bands:
            svg = bands_picture(evaluation.bands, bands_title(evaluation.bands_of))
            (partial / BANDS_FILE).write_text(svg, encoding="utf-8")
    return folder
