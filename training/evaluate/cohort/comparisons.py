"""Which maps are compared with which, paired over the same cases: any two of any two models, in every shared measure.

A *side* is one map of one model: a method, or a baseline on that model's own cells. By default HiResCAM is compared
with every other map of its model; of two models each method with the same one, and each one's HiResCAM with the other's
Grad-CAM, the diagonals of the paper's Table 2. Any other two sides are compared on request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.evaluate.bootstrap import Resampling
from training.evaluate.pairs import Average
from training.evaluate.rows import Row, Rows
from training.evaluate.tables import pair_comparison_rows
from training.explain.result import METHOD_NAMES
from training.issues import InputError, Issue, error, warning

FloatArray = npt.NDArray[np.float64]

MINUS, EVERY_PAIR = " minus ", "all"
"""What stands between two sides, and what stands for all pairs of sides."""

_FIRST, _SECOND = METHOD_NAMES["hirescam"], METHOD_NAMES["gradcam"]


class Side(NamedTuple):
    """One map of one model."""

    model: str
    source: str

    def __str__(self) -> str:
        return f"{self.model}: {self.source}"


class Pair(NamedTuple):
    """Two sides; what is told is the first minus the second."""

    first: Side
    second: Side

    def __str__(self) -> str:
        return f"{self.first}{MINUS}{self.second}"


@dataclass(frozen=True, eq=False)
class Measured:
    """One measure of all maps of one model.

    Parameters
    ----------
    measure, where
        What was measured, and by which definition and placement of the cells.
    average
        How pairs are summed up.
    tables
        By source: float64 [N, M], NaN where there is nothing to measure.
    usual
        Whether the pairs that are compared without being asked for are compared in it.
    """

    measure: str
    where: str
    average: Average
    tables: Mapping[str, FloatArray]
    usual: bool = True


@dataclass(frozen=True, eq=False)
class Compared:
    """A model with the M labels and everything that was measured of its maps."""

    model: str
    labels: tuple[str, ...]
    measured: tuple[Measured, ...]

    @property
    def sides(self) -> tuple[Side, ...]:
        """Everything of it that can be compared."""
        return tuple(Side(self.model, name) for name in dict.fromkeys(s for one in self.measured for s in one.tables))


def usual_pairs(models: Sequence[Compared]) -> tuple[Pair, ...]:
    """Return what is compared without being asked for."""
    within = [
        Pair(Side(one.model, _FIRST), side)
        for one in models
        if Side(one.model, _FIRST) in one.sides
        for side in one.sides
        if side.source != _FIRST
    ]
    methods = (*((name, name) for name in METHOD_NAMES.values()), (_FIRST, _SECOND), (_SECOND, _FIRST))
    across = [Pair(Side(a.model, x), Side(b.model, y)) for a, b in combinations(models, 2) for x, y in methods]
    known = {side for one in models for side in one.sides}
    return (*within, *(pair for pair in across if known.issuperset(pair)))


def split_pair(text: str) -> tuple[str, str] | None:
    """Return the names of both sides of ``FIRST minus SECOND``; None for ``all``.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if text.strip().lower() == EVERY_PAIR:
        return None
    names = [name.strip() for name in text.split(MINUS)]
    if len(names) != 2 or not all(names):
        raise ValueError(f"expected 'FIRST{MINUS}SECOND' or '{EVERY_PAIR}', got {text!r}")
    return names[0], names[1]


def asked_pairs(asked: Sequence[str], sides: Sequence[Side]) -> tuple[Pair, ...]:
    """Return the pairs that texts such as ``A: Grad-CAM minus B: HiResCAM`` or ``all`` mean.

    Parameters
    ----------
    sides
        All that can be compared. With one model its name may be left out; capitals do not matter.

    Raises
    ------
    InputError
        If there is no such side, or both sides are the same; those that there are are named.
    ValueError
        As for :func:`split_pair`.
    """
    found: list[Pair] = []
    for names in map(split_pair, asked):
        if names is None:
            found += [Pair(a, b) for a, b in combinations(sides, 2)]
        else:
            found.append(Pair(_side(names[0], sides), _side(names[1], sides)))
    same = next((pair for pair in found if pair.first == pair.second), None)
    if same is not None:
        raise InputError(error("same-sides", f"{same.first} cannot be compared with itself", _way_out(sides)))
    return tuple(dict.fromkeys(found))


def _side(name: str, sides: Sequence[Side]) -> Side:
    alone = len({side.model for side in sides}) == 1
    for side in sides:
        if name.casefold() in {str(side).casefold(), *({side.source.casefold()} if alone else ())}:
            return side
    raise InputError(error("no-such-side", f"there is no {name!r} to compare", _way_out(sides)))


def _way_out(sides: Sequence[Side]) -> str:
    return (
        f"Name two of these, with{MINUS}between them: {'; '.join(map(str, sides))}." if sides else "There are no maps."
    )


def comparison_rows(models: Sequence[Compared], asked: Sequence[Pair], plan: Resampling | None) -> Rows:
    """Return first minus second of the usual pairs, then of those that were asked for, by group of labels.

    Only (case, label) pairs that both sides measure count; both are resampled by the same cases.
    """
    usual = usual_pairs(models)
    rows = [row for pair in usual for row in _rows_of(pair, models, plan, pair in asked)]
    return (*rows, *(row for pair in asked if pair not in usual for row in _rows_of(pair, models, plan, True)))


def _rows_of(pair: Pair, models: Sequence[Compared], plan: Resampling | None, in_all: bool) -> Iterator[Row]:
    labels = models[0].labels
    for a, b in _shared(pair, models):
        if a.usual or in_all:
            measure, names = _words(pair, a)
            tables = a.tables[pair.first.source], b.tables[pair.second.source]
            yield from pair_comparison_rows(*tables, labels, measure, names, a.average, plan)


def _shared(pair: Pair, models: Sequence[Compared]) -> Iterator[tuple[Measured, Measured]]:
    """Yield every measure that both sides have."""
    first, second = (next(one for one in models if one.model == side.model) for side in pair)
    others = {(one.measure, one.where): one for one in second.measured}
    for own in first.measured:
        other = others.get((own.measure, own.where))
        if other is not None and pair.first.source in own.tables and pair.second.source in other.tables:
            yield own, other


def _words(pair: Pair, one: Measured) -> tuple[str, tuple[str, str]]:
    """Return measure and names; the same map of two models is named once, with the measure."""
    if pair.first.source == pair.second.source:
        return f"{one.measure} of {pair.first.source} ({one.where})", (pair.first.model, pair.second.model)
    return f"{one.measure} ({one.where})", (str(pair.first), str(pair.second))


def without_rows(models: Sequence[Compared], asked: Sequence[Pair]) -> tuple[Issue, ...]:
    """Return a warning for every pair that was asked for and has no measure in common."""
    return tuple(
        warning("nothing-to-compare", f"{pair}: no measure is known of both", "Name other sides.")
        for pair in asked
        if not any(True for _ in _shared(pair, models))
    )
