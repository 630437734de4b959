"""How evenly slices lie along the normal, and the even grid that could replace an uneven one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.geometry import FloatArray
from training.issues import Issue, error, warning

SPACING_ACCEPTED = 0.01
"""Relative deviation of a slice distance that is accepted."""

SPACING_REFUSED = 0.10
"""Relative deviation above which the series is refused; between the two it is read with a warning."""

MAX_GROWTH = 4.0
"""A repair that needs more slices than this for each one there is would be invention."""

_REPAIR = "Read it with repair to interpolate along z."


@dataclass(frozen=True)
class Unevenness:
    """What is wrong with the distances: ``code``, the fact in words, and the even ``step_mm`` that would mend it."""

    code: str
    fact: str
    step_mm: float
    file: str | None = None


def spacing_issues(z_mm: FloatArray, files: Sequence[str]) -> list[Issue]:
    """Return what is wrong with slices at ``z_mm`` (ascending) of ``files``."""
    steps = np.diff(z_mm)
    if steps.min() <= 1e-3 or _at_same_place(steps):
        k = int(np.argmin(steps))
        fact = f"it lies at the same place as {files[k]} but shows something else"
        way_out = "Nothing in the headers tells the two sets apart; export one of them alone."
        return [error("same-position", fact, way_out, files[k + 1])]
    uneven = find_unevenness(z_mm, files)
    if uneven is not None:
        growth = len(even_positions(z_mm, uneven.step_mm)) / len(z_mm)
        repairable = growth <= MAX_GROWTH
        way_out = _REPAIR if repairable else "Too much is missing for a repair; export the series again."
        return [error(uneven.code, uneven.fact, way_out, uneven.file, repairable)]
    worst = float(np.abs(steps / np.median(steps) - 1).max())
    if worst > SPACING_ACCEPTED:
        return [warning("uneven-spacing", f"slice distances vary by {worst:.1%}; their mean is used")]
    return []


def find_unevenness(z_mm: FloatArray, files: Sequence[str]) -> Unevenness | None:
    """Return how the slices fail to lie evenly, beyond what is accepted; None if they do not."""
    steps = np.diff(z_mm)
    usual = float(np.median(steps))
    grid = z_mm[0] + np.arange(len(z_mm)) * (z_mm[-1] - z_mm[0]) / len(steps)
    even_steps = np.abs(steps / usual - 1).max() <= SPACING_REFUSED
    if even_steps and np.abs(z_mm - grid).max() <= usual / 2:
        return None
    blocks = _two_blocks(steps)
    if blocks is not None:
        first, second = blocks
        fact = f"it consists of two blocks: slices lie {first:.4g} mm apart, then {second:.4g} mm"
        return Unevenness("two-spacings", fact, min(first, second))
    missing = np.rint(steps / usual) - 1
    if not even_steps and np.abs(steps / usual - 1 - missing).max() <= SPACING_REFUSED:
        return _missing_slices(z_mm, missing, usual, files)
    fact = f"slice distances are irregular: {steps.min():.4g} to {steps.max():.4g} mm, usually {usual:.4g} mm"
    return Unevenness("irregular-spacing", fact, usual)


def even_positions(z_mm: FloatArray, step_mm: float) -> FloatArray:
    """Return even positions from the first slice to the last, as close to ``step_mm`` apart as that allows."""
    count = max(1, round(float(z_mm[-1] - z_mm[0]) / step_mm))
    return np.linspace(z_mm[0], z_mm[-1], count + 1)


def _at_same_place(steps: FloatArray) -> bool:
    return bool(steps.min() < SPACING_ACCEPTED * np.median(steps))


def _two_blocks(steps: FloatArray) -> tuple[float, float] | None:
    """Return the two distances if the first few steps have one and all others have another."""
    for k in range(2, len(steps) - 1):
        first, second = float(np.median(steps[:k])), float(np.median(steps[k:]))
        even = max(np.abs(steps[:k] / first - 1).max(), np.abs(steps[k:] / second - 1).max()) <= SPACING_ACCEPTED * 2
        if even and abs(first / second - 1) > SPACING_ACCEPTED * 2:
            return first, second
    return None


def _missing_slices(z_mm: FloatArray, missing: FloatArray, usual: float, files: Sequence[str]) -> Unevenness:
    count, gaps = int(missing.sum()), np.flatnonzero(missing)
    k = int(gaps[0])
    code = "missing-slice" if count == 1 else "missing-slices"
    what = "1 slice is" if count == 1 else f"{count} slices are"
    where = f"between {files[k]} and {files[k + 1]}" + (
        "" if len(gaps) == 1 else f" and at {len(gaps) - 1} more places"
    )
    distance = f"{z_mm[k + 1] - z_mm[k]:.4g} mm apart instead of {usual:.4g}"
    return Unevenness(code, f"{what} missing {where} ({distance})", usual, files[k])
