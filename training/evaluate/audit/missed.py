"""Why an abnormality may have been missed, from the exact books. A suggestion, like all that is computed; no verdict.

A score is bias + evidence for + evidence against, and a label is missed where that stays below the score at its
threshold. With P the evidence for it *in the allowed organ*, b the bias and t the score at the threshold:

- P is next to nothing: the model saw nothing where the abnormality may lie;
- b + P >= t: what it saw there would have been enough; evidence against it outweighed that;
- b + P < t: it saw something there, but too little to get from the bias to the threshold.

Evidence for it elsewhere (another organ, outside the body) counts for none of the three: it is not the finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from training.evaluate.audit.suggest import HARDLY_ANY
from training.explain.budget import PLACES

Floats = npt.NDArray[np.floating]


class Missed(StrEnum):
    """What the books say of a missed abnormality."""

    NOT_SEEN = "no evidence in the allowed organ"
    OUTWEIGHED = "outweighed by evidence against"
    TOO_WEAK = "too weak against the bias"
    UNKNOWN = "not known"


MISSED: tuple[Missed, ...] = tuple(Missed)


def missed(allowed: Floats, every: Floats, bias: Floats, threshold: Floats) -> npt.NDArray[np.int8]:
    """Return positions in :data:`MISSED`.

    Parameters
    ----------
    allowed
        [...]: positive evidence in the allowed organ, score units; NaN where nothing is known.
    every
        [...]: all evidence for and against and the bias, without signs.
    bias
        [...]: what no cell carries.
    threshold
        [...]: score at the threshold.
    """
    allowed = np.asarray(allowed, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        rules = (
            (np.isnan(allowed), Missed.UNKNOWN),
            (allowed <= HARDLY_ANY * every, Missed.NOT_SEEN),
            (bias + allowed >= threshold, Missed.OUTWEIGHED),
        )
    codes = [MISSED.index(kind) for _, kind in rules]
    found = np.select([np.broadcast_to(mask, allowed.shape) for mask, _ in rules], codes, MISSED.index(Missed.TOO_WEAK))
    return np.asarray(found, dtype=np.int8)


@dataclass(frozen=True)
class MissedWords:
    """The suggestion on one missed abnormality, with its numbers in score units.

    Parameters
    ----------
    kind
        What the books say.
    allowed, bias, threshold
        Evidence in the allowed organ, bias, score at the threshold.
    against
        Evidence against, negative, at :data:`training.explain.budget.PLACES`.
    """

    kind: Missed
    allowed: float = 0.0
    bias: float = 0.0
    threshold: float = 0.0
    against: tuple[float, ...] = (0.0,) * len(PLACES)

    @property
    def words(self) -> str:
        """The suggestion for a reader; empty where nothing is known."""
        there = f"evidence for it in the allowed organ ({_signed(self.allowed)})"
        need = f"the score at the threshold is {_signed(self.threshold)}"
        if self.kind is Missed.NOT_SEEN:
            return f"Missed, with hardly any {there}."
        if self.kind is Missed.OUTWEIGHED:
            place = PLACES[int(np.argmin(self.against))]
            against = f"evidence against it ({_signed(sum(self.against))}, most of it in: {place})"
            return (
                f"Missed, though the {there} and bias ({_signed(self.bias)}) would do: {against} outweighs it; {need}."
            )
        if self.kind is Missed.TOO_WEAK:
            return f"Missed: the {there} is too weak against the bias ({_signed(self.bias)}); {need}."
        return ""


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
