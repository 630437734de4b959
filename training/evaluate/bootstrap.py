"""Confidence intervals and paired comparisons by resampling cases (percentile bootstrap, Efron & Tibshirani 1993).

A case is drawn with all its labels. Drawing N cases with replacement gives every case a weight (how often it was
drawn), so a *statistic* is a function of weights: [R, N] weights to [R, K] values, K at once, NaN where not applicable.
Weights of one give the estimate itself. Two models or methods judged on the same cases with the same
:class:`Resampling` see the same draws, so their difference is paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Statistic = Callable[[FloatArray], FloatArray]

CHUNK_VALUES = 1 << 22
"""How many weights are held at once (32 MiB)."""


@dataclass(frozen=True)
class Resampling:
    """How cases are drawn: ``n`` times, from ``seed``; intervals cover ``level`` of the resamples."""

    n: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.n < 0 or not 0 < self.level < 1:
            raise ValueError(f"expected n >= 0 and 0 < level < 1, got n={self.n} and level={self.level}")


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its interval; None where it does not apply.

    ``n`` is the number of resamples in which the estimate applies.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Return plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """First minus second, with its interval, and the share of the resamples in which it is below 0."""

    value: float | None
    low: float | None
    high: float | None
    below_zero: float | None
    n: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Return plain JSON types."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Bootstrapped:
    """K estimates, ``values`` [K], and the same of every resample, ``samples`` [R, K]; NaN where not applicable.

    ``biased_within``: the ends of what the estimates can be, where resampling shifts them to one side (a calibration
    error grows, as cases drawn twice make bins look further off). Their intervals are corrected for the bootstrap's
    bias, mean resample minus estimate (Efron & Tibshirani 1993, section 10.2): shifted by it and clipped to the ends.
    """

    values: FloatArray
    samples: FloatArray = field(repr=False)
    n_cases: int
    resampling: Resampling
    biased_within: tuple[float, float] | None = None

    def interval(self, k: int) -> Interval:
        """Return estimate ``k`` with its interval."""
        samples = self._resampled(k)
        if np.isnan(self.values[k]):
            return Interval(None, None, None, 0)
        return Interval(float(self.values[k]), *_ends(samples, self.resampling.level), samples.size)

    def intervals(self) -> tuple[Interval, ...]:
        """Return all K estimates with their intervals."""
        return tuple(self.interval(k) for k in range(self.values.size))

    def derived(self, function: Statistic) -> Bootstrapped:
        """Return what ``function`` ([R, K] to [R, L]) makes of the estimates, for example their median."""
        return replace(self, values=function(self.values[None])[0], samples=function(self.samples))

    def differences(self, other: Bootstrapped) -> tuple[Difference, ...]:
        """Return this minus ``other`` for all K, paired by resample.

        Raises
        ------
        ValueError
            If the two are not of the same cases drawn in the same way, or differ in K.
        """
        same = (self.n_cases, self.resampling, self.values.shape) == (
            other.n_cases,
            other.resampling,
            other.values.shape,
        )
        if not same:
            raise ValueError("a paired comparison needs the same cases, the same resampling and the same estimates")
        ends = self.biased_within
        minus = replace(
            self,
            values=self.values - other.values,
            samples=self.samples - other.samples,
            biased_within=None if ends is None else (ends[0] - ends[1], ends[1] - ends[0]),
        )
        return tuple(minus._difference(k) for k in range(self.values.size))

    def _difference(self, k: int) -> Difference:
        found, samples = self.interval(k), self._resampled(k)
        below = float((samples < 0).mean()) if found.value is not None and samples.size else None
        return Difference(found.value, found.low, found.high, below, found.n)

    def _resampled(self, k: int) -> FloatArray:
        """Return estimate ``k`` of the resamples in which it applies, less their bias where there is one."""
        samples = _applicable(self.samples[:, k])
        if self.biased_within is None or not samples.size or np.isnan(self.values[k]):
            return samples
        return np.asarray(np.clip(samples - (samples.mean() - self.values[k]), *self.biased_within))


def bootstrap(statistic: Statistic, n_cases: int, resampling: Resampling | None = None) -> Bootstrapped:
    """Return the estimates of ``statistic`` over ``n_cases`` cases and over resamples of them.

    Raises
    ------
    ValueError
        If there is no case.
    """
    if n_cases < 1:
        raise ValueError("a bootstrap needs at least one case")
    plan = resampling or Resampling()
    values = statistic(np.ones((1, n_cases)))[0]
    samples = [statistic(weights) for weights in case_weights(n_cases, plan)]
    return Bootstrapped(values, np.concatenate(samples or [np.empty((0, values.size))]), n_cases, plan)


def case_weights(n_cases: int, resampling: Resampling) -> Iterator[FloatArray]:
    """Yield, in chunks [r, N], how often every case was drawn in each resample; rows sum to N."""
    rng = np.random.default_rng(resampling.seed)
    rows = max(1, CHUNK_VALUES // n_cases)
    for start in range(0, resampling.n, rows):
        n = min(rows, resampling.n - start)
        drawn = rng.integers(0, n_cases, (n, n_cases)) + n_cases * np.arange(n)[:, None]
        yield np.bincount(drawn.ravel(), minlength=n * n_cases).reshape(n, n_cases).astype(np.float64)


def _applicable(samples: FloatArray) -> FloatArray:
    return samples[~np.isnan(samples)]


def _ends(samples: FloatArray, level: float) -> tuple[float | None, float | None]:
    if not samples.size:
        return (None, None)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high))


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Return the quotient; NaN where the denominator is 0."""
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=out, where=denominator != 0))


def mean_over(values: FloatArray) -> FloatArray:
    """Return the mean over the last axis, kept with length 1, of the values that are not NaN; NaN if there is none."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=-1, keepdims=True)
    return ratio(total, known.sum(axis=-1, keepdims=True).astype(np.float64))


def median_over(values: FloatArray) -> FloatArray:
    """Return the median over the last axis, kept with length 1, of the values that are not NaN; NaN if none."""
    n = (~np.isnan(values)).sum(axis=-1, keepdims=True)
    ranked = np.sort(values, axis=-1)  # NaN last
    low = np.take_along_axis(ranked, np.maximum(n - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ranked, np.minimum(n // 2, values.shape[-1] - 1), axis=-1)
    return np.asarray((low + high) / 2)
