"""Numbers in the words and digits that panels, figures and reports share."""

from __future__ import annotations

import math
from collections.abc import Iterable

NOT_FOR_CLINICAL_USE = "not for clinical use"
"""Said wherever a prediction is shown."""

NOT_AVAILABLE = "n/a"


_VERBS = {"is": "are", "has": "have", "stays": "stay", "leaves": "leave"}


def counted(n: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless there is exactly one; a verb may follow ("case is").

    Examples
    --------
    >>> counted(1, "case"), counted(0, "wrong prediction"), counted(2, "abnormality"), counted(1200, "CT")
    ('1 case', '0 wrong predictions', '2 abnormalities', '1,200 CTs')
    """
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def counted_of(n: int, total: int, noun: str) -> str:
    """Return a part of a count: the noun goes with the whole, a verb behind it with the part.

    Examples
    --------
    >>> counted_of(1, 1, "case"), counted_of(1, 7, "case"), counted_of(1, 7, "case has")
    ('1 of 1 case', '1 of 7 cases', '1 of 7 cases has')
    """
    words, _, last = noun.rpartition(" ")
    if words and last in _VERBS:
        return f"{n:,} of {counted(total, words)} {agreed(n, last, _VERBS[last])}"
    return f"{n:,} of {counted(total, noun)}"


def plural(noun: str) -> str:
    """Return the plural of a noun, or of the last word of several; a verb behind it goes with it.

    Examples
    --------
    >>> plural("CT"), plural("abnormality"), plural("series"), plural("older volume has")
    ('CTs', 'abnormalities', 'series', 'older volumes have')
    """
    words, _, last = noun.rpartition(" ")
    if words and last in _VERBS:
        return f"{plural(words)} {_VERBS[last]}"
    if last == "series":
        return noun
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def agreed(n: int, one: str, many: str) -> str:
    """Return the form of a verb or pronoun that goes with a count: "is" or "are"."""
    return one if n == 1 else many


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


def percents_apart(first: float, second: float, most: int = 4) -> tuple[str, str]:
    """Return two probabilities as :func:`percent` does, with as many decimals as it takes to tell them apart.

    At most ``most``; what still looks equal then is taken for equal.

    Examples
    --------
    >>> percents_apart(0.562, 0.5603), percents_apart(0.3, 0.7), percents_apart(0.56, 0.56)
    (('56.2 %', '56.0 %'), ('30 %', '70 %'), ('56 %', '56 %'))
    """
    plain = (percent(first), percent(second))
    if plain[0] != plain[1] or first == second or math.isnan(first):
        return plain
    for decimals in range(1, most + 1):
        finer = (f"{100 * first:.{decimals}f} %", f"{100 * second:.{decimals}f} %")
        if finer[0] != finer[1]:
            return finer
    return plain


def percent_at(probability: float, decimals: int) -> str:
    """Return a probability in [0, 1] as a percentage with so many decimals; what is not 0 or 100 % never reads so.

    Examples
    --------
    >>> percent_at(0.502, 1), percent_at(0.9999, 1), percent_at(0.0001, 0), percent_at(1.0, 1)
    ('50.2 %', '>99.9 %', '<1 %', '100.0 %')
    """
    if math.isnan(probability):
        return NOT_AVAILABLE
    words, step = f"{100 * probability:.{decimals}f}", 10.0**-decimals
    if float(words) == 0 < probability:
        return f"<{step:.{decimals}f} %"
    return f">{100 - step:.{decimals}f} %" if probability < 1 and float(words) == 100 else f"{words} %"


def decimals_apart(probabilities: Iterable[float], threshold: float, most: int = 4) -> int:
    """Return with how many decimals percentages that stand together read apart from a threshold.

    As many as :func:`percent` gives any of them, and more, up to ``most``, where one looks like the threshold.

    Examples
    --------
    >>> decimals_apart([0.3, 0.7], 0.5), decimals_apart([0.498, 0.502], 0.5), decimals_apart([0.03, 0.999], 0.5)
    (0, 1, 1)
    """
    known = [p for p in probabilities if not math.isnan(p)]
    least = int(any("." in percent(p) for p in (*known, threshold)))
    limits = ((n, percent_at(threshold, n)) for n in range(least, most + 1))
    return next((n for n, limit in limits if all(p == threshold or percent_at(p, n) != limit for p in known)), most)


def signed_share(value: float) -> str:
    """Return a difference of shares, -1 to 1, with three decimals and its sign (a true minus sign); 0 has none.

    Examples
    --------
    >>> signed_share(0.0667), signed_share(-1.0), signed_share(5.75e-10), signed_share(-1e-9)
    ('+0.067', '−1.000', '0.000', '0.000')
    """
    words = f"{value:+.3f}"
    return "0.000" if float(words) == 0 else words.replace("-", "−")


def times_mean(ratio: float | None) -> str:
    """Return the ratio of a probability to the model's mean for that label, ``n/a`` where the mean is unknown.

    Examples
    --------
    >>> times_mean(12.3), times_mean(2.94), times_mean(0.02), times_mean(0.0)
    ('12×', '2.9×', '<0.1×', '0×')
    """
    if ratio is None or not math.isfinite(ratio):
        return NOT_AVAILABLE
    if ratio < 0.05:
        return "<0.1×" if ratio > 0 else "0×"
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×"
