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


_BOUNDS = (("below",), ("under",), ("less", "than"), ("smaller", "than"), ("not", "exceed"), ("not", "exceeding"))
"""Words right before a number that say that a length stays below it; so does the sign <."""


@dataclass(frozen=True)
class Length:
    """A length in mm, the axis that it is said to be of (None if the report does not say), and whether it is a bound.

    ``below``: the report says that the length is less than ``mm``.
    """

    mm: float
    axis: Axis | None = None
    below: bool = False

    def reaches(self, mm: float) -> bool:
        """Return True if the length is ``mm`` or more."""
        return self.mm > mm if self.below else self.mm >= mm

    def __str__(self) -> str:
        return f"{'below ' if self.below else ''}{self.mm:g} mm"


def lengths(sentence: Sentence, part: Clause) -> tuple[Length, ...]:
    """Return the lengths named in a clause: "12 mm", "1.5 cm", "17 x 13 mm" (both), "6 mm in short axis"."""
    return tuple(length for segment in _segments(sentence, part) for length in _of_segment(sentence, segment))


def short_axis(found: Sequence[Length]) -> Length | None:
    """Return the short axis: the largest that is called one, else the smaller of two lengths of unknown axis.

    None if no length is named, or only long axes.
    """
    called = [length for length in found if length.axis == "short"]
    if called:
        return max(called, key=lambda length: length.mm)
    return min([length for length in found if length.axis is None][:2], key=lambda length: length.mm, default=None)


def long_axis(found: Sequence[Length]) -> Length | None:
    """Return the largest length that is called a long axis; None if none is."""
    return max((length for length in found if length.axis == "long"), key=lambda length: length.mm, default=None)


def _segments(sentence: Sentence, part: Clause) -> Iterator[Clause]:
    """Yield a clause's pieces between commas, colons and brackets: an axis goes with lengths of its own piece."""
    start = part.start
    for at in range(part.start + 1, part.stop):
        if set(sentence.breaks[at]) & set(",:()"):
            yield Clause(start, at)
            start = at
    yield Clause(start, part.stop)


def _of_segment(sentence: Sentence, segment: Clause) -> list[Length]:
    """Return lengths with their axes: named before each ("short axis of 6 mm") or behind each ("6 mm short axis")."""
    words = sentence.words[segment.start : segment.stop]
    found: list[tuple[int, float, bool]] = []
    pending: list[tuple[float, bool]] = []
    for at, word in enumerate(words):
        if _NUMBER.match(word):
            below = "<" in sentence.breaks[segment.start + at] or any(words[:at][-len(b) :] == b for b in _BOUNDS)
            pending.append((float(word.replace(",", ".")), below))
        elif word in _MM:
            found += [(at, value * _MM[word], below) for value, below in pending]
            pending = []
        elif word != "x":
            pending = []
    axes = [(at, _AXES[word]) for at, word in enumerate(words[:-1]) if word in _AXES and words[at + 1] in _NOUNS]
    before = bool(axes) and bool(found) and axes[0][0] < found[0][0]
    return [Length(mm, _axis(at, axes, before), below) for at, mm, below in found]


def _axis(at: int, axes: Sequence[tuple[int, Axis]], before: bool) -> Axis | None:
    """Return the last axis before the unit at ``at``, or the first behind it."""
    if before:
        return next((axis for place, axis in reversed(axes) if place < at), None)
    return next((axis for place, axis in axes if place > at), None)
