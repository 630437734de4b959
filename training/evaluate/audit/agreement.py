"""Agreement between reviewers (Cohen's kappa), and shares with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from training.evaluate.audit.verdicts import VERDICTS, Standing, Subject, Verdict
from training.evaluate.bootstrap import FloatArray, Interval, Resampling, bootstrap, ratio

NORMAL_95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Share:
    """``count`` of ``of``, with its 95 % interval; None where there is nothing to share."""

    count: int
    of: int
    value: float | None
    low: float | None
    high: float | None


def share(count: int, of: int) -> Share:
    """Return a share with Wilson's score interval (Wilson 1927), which also holds at 0 and at 1 and for few cases.

    Raises
    ------
    ValueError
        Unless 0 <= count <= of.
    """
    if not 0 <= count <= of:
        raise ValueError(f"expected 0 <= count <= of, got {count} of {of}")
    if of == 0:
        return Share(0, 0, None, None, None)
    p, z2 = count / of, NORMAL_95**2
    centre = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = NORMAL_95 * (p * (1 - p) / of + z2 / (4 * of**2)) ** 0.5 / (1 + z2 / of)
    low = 0.0 if count == 0 else centre - half
    high = 1.0 if count == of else centre + half
    return Share(count, of, p, low, high)


@dataclass(frozen=True)
class Agreement:
    """How two reviewers agree on the subjects that both judged."""

    first: str
    second: str
    n: int
    observed: float | None
    kappa: Interval


def cohens_kappa(first: Sequence[Verdict], second: Sequence[Verdict]) -> float | None:
    """Return Cohen's kappa (Cohen 1960): (observed - expected agreement) / (1 - expected agreement).

    None if there is nothing to compare, or both gave one and the same verdict throughout.
    """
    if len(first) != len(second):
        raise ValueError(f"expected verdicts on the same subjects, got {len(first)} and {len(second)}")
    value = float(_kappa(_confusions(first, second).sum(axis=0)[None])[0, 0])
    return None if np.isnan(value) else value


def agreements(standing: Standing, resampling: Resampling | None = None) -> list[Agreement]:
    """Return the agreement of every two reviewers who judged the same subjects.

    Intervals come from drawing cases with replacement, each with all its labels.
    """
    by_reviewer: dict[str, dict[Subject, Verdict]] = {}
    for (reviewer, subject), entry in standing.items():
        if entry.verdict is not None:
            by_reviewer.setdefault(reviewer, {})[subject] = entry.verdict
    pairs = combinations(sorted(by_reviewer), 2)
    found = [_agreement(a, b, by_reviewer[a], by_reviewer[b], resampling) for a, b in pairs]
    return [one for one in found if one.n]


def _agreement(
    a: str, b: str, first: dict[Subject, Verdict], second: dict[Subject, Verdict], resampling: Resampling | None
) -> Agreement:
    both = sorted(first.keys() & second.keys())
    if not both:
        return Agreement(a, b, 0, None, Interval(None, None, None, 0))
    confusions = _confusions([first[s] for s in both], [second[s] for s in both])
    cases = sorted({subject.case for subject in both})
    by_case = np.zeros((len(cases), *confusions.shape[1:]))
    np.add.at(by_case, [cases.index(subject.case) for subject in both], confusions)
    found = bootstrap(lambda weights: _kappa(np.tensordot(weights, by_case, axes=1)), len(cases), resampling)
    observed = sum(first[s] == second[s] for s in both) / len(both)
    return Agreement(a, b, len(both), observed, found.interval(0))


def _confusions(first: Sequence[Verdict], second: Sequence[Verdict]) -> FloatArray:
    """Return one confusion matrix for each subject, [N, 6, 6]."""
    out = np.zeros((len(first), len(VERDICTS), len(VERDICTS)))
    for n, (a, b) in enumerate(zip(first, second, strict=True)):
        out[n, VERDICTS.index(a), VERDICTS.index(b)] = 1.0
    return out


def _kappa(confusions: FloatArray) -> FloatArray:
    """Return kappa [R, 1] of confusion matrices [R, 6, 6]; NaN where it is not defined."""
    total = confusions.sum(axis=(1, 2))
    observed = ratio(np.trace(confusions, axis1=1, axis2=2), total)
    expected = ratio((confusions.sum(axis=1) * confusions.sum(axis=2)).sum(axis=1), total**2)
    chance = np.where(np.isclose(expected, 1.0), 1.0, expected)
    return ratio(observed - chance, 1.0 - chance)[:, None]
