"""How well probabilities tell who has which abnormality: per label and over labels, with intervals over cases.

A label that no case has, or that all have, is not applicable by any metric here: NaN in arrays, None (JSON null) in
results, and it stays out of medians and means. So does, within one resample, a label of which no positive was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.evaluate.bootstrap import (
    Bootstrapped,
    Difference,
    FloatArray,
    Interval,
    Resampling,
    bootstrap,
    mean_over,
    median_over,
    ratio,
)
from training.evaluate.calibration import N_BINS, ReliabilityBin, reliability, weighted_calibration_error

Metric = Literal["auroc", "average_precision", "brier", "calibration_error"]
METRICS: tuple[Metric, ...] = ("auroc", "average_precision", "brier", "calibration_error")
METRIC_NAMES: Mapping[Metric, str] = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "calibration_error": "Expected calibration error",
}
OVER_LABELS = {"median": median_over, "mean": mean_over}


class Ranking:
    """One label's cases ranked by probability, for any number of case weightings at once.

    Cases of equal probability form one step of the ranking, so ties count as they should.
    """

    def __init__(self, probabilities: FloatArray, truth: FloatArray) -> None:
        self._order = np.argsort(probabilities, kind="stable")
        ranked = probabilities[self._order]
        self._positive = truth[self._order]
        self._starts = np.flatnonzero(np.append(ranked.size > 0, ranked[1:] != ranked[:-1]))
        self.steps = ranked[self._starts]

    def counts(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return positives and negatives [R, G] at every step, ascending, for weights [R, N]."""
        ranked = weights[:, self._order]
        positives = np.add.reduceat(ranked * self._positive, self._starts, axis=1)
        return positives, np.add.reduceat(ranked, self._starts, axis=1) - positives

    def auroc(self, weights: FloatArray) -> FloatArray:
        """Return [R]: the chance that a positive ranks above a negative, ties half (Mann-Whitney)."""
        positives, negatives = self.counts(weights)
        below = negatives.cumsum(axis=1) - negatives
        wins = (positives * (below + negatives / 2)).sum(axis=1)
        return ratio(wins, positives.sum(axis=1) * negatives.sum(axis=1))

    def average_precision(self, weights: FloatArray) -> FloatArray:
        """Return [R]: the mean over positives of the precision at their probability, without interpolation."""
        positives, negatives = self.counts(weights)
        hits = positives[:, ::-1].cumsum(axis=1)
        called = hits + negatives[:, ::-1].cumsum(axis=1)
        precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        return ratio((positives[:, ::-1] * precision).sum(axis=1), hits[:, -1])

    def roc(self) -> tuple[FloatArray, FloatArray]:
        """Return 1 - specificity and sensitivity, each [G + 1], from (0, 0) to (1, 1)."""
        positives, negatives = (counts[0, ::-1] for counts in self.counts(np.ones((1, self._order.size))))
        return (
            np.append(0.0, ratio(negatives.cumsum(), negatives.sum(keepdims=True))),
            np.append(0.0, ratio(positives.cumsum(), positives.sum(keepdims=True))),
        )


@dataclass(frozen=True, eq=False)
class Classification:
    """Metrics of M labels over N cases.

    ``n_positive`` is int [M]; ``bootstrapped`` holds M estimates for every metric, in the order of ``labels``;
    ``roc`` and ``reliability`` are for plots, and empty for labels that are not applicable.
    """

    labels: tuple[str, ...]
    n_cases: int
    n_positive: npt.NDArray[np.intp]
    bootstrapped: Mapping[Metric, Bootstrapped] = field(repr=False)
    roc: Mapping[str, tuple[FloatArray, FloatArray]] = field(repr=False)
    reliability: Mapping[str, tuple[ReliabilityBin, ...]] = field(repr=False)

    @property
    def resampling(self) -> Resampling:
        """How cases were drawn."""
        return self.bootstrapped["auroc"].resampling

    @property
    def not_applicable(self) -> tuple[str, ...]:
        """The labels that no case has, or all have."""
        return tuple(name for name in self.labels if name not in self.roc)

    def per_label(self, metric: Metric) -> dict[str, Interval]:
        """Return the metric of every label."""
        return dict(zip(self.labels, self.bootstrapped[metric].intervals(), strict=True))

    def over_labels(self, metric: Metric, average: str) -> Interval:
        """Return the ``"median"`` or ``"mean"`` over the applicable labels."""
        return self.bootstrapped[metric].derived(OVER_LABELS[average]).interval(0)


