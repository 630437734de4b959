"""Calibration: does a probability of 0.3 mean that 3 cases of 10 have the abnormality? And the Brier score.

Bins are equally wide, [low, high), the last one closed. The expected calibration error is the mean distance between
mean probability and share of positives, every bin weighted with its cases (Naeini et al. 2015). It is never negative,
so chance makes it larger, and drawing cases again makes it larger once more: intervals by resampling need their bias
taken away (:class:`training.evaluate.bootstrap.Bootstrapped`, ``biased_within``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from training.evaluate.bootstrap import FloatArray, ratio

N_BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """The cases whose probability lies between ``low`` and ``high``; the means are None if there are none."""

    low: float
    high: float
    n: int
    mean_probability: float | None
    share_positive: float | None

    def to_dict(self) -> dict[str, float | int | None]:
        """Return plain JSON types."""
        return asdict(self)


def reliability(probabilities: npt.ArrayLike, truth: npt.ArrayLike, n_bins: int = N_BINS) -> tuple[ReliabilityBin, ...]:
    """Return the reliability bins of one label.

    Raises
    ------
    ValueError
        If a probability is not in [0, 1], or there is no bin.
    """
    values, marks = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    members = _members(values, n_bins)
    counts = members.sum(axis=0)
    means, shares = ratio(values @ members, counts), ratio(marks @ members, counts)
    edges = np.arange(n_bins + 1) / n_bins
    return tuple(
        ReliabilityBin(float(edges[k]), float(edges[k + 1]), int(counts[k]), _number(means[k]), _number(shares[k]))
        for k in range(n_bins)
    )


def expected_calibration_error(probabilities: npt.ArrayLike, truth: npt.ArrayLike, n_bins: int = N_BINS) -> float:
    """Return the expected calibration error of one label, in [0, 1]; NaN without cases. Errors as for bins."""
    values, marks = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    return float(weighted_calibration_error(values, marks, n_bins, np.ones((1, values.size)))[0])


def weighted_calibration_error(
    probabilities: FloatArray, truth: FloatArray, n_bins: int, weights: FloatArray
) -> FloatArray:
    """Return the expected calibration error [R] of one label for every row of case weights [R, N]."""
    gaps = _members(probabilities, n_bins) * (probabilities - truth)[:, None]
    return ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


def brier(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the Brier score of one label, the mean squared error of the probability, in [0, 1]; NaN without cases."""
    values, marks = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    return float(ratio(np.square(values - marks).sum(), np.asarray(float(values.size))))


def _members(probabilities: FloatArray, n_bins: int) -> FloatArray:
    """Return [N, B]: 1 where the case is in the bin."""
    if n_bins < 1:
        raise ValueError(f"calibration needs at least one bin, got {n_bins}")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():  # NaN included
        raise ValueError("probabilities must be in [0, 1]")
    inner_edges = np.arange(1, n_bins) / n_bins  # unlike linspace, 6 / 10 is 0.6
    index = np.searchsorted(inner_edges, probabilities, side="right")
    return np.asarray(index[:, None] == np.arange(n_bins), dtype=np.float64)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
