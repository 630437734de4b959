"""Checks that every explanation passes before it is shown: do its books balance, and may its maps be read as evidence.

Nothing here repairs anything. What does not hold becomes an issue that is shown beside the maps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.explain.result import Explanation
from training.geometry import FloatArray
from training.issues import Issue, note, warning
from training.labels import display_name
from training.words import counted_of

TOLERANCE: Mapping[str, float] = {"fp32": 1e-4, "fp64": 1e-10, "bf16": 1e-4}
"""Largest residual (share of the score's scale, see :attr:`Explanation.scale`) by precision of the run.

They allow the rounding of sums of some ten thousand terms with a wide margin. bf16 is held to fp32's limit: it is the
trunk that runs in bf16, while the head computes the score in fp32 from the same Z that the maps are made of.
"""

ZERO_WORDS = "This map is zero everywhere: nothing in the CT counted for or against, and it explains nothing."
"""Said instead of a guarantee, which such a map keeps and is not worth anything."""


LITTLE = 0.01
"""Evidence for an abnormality up to this share of its score's scale is hardly any: colours would be drawn of noise."""

NO_EVIDENCE, HARDLY_ANY_EVIDENCE = "No evidence for it in any cell", "Hardly any evidence for it"


def evidence_words(explanation: Explanation, label: str | int) -> str:
    """Return that the HiResCAM map of ``label`` holds no evidence for it, or hardly any; empty otherwise.

    None: no cell is above 0. Hardly any: all cells above 0 together come to at most ``LITTLE`` of
    :attr:`Explanation.scale`, which is all evidence for and against with the bias. The score itself may be near zero by
    cancellation, and a single cell is small wherever evidence is spread over many. Empty without maps.
    """
    if not explanation.has_maps:
        return ""
    index, summary = explanation.index(label), explanation.summary("hirescam")
    if summary.high[index] <= 0:
        return NO_EVIDENCE
    positive = (summary.absolute[index] + summary.total[index]) / 2
    return HARDLY_ANY_EVIDENCE if positive <= LITTLE * explanation.scale[index] else ""


def tolerance(precision: str) -> float:
    """Return the largest residual that ``precision`` explains.

    Raises
    ------
    ValueError
        If there is no such precision.
    """
    if precision not in TOLERANCE:
        raise ValueError(f"no precision is called {precision!r}; there are {', '.join(TOLERANCE)}")
    return TOLERANCE[precision]


def completeness(explanation: Explanation) -> tuple[Issue, ...]:
    """Return what is wrong with sum(map) + bias = score (equations 7 and 10); empty if the books balance.

    Where the head carries no guarantee the sum need not be the score; a note says so, with how far apart they are.
    """
    if not explanation.has_maps:
        return (note("no-map", f"Model {explanation.model.name}: {explanation.model.guarantee_words}"),)
    residual = explanation.residual
    if not len(residual):
        return ()
    return (*_zero_maps(explanation), *_books(explanation, residual))


def is_zero(explanation: Explanation, label: str | int | None = None) -> bool:
    """Return True if the HiResCAM map of ``label`` (of every label if None) is zero in every cell; False without maps.

    Such a map adds up to the score, being nothing, and explains nothing.
    """
    if not explanation.has_maps or not explanation.labels:
        return False
    absolute = explanation.summary("hirescam").absolute
    return bool((absolute if label is None else absolute[explanation.index(label)]).max() == 0)


def _zero_maps(explanation: Explanation) -> tuple[Issue, ...]:
    zero = [name for name, total in zip(explanation.labels, explanation.summary().absolute, strict=True) if total == 0]
    if not zero:
        return ()
    if len(zero) == len(explanation.labels):
        fact = "The map is zero everywhere for every abnormality: the scores do not depend on this CT"
        return (warning("zero-map", fact, "Check the model: its weights may be all zero, or its training failed."),)
    named = ", ".join(map(display_name, zero[:3])) + (", ..." if len(zero) > 3 else "")
    fact = f"The map is zero everywhere for {counted_of(len(zero), len(explanation.labels), 'abnormality')} ({named}): "
    return (note("zero-map", f"{fact}nothing in this CT counted for or against, and the map explains nothing"),)


def _books(explanation: Explanation, residual: FloatArray) -> tuple[Issue, ...]:
    worst = int(residual.argmax())
    if not explanation.model.guarantee_holds:
        return (_no_guarantee(explanation, worst),)
    limit = tolerance(explanation.precision)
    if residual[worst] <= limit:
        return ()
    return (_incomplete(explanation, worst, int((residual > limit).sum()), limit),)


def _no_guarantee(explanation: Explanation, worst: int) -> Issue:
    return note(
        "no-guarantee",
        f"The maps shown for model {explanation.model.name} need not add up to the score: they miss it by up to "
        f"{explanation.residual[worst]:.2g} of its scale ({display_name(explanation.labels[worst])}). "
        f"{explanation.model.guarantee_words}",
    )


def _incomplete(explanation: Explanation, worst: int, n_bad: int, limit: float) -> Issue:
    return warning(
        "incomplete-explanation",
        f"The maps of {counted_of(n_bad, len(explanation.labels), 'abnormality')} do not add up to the scores: "
        f"{display_name(explanation.labels[worst])} is off by {explanation.residual[worst]:.2g} of the score's scale, "
        f"where rounding in {explanation.precision} explains at most {limit:.0e}.",
        "Do not read these maps as what the model used; run again with precision fp32 and check the model file.",
    )


def completeness_words(explanation: Explanation) -> str:
    """Return in one sentence, for readers, whether the maps account for the scores."""
    if not explanation.has_maps:
        return explanation.model.guarantee_words
    if is_zero(explanation):
        return ZERO_WORDS
    if not explanation.model.guarantee_holds:
        return "This model's maps need not add up to its scores."
    worst = float(np.max(explanation.residual, initial=0.0))
    if worst > tolerance(explanation.precision):
        return f"The maps do NOT add up to the scores: up to {_share(worst)} of a score's evidence is unaccounted for."
    return f"The maps and the bias add up to the scores (unaccounted for: at most {_share(worst)})."


def _share(value: float) -> str:
    """Return a share as parts per million, or per cent once that reads better."""
    return f"{value:.2%}" if value >= 1e-3 else f"{value * 1e6:.2g} parts per million"