def evaluate_predictions(
    probabilities: npt.ArrayLike,
    truth: npt.ArrayLike,
    labels: Sequence[str],
    resampling: Resampling | None = None,
    n_bins: int = N_BINS,
) -> Classification:
    """Return AUROC, average precision, Brier score and calibration of every label.

    Parameters
    ----------
    probabilities
        Shape (N, M), in [0, 1].
    truth
        Shape (N, M), 0 or 1; NaN where it is not known, which leaves the case out for that label.
    labels
        M names.

    Raises
    ------
    ValueError
        If shapes do not agree, a probability is not in [0, 1], a truth is anything but 0, 1 and NaN, a label is named
        twice, or there is no case.
    """
    values, marks = _checked(probabilities, truth, labels)
    members = [LabelCases(p, t, n_bins) for p, t in zip(values.T, marks.T, strict=True)]

    def statistic(weights: FloatArray) -> FloatArray:
        return np.stack([member.metrics(weights) for member in members], axis=2).reshape(len(weights), -1)

    found = bootstrap(statistic, len(values), resampling)
    plotted = {name: member for name, member in zip(labels, members, strict=True) if member.applicable}
    return Classification(
        labels=tuple(labels),
        n_cases=len(values),
        n_positive=np.nansum(marks, axis=0).astype(np.intp),
        bootstrapped={metric: _columns(found, metric, len(labels)) for metric in METRICS},
        roc={name: member.ranking.roc() for name, member in plotted.items()},
        reliability={name: member.reliability() for name, member in plotted.items()},
    )


class LabelCases:
    """One label over the cases whose truth is known, and its metrics for any number of case weightings at once."""

    def __init__(self, probabilities: FloatArray, truth: FloatArray, n_bins: int) -> None:
        self._known = np.flatnonzero(~np.isnan(truth))
        self._probabilities, self._truth = probabilities[self._known], truth[self._known]
        self._n_bins = n_bins
        self.ranking = Ranking(self._probabilities, self._truth)

    @property
    def applicable(self) -> bool:
        """True if some case has the label and some has not."""
        return bool(0 < self._truth.sum() < self._truth.size)

    def metrics(self, weights: FloatArray) -> FloatArray:
        """Return [R, 4], in the order of ``METRICS``, for weights [R, N] of all cases; NaN if all drawn are alike."""
        if not self.applicable:
            return np.full((len(weights), len(METRICS)), np.nan)
        own = weights[:, self._known]
        total, positive = own.sum(axis=1), own @ self._truth
        parts = (
            self.ranking.auroc(own),
            self.ranking.average_precision(own),
            ratio(own @ np.square(self._probabilities - self._truth), total),
            weighted_calibration_error(self._probabilities, self._truth, self._n_bins, own),
        )
        both = (positive > 0) & (positive < total)
        return np.where(both[:, None], np.stack(parts, axis=1), np.nan)

    def reliability(self) -> tuple[ReliabilityBin, ...]:
        """Return the reliability bins."""
        return reliability(self._probabilities, self._truth, self._n_bins)


def _columns(found: Bootstrapped, metric: Metric, size: int) -> Bootstrapped:
    """Return a metric's K columns; intervals of the calibration error, which resampling makes larger, are corrected."""
    block = METRICS.index(metric)
    part = slice(block * size, (block + 1) * size)
    ends = (0.0, 1.0) if metric == "calibration_error" else None
    return replace(found, values=found.values[part], samples=found.samples[:, part], biased_within=ends)


def _checked(
    probabilities: npt.ArrayLike, truth: npt.ArrayLike, labels: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    values, marks = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if values.ndim != 2 or values.shape != marks.shape or values.shape[1] != len(labels):
        raise ValueError(f"expected shapes (N, {len(labels)}), got {values.shape} and {marks.shape}")
    if len(set(labels)) < len(labels):
        raise ValueError("a label is named twice")
    if not len(values) or not len(labels):
        raise ValueError("there is nothing to evaluate: no case or no label")
    if not ((values >= 0) & (values <= 1)).all():  # NaN included
        raise ValueError("probabilities must be in [0, 1]")
    if not (np.isin(marks, (0, 1)) | np.isnan(marks)).all():
        raise ValueError("truth must be 0 or 1, or NaN where it is not known")
    return values, marks


def compare_predictions(first: Classification, second: Classification) -> dict[Metric, dict[str, Difference]]:
    """Return first minus second, paired, for every metric: every label, then ``median`` and ``mean`` over labels.

    Raises
    ------
    ValueError
        If the two differ in labels, cases, truth or resampling.
    """
    if first.labels != second.labels or not np.array_equal(first.n_positive, second.n_positive):
        raise ValueError("a paired comparison needs the same labels and the same truth")
    rows: dict[Metric, dict[str, Difference]] = {}
    for metric in METRICS:
        a, b = first.bootstrapped[metric], second.bootstrapped[metric]
        rows[metric] = dict(zip(first.labels, a.differences(b), strict=True))
        for name, average in OVER_LABELS.items():
            rows[metric][f"{name} over labels"] = a.derived(average).differences(b.derived(average))[0]
    return rows
