"""Measures of (case, label) pairs: micro means and medians over groups of pairs, with intervals over cases.

A table of a measure is float64 [N, M], case by label; NaN where there is nothing to measure, such as a label that the
case has not. A group is a boolean mask that fits the table: [M] for a choice of labels, [N, M] for a choice of pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.evaluate.bootstrap import (
    CHUNK_VALUES,
    BoolArray,
    Bootstrapped,
    Difference,
    FloatArray,
    Interval,
    Resampling,
    Statistic,
    bootstrap,
    ratio,
)
from training.labels import find_label, is_known

Average = Literal["mean", "median"]
OVERALL = "all"
LABEL_GROUP = "label: "
"""Before the name of a label that is a group by itself."""


def label_groups(labels: Sequence[str]) -> dict[str, BoolArray]:
    """Return masks [M]: all labels, each organ, region, extent and kind of the label table, and every label by itself.

    Labels that are not in the table are in ``all`` and in their own group only. Groups without a label are left out.
    """
    known = [find_label(name) if is_known(name) else None for name in labels]
    groups = {OVERALL: np.ones(len(labels), dtype=bool)}
    for axis in ("organ_group", "region", "extent", "kind"):
        values = [None if label is None else getattr(label, axis) for label in known]
        for value in dict.fromkeys(v for v in values if v is not None):
            groups[f"{axis.removesuffix('_group')}: {value}"] = np.array([v == value for v in values])
    for m, name in enumerate(labels):
        groups[f"{LABEL_GROUP}{name}"] = np.arange(len(labels)) == m
    return groups


def size_groups(diameter_mm: FloatArray, edges_mm: Sequence[float] = (10.0, 30.0)) -> dict[str, BoolArray]:
    """Return masks [N, M] by the size of a pair's lesion; pairs of unknown size (NaN) are in none.

    A group holds sizes from its lower edge (included) to its upper edge (excluded).
    """
    ends = (0.0, *edges_mm, np.inf)
    return {
        f"size: {low:g} mm and more" if np.isinf(high) else f"size: {low:g} to {high:g} mm": np.asarray(
            (diameter_mm >= low) & (diameter_mm < high)
        )
        for low, high in pairwise(ends)
    }


@dataclass(frozen=True)
class GroupResult:
    """One measure over one group of pairs: its average with an interval over cases, and how many pairs and cases."""

    group: str
    average: Average
    estimate: Interval
    n_pairs: int
    n_cases: int


def summarise_pairs(
    table: FloatArray,
    groups: Mapping[str, BoolArray],
    average: Average = "mean",
    resampling: Resampling | None = None,
) -> tuple[GroupResult, ...]:
    """Return the micro average of every group: every pair counts the same, whichever case or label it is of."""
    found = bootstrapped_pairs(table, groups, average, resampling).intervals()
    known = [~np.isnan(table) & mask for mask in groups.values()]
    return tuple(
        GroupResult(name, average, interval, int(mask.sum()), int(mask.any(axis=1).sum()))
        for name, interval, mask in zip(groups, found, known, strict=True)
    )


def compare_pairs(
    first: FloatArray,
    second: FloatArray,
    groups: Mapping[str, BoolArray],
    average: Average = "mean",
    resampling: Resampling | None = None,
) -> dict[str, Difference]:
    """Return first minus second for every group, over the pairs that both measure, paired by resample of the cases.

    Raises
    ------
    ValueError
        If the tables differ in shape.
    """
    if first.shape != second.shape:
        raise ValueError(f"a paired comparison needs equal tables, got {first.shape} and {second.shape}")
    both = ~np.isnan(first) & ~np.isnan(second)
    a, b = (bootstrapped_pairs(np.where(both, table, np.nan), groups, average, resampling) for table in (first, second))
    return dict(zip(groups, a.differences(b), strict=True))


def bootstrapped_pairs(
    table: FloatArray, groups: Mapping[str, BoolArray], average: Average, resampling: Resampling | None
) -> Bootstrapped:
    """Return the average of every group and of its resamples; errors as :func:`bootstrap`."""
    if table.ndim != 2:
        raise ValueError(f"a table of pairs is [cases, labels], got {table.ndim} axes")
    masks = [np.broadcast_to(mask, table.shape) & ~np.isnan(table) for mask in groups.values()]
    statistic = _means(table, masks) if average == "mean" else _medians(table, masks)
    return bootstrap(statistic, len(table), resampling)


def _means(table: FloatArray, masks: Sequence[BoolArray]) -> Statistic:
    sums = np.stack([np.where(mask, table, 0.0).sum(axis=1) for mask in masks], axis=1)
    counts = np.stack([mask.sum(axis=1) for mask in masks], axis=1).astype(np.float64)
    return lambda weights: ratio(weights @ sums, weights @ counts)


def _medians(table: FloatArray, masks: Sequence[BoolArray]) -> Statistic:
    ranked = [(table[mask], np.nonzero(mask)[0]) for mask in masks]
    orders = [np.argsort(values, kind="stable") for values, _ in ranked]
    pairs = [(values[order], cases[order]) for (values, cases), order in zip(ranked, orders, strict=True)]
    return lambda weights: np.stack([_weighted_medians(v, weights, cases) for v, cases in pairs], axis=1)


def _weighted_medians(values: FloatArray, weights: FloatArray, cases: npt.NDArray[np.intp]) -> FloatArray:
    """Return [R]: the median of ascending ``values``, each repeated as often as its case was drawn."""
    medians = np.full(len(weights), np.nan)
    rows = max(1, CHUNK_VALUES // max(1, values.size))
    for start in range(0, len(weights), rows):
        upto = weights[start : start + rows][:, cases].cumsum(axis=1)
        drawn = np.flatnonzero(upto[:, -1] > 0) if values.size else np.empty(0, dtype=np.intp)
        total = upto[drawn, -1:] if drawn.size else np.empty((0, 1))
        ends = [(upto[drawn] > np.floor(rank)).argmax(axis=1) for rank in ((total - 1) / 2, total / 2) if drawn.size]
        if ends:
            medians[start + drawn] = (values[ends[0]] + values[ends[1]]) / 2
    return medians
