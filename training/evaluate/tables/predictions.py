"""Rows of what a model predicts: metrics by label, averages, reliability, slice scores, two models compared."""

from __future__ import annotations

from typing import Any

from training.evaluate.bands import Bands
from training.evaluate.classification import METRIC_NAMES, METRICS, OVER_LABELS, Classification, compare_predictions
from training.evaluate.rows import Row, Rows
from training.evaluate.tables.intervals import difference_columns, interval_columns


def summary_rows(found: Classification, model: str) -> list[Row]:
    """Return median and mean over labels of every metric."""
    n = len(found.labels) - len(found.not_applicable)
    return [
        {"model": model, "metric": METRIC_NAMES[metric], "average": average}
        | interval_columns(found.over_labels(metric, average))
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


def prediction_comparison_rows(first: Classification, second: Classification, names: tuple[str, str]) -> Rows:
    """Return first minus second for every metric, label and average; errors as :func:`compare_predictions`."""
    return tuple(
        {"first": names[0], "second": names[1], "measure": METRIC_NAMES[metric], "group": group}
        | difference_columns(found)
        for metric, rows in compare_predictions(first, second).items()
        for group, found in rows.items()
    )
