"""Numbers in the words and digits that panels, figures and reports share."""

from __future__ import annotations

import math

NOT_FOR_CLINICAL_USE = "not for clinical use"
"""Said wherever a prediction is shown."""

NOT_AVAILABLE = "n/a"


def caution_words(training: object) -> str:
    """Return what a model is not for, from what its checkpoint says of its training."""
    told = str(training).lower()
    return f"trained on phantoms, {NOT_FOR_CLINICAL_USE}" if "phantom" in told else NOT_FOR_CLINICAL_USE


def percent(probability: float) -> str:
    """Return a probability in [0, 1] as a percentage; one decimal place near the ends, where it matters.

    Examples
    --------
    >>> percent(0.973), percent(0.0042), percent(0.0)
    ('97 %', '0.4 %', '0 %')
    """
    if math.isnan(probability):
        return NOT_AVAILABLE
    value = 100 * probability
    near_end = 0 < value < 1 or 99 < value < 100
    if near_end and 0.05 <= value < 99.95:
        return f"{value:.1f} %"
    if near_end:
        return "<0.1 %" if value < 1 else ">99.9 %"
    return f"{value:.0f} %"


def times_mean(ratio: float | None) -> str:
    """Return the ratio of a probability to the model's mean for that label, ``n/a`` where the mean is unknown."""
    if ratio is None or not math.isfinite(ratio):
        return NOT_AVAILABLE
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×"
