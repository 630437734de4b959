"""OrganIoU (section 3.6): how much of what a map switches on lies where the abnormality may be.

A map is put through ReLU and divided by its maximum, over the whole volume and one label. A cell is on if its value is
strictly above a threshold. With a = cells on and allowed, b = cells on and forbidden, OrganIoU = a / (a + b).

Two variants differ at the ends. ``paper``: 1 if only allowed cells are on, 0 if only forbidden ones are, NaN (not
applicable) if no cell is on, which happens to maps without any positive value, and to resampled ones, whose largest
value is below 1, at the greatest thresholds. ``authors``: 0 if a = 0 or b = 0,
as their code has it, so a perfect map scores 0. ``paper`` is the default, because it is what the paper says and a
better map never scores less by it.

Thresholds are chosen per label on validation cases, the one with the greatest mean (the first among equals), and used
on test cases as they are. Only pairs count whose label the case has. The *soft mass* needs no threshold: the share of
the positive values that lies in the allowed region.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from training.geometry import CellLayout, ReceptiveField

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]
Variant = Literal["paper", "authors"]
VARIANTS: tuple[Variant, ...] = ("paper", "authors")

THRESHOLDS: tuple[float, ...] = (0.004, 0.008, 0.012, 0.016, *(round(0.02 * k, 2) for k in range(1, 50)))
"""The 53 thresholds: .004 .008 .012 .016, then .02 to .98 in steps of .02."""

AUTHORS_SHAPE = (135, 6, 6)
"""The grid to which maps of other shapes can be resampled, as the authors did, before they are cut at a threshold."""


def organ_iou(
    map: npt.ArrayLike,  # noqa: A002 - the public name of the argument
    allowed: npt.ArrayLike,
    threshold: float,
    variant: Variant = "paper",
) -> float:
    """Return the OrganIoU of one map.

    Parameters
    ----------
    map
        Shape (H, D1, D2), signed or not, on any scale: it is put through ReLU and divided by its maximum here.
    allowed
        The same shape: 1 where the abnormality may lie, 0 elsewhere; shares between 0 and 1 count as shares.
    threshold
        In [0, 1); a cell is on if its value is strictly greater.
    variant
        ``paper`` or ``authors``.

    Returns
    -------
    float
        In [0, 1]; NaN (``paper``) or 0 (``authors``) if no cell is on.

    Raises
    ------
    ValueError
        If shapes differ, a value of the map is not finite, ``allowed`` leaves [0, 1], or there is no such variant.
    """
    return float(iou_curve(normalised(map), allowed, (threshold,), variant)[0])


def normalised(map: npt.ArrayLike) -> FloatArray:  # noqa: A002
    """Return the map after ReLU, divided by its maximum; all 0 if nothing is positive.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    values = np.asarray(map, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the map has values that are not finite")
    positive = np.maximum(values, 0.0)
    top = positive.max(initial=0.0)
    return np.asarray(positive / top if top > 0 else positive)


def iou_curve(
    values: FloatArray, allowed: npt.ArrayLike, thresholds: Sequence[float] = THRESHOLDS, variant: Variant = "paper"
) -> FloatArray:
    """Return the OrganIoU at every one of ascending ``thresholds`` of a map that is normalised already.

    Each cell is sorted once to the thresholds it exceeds. Errors as for :func:`organ_iou`.
    """
    if variant not in VARIANTS:
        raise ValueError(f"no variant is called {variant!r}; there are {', '.join(VARIANTS)}")
    region = _checked(values, allowed)
    exceeded = np.searchsorted(np.asarray(thresholds), values.ravel(), side="left")
    inside, outside = (_on(exceeded, weight, len(thresholds)) for weight in (region.ravel(), 1.0 - region.ravel()))
    total = inside + outside
    result = np.divide(inside, total, out=np.full(len(thresholds), np.nan), where=total > 0)
    return np.where((inside == 0) | (outside == 0), 0.0, result) if variant == "authors" else result


def _on(exceeded: IntArray, weight: FloatArray, n: int) -> FloatArray:
    """Return [n]: the summed weight of the cells that exceed threshold t."""
    return np.asarray(np.bincount(exceeded, weight, n + 1)[::-1].cumsum()[::-1][1:])


def _checked(values: FloatArray, allowed: npt.ArrayLike) -> FloatArray:
    region = np.asarray(allowed, dtype=np.float64)
    if region.shape != values.shape:
        raise ValueError(f"the map has shape {values.shape}, its allowed region {region.shape}")
    if not ((region >= 0) & (region <= 1)).all():  # NaN included
        raise ValueError("an allowed region has values in [0, 1]")
    return region


def soft_mass(map: npt.ArrayLike, allowed: npt.ArrayLike) -> float:  # noqa: A002
    """Return the share of a map's positive values that lies in the allowed region; NaN if nothing is positive.

    Errors as for :func:`organ_iou`.
    """
    values = normalised(map)
    region, total = _checked(values, allowed), values.sum()
    return float((values * region).sum() / total) if total > 0 else float("nan")


def resampled(values: npt.ArrayLike, shape: Sequence[int] = AUTHORS_SHAPE) -> FloatArray:
    """Return a map trilinearly on another number of cells over the same extent, half-pixel centres, edges held.

    The authors' way to compare maps of 135 x 14 x 14 or 5 x 5 x 5 cells with those of 135 x 6 x 6: after ReLU and
    division by the maximum, before thresholding. Nothing is averaged when cells get fewer.
    """
    out = np.asarray(values, dtype=np.float64)
    for axis, n in enumerate(shape):
        out = np.moveaxis(np.tensordot(out, _linear(out.shape[axis], n), axes=(axis, 1)), -1, axis)
    return out


def _linear(old: int, new: int) -> FloatArray:
    """Return [new, old] weights of linear interpolation."""
    position = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(old)[None, :]))


