"""Lengths in a sentence, mm, and which of them a report calls a short or a long axis."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from training.partition.reports.context import Clause
from training.partition.reports.tokens import Sentence

Axis = Literal["short", "long"]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?$")
_MM = {
    "mm": 1.0,
    "millimeter": 1.0,
    "millimeters": 1.0,
    "millimetre": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "centimeters": 10.0,
}
_AXES: dict[str, Axis] = {"short": "short", "shortest": "short", "long": "long", "longest": "long"}
_NOUNS = frozenset({"axis", "axes", "diameter", "diameters"})


@dataclass(frozen=True)
class Length:
    """A length in mm, and the axis that it is said to be of; None if the report does not say."""

    mm: float
    axis: Axis | None = None


def lengths(sentence: Sentence, part: Clause) -> tuple[Length, ...]:
    """Return the lengths named in a clause: "12 mm", "1.5 cm", "17 x 13 mm" (both), "6 mm in short axis"."""
    return tuple(length for words in _segments(sentence, part) for length in _of_segment(words))


def short_axis_mm(found: Sequence[Length]) -> float | None:
    """Return the short axis, mm: the largest that is called one, else the smaller of two lengths of unknown axis.

    None if no length is named, or only long axes.
    """
    called = [length.mm for length in found if length.axis == "short"]
    return max(called) if called else min([length.mm for length in found if length.axis is None][:2], default=None)


def long_axis_mm(found: Sequence[Length]) -> float | None:
    """Return the largest length that is called a long axis; None if none is."""
    return max((length.mm for length in found if length.axis == "long"), default=None)


def _segments(sentence: Sentence, part: Clause) -> Iterator[tuple[str, ...]]:
    """Yield the words of a clause between commas, colons and brackets: an axis goes with lengths of its own segment."""
    start = part.start
    for at in range(part.start + 1, part.stop):
        if set(sentence.breaks[at]) & set(",:()"):
            yield sentence.words[start:at]
            start = at
    yield sentence.words[start : part.stop]


def _of_segment(words: tuple[str, ...]) -> list[Length]:
    """Return lengths with their axes: named before each ("short axis of 6 mm") or behind each ("6 mm short axis")."""
    found: list[tuple[int, float]] = []
    pending: list[float] = []
    for at, word in enumerate(words):
        if _NUMBER.match(word):
            pending.append(float(word.replace(",", ".")))
        elif word in _MM:
            found += [(at, value * _MM[word]) for value in pending]
            pending = []
        elif word != "x":
            pending = []
    axes = [(at, _AXES[word]) for at, word in enumerate(words[:-1]) if word in _AXES and words[at + 1] in _NOUNS]
    before = bool(axes) and bool(found) and axes[0][0] < found[0][0]
    return [Length(mm, _axis(at, axes, before)) for at, mm in found]


def _axis(at: int, axes: Sequence[tuple[int, Axis]], before: bool) -> Axis | None:
    """Return the last axis before the unit at ``at``, or the first behind it."""
    if before:
        return next((axis for place, axis in reversed(axes) if place < at), None)
    return next((axis for place, axis in axes if place > at), None)
