"""The score budget: bias + evidence by place = score, exactly.

A HiResCAM map's cells are the terms its score was added up from (equation 7). Each cell's term is shared out over the
places its box covers: the organ where the abnormality may lie, the other organs, the rest of the body, and outside of
it. The shares of a cell add up to one, so the budget adds up to the score whatever the masks are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Place = Literal["allowed organ", "other organs", "rest of the body", "outside the body"]
PLACES: tuple[Place, ...] = ("allowed organ", "other organs", "rest of the body", "outside the body")

Shares = npt.NDArray[np.floating]


@dataclass(frozen=True)
class ScoreBudget:
    """Where a score came from, in score units.

    ``positive`` and ``negative`` follow ``PLACES``; the negative parts are at most 0.
    ``bias + sum(positive) + sum(negative)`` is the score as the map states it.
    """

    bias: float
    positive: tuple[float, float, float, float]
    negative: tuple[float, float, float, float]

    @property
    def score(self) -> float:
        """The sum of all parts."""
        return self.bias + sum(self.positive) + sum(self.negative)

    @property
    def evidence(self) -> float:
        """All positive evidence."""
        return sum(self.positive)

    def positive_share(self, place: Place) -> float:
        """Return the share of the positive evidence at ``place``; 0 if there is no positive evidence."""
        return self.positive[PLACES.index(place)] / self.evidence if self.evidence > 0 else 0.0


def place_shares(allowed: Shares, organs: Shares, body: Shares) -> npt.NDArray[np.float64]:
    """Return [4, H, D1, D2], the share of each cell at each of ``PLACES``; they add up to 1.

    Parameters
    ----------
    allowed
        [H, D1, D2] in [0, 1]: share of each cell in the organ where the label may lie.
    organs
        Share in any organ, the allowed one included.
    body
        Share inside the skin, organs included.

    Notes
    -----
    Organs count as body even where the body mask misses them (rounding at the skin), and the allowed organ as organ.
    """
    inside = np.clip(np.asarray(allowed, dtype=np.float64), 0.0, 1.0)
    any_organ = np.clip(np.maximum(organs, inside), 0.0, 1.0)
    any_body = np.clip(np.maximum(body, any_organ), 0.0, 1.0)
    return np.stack([inside, any_organ - inside, any_body - any_organ, 1.0 - any_body])


def score_budget(cells: npt.NDArray[np.floating], bias: float, shares: npt.NDArray[np.float64]) -> ScoreBudget:
    """Return the budget of one label.

    Parameters
    ----------
    cells
        [H, D1, D2] signed HiResCAM map, score units.
    bias
        What no cell carries.
    shares
        From :func:`place_shares`.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if shares.shape != (len(PLACES), *cells.shape):
        raise ValueError(f"shares have shape {shares.shape}, the map {cells.shape}")
    flat = np.asarray(cells, dtype=np.float64).reshape(-1)
    by_place = shares.reshape(len(PLACES), -1)
    positive = by_place @ np.maximum(flat, 0.0)
    negative = by_place @ np.minimum(flat, 0.0)
    return ScoreBudget(float(bias), _four(positive), _four(negative))


def _four(values: npt.NDArray[np.float64]) -> tuple[float, float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]), float(values[3]))
