"""Classification metrics per abnormality, from scores and ground truth of a set of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

FloatArray = npt.NDArray[np.float64]


def auroc(scores: npt.ArrayLike, truth: npt.ArrayLike) -> float | None:
    """Return the area under the receiver operating characteristic of one abnormality.

    The Mann-Whitney form: the chance that a case with the abnormality scores higher than one without it; ties count
    half.

    Parameters
    ----------
    scores
        Shape (N,), any monotone measure of belief.
    truth
        Shape (N,), 0 or 1.

    Returns
    -------
    float or None
        In [0, 1]; None (not applicable) if the cases are all positive or all negative.

    Raises
    ------
    ValueError
        If the shapes differ, a score is not finite, or a truth is neither 0 nor 1.
    """
    values, positive = _checked(scores, truth)
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if n_positive == 0 or n_negative == 0:
        return None
    rank_sum = float(rankdata(values)[positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def _checked(scores: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    values, marks = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    if values.shape != marks.shape or values.ndim != 1:
        raise ValueError(f"scores and truth must be 1-D of one length, got {values.shape} and {marks.shape}")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite")
    if not np.isin(marks, (0, 1)).all():
        raise ValueError("truth must be 0 or 1")
    return values, marks.astype(bool)


def auroc_per_label(scores: npt.ArrayLike, truth: npt.ArrayLike, labels: Sequence[str]) -> dict[str, float | None]:
    """Return :func:`auroc` of every label; ``scores`` and ``truth`` have shape (N, M), ``labels`` M names."""
    values, marks = np.asarray(scores), np.asarray(truth)
    if values.ndim != 2 or values.shape != marks.shape or values.shape[1] != len(labels):
        raise ValueError(f"expected shapes (N, {len(labels)}), got {values.shape} and {marks.shape}")
    return {name: auroc(values[:, m], marks[:, m]) for m, name in enumerate(labels)}


def mean_applicable(per_label: Mapping[str, float | None]) -> float | None:
    """Return the plain mean over the labels where the metric applies; None if there is none."""
    values = [value for value in per_label.values() if value is not None]
    return float(np.mean(values)) if values else None


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the probability (positive if probability >= threshold) and what it does on the set it is from."""

    threshold: float
    sensitivity: float
    specificity: float


def youden_point(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> OperatingPoint | None:
    """Return the threshold with the greatest Youden index, sensitivity + specificity - 1 (Youden 1950).

    The threshold is halfway between the two neighbouring probabilities it separates. Among equals the highest
    threshold is taken (fewest positive predictions). None if the cases are all positive or all negative.
    """
    values, positive = _checked(probabilities, truth)
    if positive.all() or not positive.any():
        return None
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], positive[order]
    sensitivity = np.cumsum(hits) / positive.sum()
    specificity = 1 - np.cumsum(~hits) / (~positive).sum()
    last_of_tie = np.append(ranked[:-1] != ranked[1:], True)
    best = int(np.argmax(np.where(last_of_tie, sensitivity + specificity, -np.inf)))
    below = ranked[best + 1] if best + 1 < ranked.size else ranked[best]
    return OperatingPoint(float((ranked[best] + below) / 2), float(sensitivity[best]), float(specificity[best]))