def resampled_cells(cells: CellLayout, shape: Sequence[int] = AUTHORS_SHAPE) -> CellLayout:
    """Return where the cells of a :func:`resampled` map stand, so that allowed regions can be made for its grid."""
    h, d1, d2 = (_resampled_field(f, n, k) for f, n, k in zip(cells.fields, cells.n_cells, shape, strict=True))
    return CellLayout((int(shape[0]), int(shape[1]), int(shape[2])), (h, d1, d2))


def _resampled_field(field_px: ReceptiveField, old: int, new: int) -> ReceptiveField:
    scale = old / new
    start = field_px.start_px + field_px.jump_px * (scale - 1) / 2
    return ReceptiveField(field_px.size_px, field_px.jump_px * scale, start)


class OrganCase(NamedTuple):
    """One case to be measured.

    Parameters
    ----------
    maps
        By source (a method, a model, a baseline): shape (M, H, D1, D2), or (H, D1, D2) if it serves every label.
    allowed
        Shape (M, H, D1, D2): allowed regions on the maps' grid, from :mod:`training.partition.allowed`; on
        ``resampled_cells`` if maps are to be resampled.
    present
        Shape (M,): the labels that the case has.
    """

    maps: Mapping[str, npt.NDArray[np.floating]]
    allowed: npt.NDArray[np.floating]
    present: BoolArray


@dataclass(frozen=True, eq=False)
class OrganCurves:
    """OrganIoU at every threshold, and soft mass, of P (case, label) pairs whose label the case has.

    ``case`` and ``label`` are int [P], ``iou`` float64 [P, T], ``mass`` float64 [P]; NaN where a map has nothing
    positive, ``iou`` also where it has no cell on.
    """

    labels: tuple[str, ...]
    n_cases: int
    case: IntArray = field(repr=False)
    label: IntArray = field(repr=False)
    iou: FloatArray = field(repr=False)
    mass: FloatArray = field(repr=False)

    @property
    def n_without_evidence(self) -> int:
        """How many pairs have a map without any positive value: not applicable by ``paper``, 0 by ``authors``."""
        return int(np.isnan(self.mass).sum())

    def at(self, thresholds: npt.ArrayLike) -> FloatArray:
        """Return [N, M]: OrganIoU at the label's own threshold; NaN for labels without a threshold (NaN)."""
        return self._table(self.pairs_at(thresholds))

    def pairs_at(self, thresholds: npt.ArrayLike) -> FloatArray:
        """Return [P]: the same of every pair."""
        chosen = np.asarray(thresholds, dtype=np.float64)[self.label]
        column = np.searchsorted(np.asarray(THRESHOLDS), chosen).clip(0, len(THRESHOLDS) - 1)
        return np.where(np.isnan(chosen), np.nan, self.iou[np.arange(len(self.iou)), column])

    def soft_mass(self) -> FloatArray:
        """Return [N, M]: soft mass."""
        return self._table(self.mass)

    def _table(self, values: FloatArray) -> FloatArray:
        table = np.full((self.n_cases, len(self.labels)), np.nan)
        table[self.case, self.label] = values
        return table


