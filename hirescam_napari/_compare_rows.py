"""Rows of the comparison's lists: numbers in the words and digits of the panels."""

from __future__ import annotations

from hirescam_napari.views._words import percent, signed, signed_share, times_mean
from training.evaluate.compare import Disagreement, ModelPair, Order
from training.evaluate.sheet_tiles import Tile
from training.explain.budget import PLACES, ScoreBudget
from training.labels import display_name


def disagreement_row(one: Disagreement) -> tuple[str, str, str, str]:
    """Return abnormality, disagreement, HiResCAM's share in the right organ and Grad-CAM's in the wrong one."""
    right, wrong = percent(one.hirescam.allowed), percent(one.gradcam.other_organs)
    return (display_name(one.label), signed_share(one.value), right, wrong)


def pair_row(one: ModelPair) -> tuple[str, str, str]:
    """Return abnormality and both probabilities with their ratios to each model's mean."""
    said = [
        percent(p) + ("" if ratio is None else f" ({times_mean(ratio)})")
        for p, ratio in zip(one.probabilities, one.ratios, strict=True)
    ]
    return (display_name(one.label), said[0], said[1])


def tile_row(one: Tile, order: Order) -> tuple[str, str, str, str]:
    """Return case, probability, disagreement if the sheet is ordered by it, and whether the prediction was right."""
    value = signed_share(one.entry.value) if order == "disagreement" else ""
    return (one.entry.case, one.probability_words, value, one.outcome)


def budget_rows(first: ScoreBudget, second: ScoreBudget) -> list[tuple[str, str, str]]:
    """Return one row per place with the evidence for and against in both models, then bias and score."""
    rows = [(place, _parts(first, i), _parts(second, i)) for i, place in enumerate(PLACES)]
    ends = [("bias", first.bias, second.bias), ("score", first.score, second.score)]
    return [*rows, *((name, signed(a), signed(b)) for name, a, b in ends)]


def _parts(budget: ScoreBudget, place: int) -> str:
    return f"{signed(budget.positive[place])}, {signed(budget.negative[place])}"
