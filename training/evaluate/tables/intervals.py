"""Columns of an estimate and of a difference."""

from __future__ import annotations

from typing import Any

from training.evaluate.bootstrap import Difference, Interval


def interval_columns(found: Interval) -> dict[str, Any]:
    """Return an estimate with its interval."""
    return {"value": found.value, "low": found.low, "high": found.high, "n_resamples": found.n}


def difference_columns(found: Difference) -> dict[str, Any]:
    """Return a paired difference with its interval."""
    return {
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "share_below_zero": found.below_zero,
        "n_resamples": found.n,
    }
