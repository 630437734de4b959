"""Two models compared on one case: probability, ratio to each model's mean, and score budget (figure 14)."""

from __future__ import annotations

from dataclasses import dataclass

from training.explain.budget import ScoreBudget, place_shares, score_budget
from training.explain.result import Explanation
from training.issues import InputError, error
from training.partition.cells import OrganCells


@dataclass(frozen=True)
class ModelPair:
    """What two models say of one label of the same CT; ``ratios`` are to each model's own mean probability."""

    label: str
    probabilities: tuple[float, float]
    ratios: tuple[float | None, float | None]
    scores: tuple[float, float]

    @property
    def difference(self) -> float:
        """Second minus first probability."""
        return self.probabilities[1] - self.probabilities[0]


def check_comparable(first: Explanation, second: Explanation) -> None:
    """Refuse two results that do not belong together.

    Raises
    ------
    InputError
        If they were made from different CTs, or have no label in common.
    """
    pixels = [one.provenance.get("pixels_sha256", "") for one in (first, second)]
    if all(pixels) and pixels[0] != pixels[1]:
        fact = "the two results were made from different CTs"
        raise InputError(error("other-ct", fact, "Run the second model on the CT that is open."))
    if not set(first.labels) & set(second.labels):
        fact = f"models {first.model.name} and {second.model.name} have no abnormality in common"
        raise InputError(error("no-common-label", fact, "Choose models with the same labels."))


def compare_models(first: Explanation, second: Explanation) -> list[ModelPair]:
    """Return the labels that both models have, those first whose probabilities differ most.

    Raises
    ------
    InputError
        As for :func:`check_comparable`.
    """
    check_comparable(first, second)
    both = [name for name in first.labels if name in second.labels]
    found = [
        ModelPair(
            name,
            (_probability(first, name), _probability(second, name)),
            (first.ratio_to_mean(name), second.ratio_to_mean(name)),
            (float(first.scores[first.index(name)]), float(second.scores[second.index(name)])),
        )
        for name in both
    ]
    return sorted(found, key=lambda one: (-abs(one.difference), one.label))


def budget_of_label(
    explanation: Explanation, cells: OrganCells, label: str, sides: frozenset[str] = frozenset()
) -> ScoreBudget:
    """Return where the score of ``label`` came from.

    Raises
    ------
    KeyError
        If the label is not one of the 80.
    InputError
        If the model has no maps.
    """
    shares = place_shares(cells.allowed_share(label, sides), cells.organ_share, cells.body)
    return score_budget(explanation.map(label), float(explanation.bias[explanation.index(label)]), shares)


def _probability(explanation: Explanation, label: str) -> float:
    return float(explanation.probabilities[explanation.index(label)])
