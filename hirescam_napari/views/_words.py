"""Numbers in the words and digits that the panels share."""

from __future__ import annotations

import math

from training.words import NOT_AVAILABLE, NOT_FOR_CLINICAL_USE, percent, signed_share, times_mean

__all__ = [
    "NOT_AVAILABLE",
    "NOT_FOR_CLINICAL_USE",
    "duration",
    "percent",
    "residual_words",
    "signed",
    "signed_share",
    "times_mean",
]


def signed(value: float) -> str:
    """Return ``value`` with three significant digits, always with its sign (a true minus sign)."""
    return f"{value:+.3g}".replace("-", "−")


def residual_words(residual: float) -> str:
    """Return a relative completeness residual in words: to how many digits a map adds up to its score.

    Parameters
    ----------
    residual
        ``|sum(map) + bias - score| / scale``, not negative; NaN where it was not measured.
    """
    if math.isnan(residual):
        return "whether the map adds up to the score was not measured"
    if residual == 0:
        return "adds up to the score exactly"
    digits = math.floor(-math.log10(residual))
    if digits >= 2:
        return f"adds up to the score to {digits} digits"
    return f"misses the score by {percent(residual)}"


def duration(seconds: float) -> str:
    """Return a waiting time in the unit a person would use.

    Examples
    --------
    >>> duration(0.4), duration(41), duration(130)
    ('1 s', '41 s', '2 min 10 s')
    """
    whole = max(1, math.ceil(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
