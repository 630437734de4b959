"""Where the methods disagree about a case: Grad-CAM's mass in the wrong organ, HiResCAM's in the right one (figure 1).

All of it is closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.explain.budget import place_shares
from training.explain.display import Display, relu_max
from training.explain.result import METHODS, Explanation, Method
from training.labels import display_name, find_label, is_known
from training.partition.cells import OrganCells

DIFFERENCE_WORDS = "HiResCAM minus Grad-CAM, each cut at 0 and divided by its own maximum"
"""The two have different units, so that only their shapes can be subtracted."""

DISAGREEMENT_WORDS = (
    "Disagreement: 1 where all of HiResCAM's lies in the right organ and all of Grad-CAM's in wrong ones, −1 for the "
    "reverse, 0 where neither does so more."
)
"""What :class:`Disagreement` counts, and its range."""

SidesOf = Callable[[str], frozenset[str]]


@dataclass(frozen=True)
class MassShares:
    """Where the positive mass of a map lies: shares that add up to 1, or zeros where there is none."""

    allowed: float
    other_organs: float
    elsewhere: float


@dataclass(frozen=True)
class Disagreement:
    """How far the two methods disagree about one label of one case.

    ``value`` is the chance that, of one unit of evidence drawn from each map, HiResCAM's lies in the organ where the
    label may be and Grad-CAM's in another organ, minus the chance of the reverse: between -1 and 1, 1 if Grad-CAM
    shows the wrong organ throughout and HiResCAM the right one.
    """

    label: str
    probability: float
    hirescam: MassShares
    gradcam: MassShares
    case: str = ""

    @property
    def value(self) -> float:
        """h_allowed * g_other - g_allowed * h_other."""
        return self.hirescam.allowed * self.gradcam.other_organs - self.gradcam.allowed * self.hirescam.other_organs


def no_sides(_label: str) -> frozenset[str]:
    """Say that nothing is known of the side of any label."""
    return frozenset()


def method_disagreements(
    explanation: Explanation,
    cells: OrganCells,
    labels: Sequence[str] | None = None,
    sides_of: SidesOf = no_sides,
) -> list[Disagreement]:
    """Return the labels of one case, those first about which the methods disagree most.

    Parameters
    ----------
    cells
        Organs on the maps' cells.
    labels
        All that are among the 80 by default; others have no place.
    sides_of
        Gives the lungs in which a label is, if that is known.

    Raises
    ------
    InputError
        If the model has no maps.
    """
    wanted = [name for name in (explanation.labels if labels is None else labels) if is_known(name)]
    places = _Places(cells, sides_of)
    shares = {method: _shares_of(explanation, method, wanted, places) for method in METHODS}
    probabilities = [float(explanation.probabilities[explanation.index(name)]) for name in wanted]
    found = [
        Disagreement(name, probabilities[i], shares["hirescam"][i], shares["gradcam"][i], explanation.case_id)
        for i, name in enumerate(wanted)
    ]
    return sorted(found, key=lambda one: (-one.value, one.label))


class _Places:
    """Shares of every cell at the places of a label; the same object for all labels of one place."""

    def __init__(self, cells: OrganCells, sides_of: SidesOf) -> None:
        self._cells, self._sides_of = cells, sides_of
        self._made: dict[tuple[str, frozenset[str]], npt.NDArray[np.float64]] = {}

    def of(self, label: str) -> npt.NDArray[np.float64]:
        """Return [3, cells]: allowed organ, other organs, elsewhere."""
        group = find_label(label).organ_group
        key = (group, self._sides_of(label) if group == "lung" else frozenset())
        if key not in self._made:
            four = place_shares(
                self._cells.allowed_share(label, key[1]), self._cells.organ_share, self._cells.body
            ).reshape(4, -1)
            self._made[key] = np.stack([four[0], four[1], four[2] + four[3]])
        return self._made[key]


def _shares_of(explanation: Explanation, method: Method, labels: Sequence[str], places: _Places) -> list[MassShares]:
    return [_mass_shares(explanation.map(name, method, signed=False).reshape(-1), places.of(name)) for name in labels]


def _mass_shares(mass: npt.NDArray[np.float32], places: npt.NDArray[np.float64]) -> MassShares:
    by_place = places @ mass.astype(np.float64)
    total = float(by_place.sum())
    if total <= 0:
        return MassShares(0.0, 0.0, 0.0)
    allowed, other, elsewhere = (float(value) / total for value in by_place)
    return MassShares(allowed, other, elsewhere)


def method_difference(explanation: Explanation, label: str | int) -> Display:
    """Return where HiResCAM shows more (positive) or less than Grad-CAM, in -1 .. 1, as it is drawn.

    Raises
    ------
    InputError
        If the model has no maps.
    """
    values = relu_max(explanation.map(label, "hirescam")) - relu_max(explanation.map(label, "gradcam"))
    return Display(np.asarray(values, dtype=np.float32), (-1.0, 1.0), "diverging", DIFFERENCE_WORDS)


def disagreement_rows(found: Sequence[Disagreement]) -> Iterator[Mapping[str, object]]:
    """Yield one row per disagreement, plain types, for tables."""
    for one in found:
        yield {
            "case": one.case,
            "label": one.label,
            "display_name": display_name(one.label),
            "disagreement": one.value,
            "probability": one.probability,
            **{
                f"{method}_{place}": getattr(getattr(one, method), place)
                for method in METHODS
                for place in ("allowed", "other_organs", "elsewhere")
            },
        }
