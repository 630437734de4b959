"""What the score budget suggests about a prediction. A suggestion is arithmetic and never a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from training.explain.budget import PLACES
from training.words import percent

MOST = 0.5
"""A place that holds more than this share of the evidence holds most of it."""

HARDLY_ANY = 0.01
"""Evidence for an abnormality below this share of all evidence, for and against, is hardly any."""


WORTH_SAYING = 0.01
"""Shares below it are left out of sentences, but for that of the allowed organ."""


class Hint(StrEnum):
    """Where the evidence for an abnormality lies mostly."""

    OUTSIDE_BODY = "outside the body"
    WRONG_PLACE = "wrong organ"
    RIGHT_ORGAN = "right organ"
    SPREAD = "spread"
    HARDLY_ANY = "hardly any evidence"
    UNKNOWN = "no organ masks"


ALLOWED_FIRST = "Evidence spread: more of it in the right organ than in any other place, but not more than half"
"""Of spread evidence of which the allowed organ holds the largest part."""

RULE = 2
"""The version of the rule (:func:`hints`) that found positions in :data:`HINTS`; kept ones of another are stale."""

HINTS: tuple[Hint, ...] = tuple(Hint)
HINT_WORDS = {
    Hint.OUTSIDE_BODY: "Evidence mostly outside the body",
    Hint.WRONG_PLACE: "Evidence mostly in the wrong organ",
    Hint.RIGHT_ORGAN: "Evidence mostly in the right organ",
    Hint.SPREAD: "Evidence spread, more than half of it in no one place",
    Hint.HARDLY_ANY: "Hardly any evidence for it: the score is bias and evidence against",
    Hint.UNKNOWN: "No organ masks are kept for this case",
}


@dataclass(frozen=True)
class Suggestion:
    """The suggestion for one prediction.

    Parameters
    ----------
    hint
        What the shares amount to.
    shares
        Of the positive evidence, at :data:`training.explain.budget.PLACES`; None where there is none, or no masks.
    chance
        The shares that evidence spread evenly over the map's cells would have.
    """

    hint: Hint
    shares: tuple[float, ...] | None = None
    chance: tuple[float, ...] | None = None

    @property
    def outside_allowed(self) -> bool:
        """True if most of the evidence lies outside the organ where the abnormality may be."""
        return self.shares is not None and self.hint is not Hint.HARDLY_ANY and self.shares[0] < MOST

    @property
    def words(self) -> str:
        """The suggestion for a reader, with its numbers."""
        if self.shares is None:
            return f"{HINT_WORDS[self.hint]}."
        elsewhere = sorted(zip(self.shares[1:], PLACES[1:], strict=True), reverse=True)
        parts = [f"{place} {percent(found)}" for found, place in elsewhere if found >= WORTH_SAYING]
        even = "" if self.chance is None else f" ({percent(self.chance[0])} if spread evenly)"
        own = f"{PLACES[0]} {percent(self.shares[0])}{even}"
        if self.hint is Hint.SPREAD and self.shares[0] >= max(self.shares[1:]):
            return f"{ALLOWED_FIRST}. {', '.join([own, *parts]).capitalize()}."
        return f"{HINT_WORDS[self.hint]}: {', '.join([*parts, own])}."


def hints(
    positive: npt.NDArray[np.floating], negative: npt.NDArray[np.floating], bias: npt.NDArray[np.floating]
) -> npt.NDArray[np.int8]:
    """Return positions in :data:`HINTS` from budgets.

    Parameters
    ----------
    positive, negative
        [..., 4]: parts of the budgets at ``PLACES``, score units; NaN where nothing is known.
    bias
        [...]: what no cell carries.

    Notes
    -----
    Outside the body if more than half of the positive evidence is there; else the right organ if more than half is in
    the allowed one; else the wrong organ if more than half is in other organs and the rest of the body (chest wall,
    bones, fat) together and one of the other places holds more than the allowed one; else spread. For false negatives
    too it is the evidence *for* the abnormality that is looked at, which is what the map shows.
    """
    total = np.asarray(positive, dtype=np.float64).sum(axis=-1)
    every = total - np.asarray(negative, dtype=np.float64).sum(axis=-1) + np.abs(bias)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = positive / total[..., None]
    allowed, other, rest, outside = (shares[..., i] for i in range(len(PLACES)))
    rules = (
        (np.isnan(total), Hint.UNKNOWN),
        (total <= HARDLY_ANY * every, Hint.HARDLY_ANY),
        (outside > MOST, Hint.OUTSIDE_BODY),
        (allowed > MOST, Hint.RIGHT_ORGAN),
        ((other + rest > MOST) & (np.maximum(np.maximum(other, rest), outside) > allowed), Hint.WRONG_PLACE),
    )
    codes = [HINTS.index(hint) for _, hint in rules]
    found = np.select([mask for mask, _ in rules], codes, HINTS.index(Hint.SPREAD))
    return np.asarray(found, dtype=np.int8)
