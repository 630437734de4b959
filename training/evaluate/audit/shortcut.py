"""Whether the evidence for a label avoids the organ where it may lie: less inside than spread evenly, by a margin.

An untrained model spreads its evidence about evenly, so most of it lies outside small organs without any shortcut. A
label is suspected only if the share inside is clearly below that of an even spread over the cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

MIN_CASES = 10
"""Fewer predictions with evidence say nothing about a label."""

MARGIN = 0.8
"""The median ratio of the share inside to that of an even spread is clearly lower if its interval ends below this."""


class AgainstEven(StrEnum):
    """The evidence inside the allowed organ: clearly less than if spread evenly, about the same, clearly more."""

    LESS = "less"
    SAME = "same"
    MORE = "more"
    TOO_FEW = "too few"


@dataclass(frozen=True)
class Compared:
    """Median of the ratios over ``n`` predictions, its 95 % interval (None for too few), and what it comes to."""

    n: int
    ratio: float | None
    low: float | None
    high: float | None
    words: AgainstEven


def against_even(inside: npt.ArrayLike, even: npt.ArrayLike) -> Compared:
    """Return how the shares ``inside`` [n] compare with ``even`` [n], shares if the evidence were spread evenly.

    The interval of the median is that of the sign test: from order statistics, exact for any distribution (Conover,
    Practical Nonparametric Statistics, 3rd ed., section 3.2). What is NaN, or has no room inside, is left out.
    """
    shares, spread = np.asarray(inside, dtype=np.float64), np.asarray(even, dtype=np.float64)
    usable = ~np.isnan(shares) & (spread > 0)
    ratios = np.sort(shares[usable] / spread[usable])
    n = len(ratios)
    if not n:
        return Compared(0, None, None, None, AgainstEven.TOO_FEW)
    median, rank = float(np.median(ratios)), _rank(n)
    if n < MIN_CASES or rank < 1:
        return Compared(n, median, None, None, AgainstEven.TOO_FEW)
    low, high = float(ratios[rank - 1]), float(ratios[n - rank])
    return Compared(n, median, low, high, _words(low, high))


def _rank(n: int) -> int:
    """Return the rank, from 1, of the lower end of the 95 % interval of a median; 0 if there is none."""
    from scipy.stats import binom

    return int(binom.ppf(0.025, n, 0.5))


def _words(low: float, high: float) -> AgainstEven:
    if high < MARGIN:
        return AgainstEven.LESS
    return AgainstEven.MORE if low > 1 / MARGIN else AgainstEven.SAME
