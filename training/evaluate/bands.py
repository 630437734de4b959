"""Mean slice score of cases with and without an abnormality, with a 95 % band (Figure 13).

The paper's band is the 95 % confidence interval of the mean: where the mean of all such patients lies. A single case
may be far outside of it; the band of *cases* says between which scores 95 % of them are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from training.cohort.results import CohortStore

FloatArray = npt.NDArray[np.float64]
BandKind = Literal["mean", "cases"]

LEVEL = 0.95

MIN_CASES = 5
"""With fewer, the interval of a mean (12.7 standard errors for two cases) is so wide that it hides the curves."""


@dataclass(frozen=True, eq=False)
class Bands:
    """Two curves with a band each, over the slice groups: of cases with the label and of cases without it.

    Arrays are float64 [H]. They are NaN where they do not apply: all of a side without cases; the ends of the mean's
    interval of a side with fewer than ``MIN_CASES`` cases.
    """

    label: str
    kind: BandKind
    positives_mean: FloatArray
    positives_low: FloatArray
    positives_high: FloatArray
    negatives_mean: FloatArray
    negatives_low: FloatArray
    negatives_high: FloatArray
    n_positive: int
    n_negative: int


def slice_score_bands(
    store: CohortStore, label: str, kind: BandKind = "mean", cases: Collection[str] | None = None
) -> Bands | None:
    """Return the bands of one label over the cases of a store whose truth is known; None if none is known.

    Parameters
    ----------
    kind
        ``mean``: the 95 % confidence interval of the mean, by Student's t, as in the paper. ``cases``: from the 2.5th
        to the 97.5th percentile of the cases.
    cases
        These cases only; the paper's figure shows the test set.

    Raises
    ------
    KeyError
        If the store has no such label.
    """
    index = store.index(label)
    if store.truth is None:
        return None
    wanted = None if cases is None else set(cases)
    chosen = np.array([wanted is None or case in wanted for case in store.cases], dtype=bool)
    truth = np.where(chosen, store.truth[:, index], -1)
    if not (truth >= 0).any():
        return None
    return bands(label, store.label_slice_scores(label), truth, kind)


def bands(label: str, scores: npt.NDArray[np.floating], truth: npt.NDArray[np.integer], kind: BandKind) -> Bands:
    """Return the bands of slice scores [N, H]; ``truth`` [N] is 1 present, 0 absent, -1 unknown."""
    present, absent = (scores[truth == value].astype(np.float64) for value in (1, 0))
    return Bands(label, kind, *_curve(present, kind), *_curve(absent, kind), len(present), len(absent))


def _curve(scores: FloatArray, kind: BandKind) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, low and high [H] of scores [N, H]."""
    n, n_groups = scores.shape
    nothing = np.full(n_groups, np.nan)
    if n == 0:
        return nothing, nothing, nothing
    mean = scores.mean(axis=0)
    if kind == "cases":
        low, high = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        return mean, np.asarray(low), np.asarray(high)
    if n < MIN_CASES:
        return mean, nothing, nothing
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * scores.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half
