"""Rows of where maps lie, in organs and at lesions, by source and group, and of two such tables compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.evaluate.bootstrap import BoolArray, FloatArray, Resampling
from training.evaluate.lesions import MEASURES
from training.evaluate.organ_iou import OrganCurves
from training.evaluate.pairs import LABEL_GROUP, Average, GroupResult, compare_pairs, label_groups, summarise_pairs
from training.evaluate.rows import Row, Rows
from training.evaluate.tables.intervals import difference_columns, interval_columns

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
        {"first": names[0], "second": names[1], "measure": measure, "group": group} | difference_columns(one)
        for group, one in found.items()
    )


def _group(one: GroupResult) -> dict[str, Any]:
    counts = {"n_pairs": one.n_pairs, "n_cases": one.n_cases}
    return {"group": one.group, "average": one.average, **interval_columns(one.estimate), **counts}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