def organ_curves(
    cases: Iterable[OrganCase],
    labels: Sequence[str],
    variant: Variant = "paper",
    shape: Sequence[int] | None = None,
) -> dict[str, OrganCurves]:
    """Return, by source, the OrganIoU of every present label of every case, which are read one at a time.

    Parameters
    ----------
    shape
        None measures every map on its own grid; ``AUTHORS_SHAPE`` resamples maps of other shapes first.

    Raises
    ------
    ValueError
        As for :func:`organ_iou`; or if cases differ in their sources.
    """
    found: dict[str, list[tuple[int, int, FloatArray, float]]] = {}
    n_cases = 0
    for n_cases, case in enumerate(cases, start=1):
        if found and set(found) != set(case.maps):
            raise ValueError("every case needs a map from every source")
        for source, maps in case.maps.items():
            rows = found.setdefault(source, [])
            rows += [
                (n_cases - 1, m, *_pair(case, maps, m, variant, shape)) for m in np.flatnonzero(case.present).tolist()
            ]
    return {source: _curves(rows, labels, n_cases) for source, rows in found.items()}


def _pair(
    case: OrganCase, maps: npt.NDArray[np.floating], m: int, variant: Variant, shape: Sequence[int] | None
) -> tuple[FloatArray, float]:
    values = normalised(maps if maps.ndim == 3 else maps[m])
    if shape is not None and values.shape != tuple(shape):
        values = resampled(values, shape)
    return iou_curve(values, case.allowed[m], THRESHOLDS, variant), soft_mass(values, case.allowed[m])


def _curves(rows: Sequence[tuple[int, int, FloatArray, float]], labels: Sequence[str], n_cases: int) -> OrganCurves:
    return OrganCurves(
        labels=tuple(labels),
        n_cases=n_cases,
        case=np.array([row[0] for row in rows], dtype=np.intp),
        label=np.array([row[1] for row in rows], dtype=np.intp),
        iou=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, len(THRESHOLDS)),
        mass=np.array([row[3] for row in rows], dtype=np.float64),
    )


def as_authors(curves: OrganCurves) -> OrganCurves:
    """Return the curves of the variant ``paper`` by the variant ``authors``: all that is 1 or not applicable is 0."""
    whole = np.isnan(curves.iou) | (curves.iou == 1.0)
    return replace(curves, iou=np.where(whole, 0.0, curves.iou))


def choose_thresholds(validation: OrganCurves) -> FloatArray:
    """Return [M]: the threshold with the greatest mean OrganIoU over the label's validation pairs, the first of equals.

    Pairs whose map has nothing positive are left out; thresholds at which one of the others has no cell on are not
    chosen.
    NaN for labels without a validation pair: nothing can be chosen for them, and their test pairs are not applicable.
    """
    chosen = np.full(len(validation.labels), np.nan)
    for m in range(len(validation.labels)):
        curves = validation.iou[validation.label == m]
        applicable = curves[~np.isnan(curves).all(axis=1)]
        usable = ~np.isnan(applicable).any(axis=0)  # a resampled map may stay below the greatest thresholds everywhere
        if len(applicable) and usable.any():
            chosen[m] = THRESHOLDS[int(np.where(usable, applicable.mean(axis=0), -1.0).argmax())]
    return chosen
