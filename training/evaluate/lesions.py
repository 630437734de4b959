"""What maps are worth where lesions are known: whether they point at them, and how much of them lies on them.

Lesions come from masks, from phantoms' ``findings.csv`` or from tables of centres and diameters such as LUNA16's
(:mod:`training.evaluate.lesion_table`). A diameter stands for a ball. Three measures per (case, label): the pointing
game and the pointing error of the peak cell (:mod:`training.evaluate.pointing`), and the *mass inside*: the share of
the map's positive values that lies on the label's lesions, each cell's value spread evenly over its own box.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from training.evaluate.baselines import CENTRE, PRIOR, UNIFORM, centre_map, image_centre_mm
from training.evaluate.organ_iou import soft_mass
from training.evaluate.pointing import Lesion, peak_mm, pointing_error, prior_point, uniform_point
from training.explain.placement import cell_at
from training.geometry import Geometry

FloatArray = npt.NDArray[np.float64]

BALL_STEPS = 20
"""Voxels along the diameter of a ball: its surface is known to 1/40 of the diameter."""

PARALLEL = 1e-6
"""Largest off-axis direction cosine of two grids that still count as parallel."""

TOUCHED = 1e-5
"""Share of a cell up to which a lesion only touches it: rounding in a file's header can make that of none, and a voxel
of a CT is more of the largest cells.
"""

SUBDIVISION = 3
"""Points along each edge of a voxel that stand for it where grids are not parallel."""


def ball(centre_mm: npt.ArrayLike, diameter_mm: float) -> Lesion:
    """Return a ball as a lesion, on a fine grid of its own.

    Raises
    ------
    ValueError
        If the diameter is not positive, or a number is not finite.
    """
    centre = np.asarray(centre_mm, dtype=np.float64)
    if not np.isfinite([*centre, diameter_mm]).all() or diameter_mm <= 0:
        raise ValueError("a lesion needs a finite centre and a positive diameter")
    step = diameter_mm / BALL_STEPS
    grid = Geometry.canonical((BALL_STEPS,) * 3, (step,) * 3)
    half = (BALL_STEPS - 1) / 2
    inside = np.square(np.indices(grid.shape) - half).sum(axis=0) <= (BALL_STEPS / 2) ** 2
    affine = grid.affine.copy()
    affine[:3, 3] = centre - grid.to_world((half,) * 3)
    return Lesion.from_mask(inside, Geometry(grid.shape, affine), centre)


def lesions_from_bits(
    bits: npt.NDArray[np.integer], geometry: Geometry, findings: Iterable[Mapping[str, Any]]
) -> dict[str, list[Lesion]]:
    """Return lesions by label from masks kept as bits of one volume: a phantom's ``findings.nii.gz``.

    Parameters
    ----------
    findings
        Entries of ``truth.json``: ``bit``, ``label``, ``centre_lps_mm``.
    """
    found: dict[str, list[Lesion]] = {}
    for finding in findings:
        mask = (bits >> int(finding["bit"])) & 1 == 1
        lesion = Lesion.from_mask(mask, geometry, finding["centre_lps_mm"])
        found.setdefault(str(finding["label"]), []).append(lesion)
    return found


def diameter_mm(lesions: Sequence[Lesion]) -> float:
    """Return the diameter of a ball of the largest lesion's volume, mm."""
    return float(np.cbrt(6 * max(map(volume_mm3, lesions)) / np.pi))


def volume_mm3(lesion: Lesion) -> float:
    """Return the volume of a lesion's voxels, mm3."""
    return len(lesion.voxels_mm) * float(np.prod(2 * lesion.half_voxel_mm))


def covered(cells: Geometry, lesions: Sequence[Lesion]) -> FloatArray:
    """Return the share of every cell's box that lies in a lesion, float64 [H, D1, D2] in [0, 1].

    A cell's box is one cell distance wide. Exact where the lesion's grid is parallel to the map's; else every voxel
    stands for 27 points. Where lesions overlap, shares add up to 1 at most.
    """
    shares = np.zeros(cells.shape)
    for lesion in lesions:
        shares += _shares(cells, lesion)
    return np.minimum(shares, 1.0)


def _shares(cells: Geometry, lesion: Lesion) -> FloatArray:
    turn = cells.direction.T @ lesion.direction
    if np.abs(np.sort(np.abs(turn), axis=0)[:2]).max() > PARALLEL:
        return _shares_of_points(cells, lesion)
    half = np.abs(turn) @ lesion.half_voxel_mm / np.asarray(cells.spacing_mm)
    centres = cells.to_index(lesion.voxels_mm)
    axes = [np.unique(np.round(centres[:, a] / (2 * half[a]), 6), return_inverse=True) for a in range(3)]
    present = np.zeros([values.size for values, _ in axes])
    present[tuple(inverse.ravel() for _, inverse in axes)] = 1.0
    for a, (values, _) in enumerate(axes):
        overlap = _overlap(values * 2 * half[a], half[a], cells.shape[a])
        present = np.moveaxis(np.tensordot(present, overlap, axes=(a, 1)), -1, a)
    return present


def _overlap(centres: FloatArray, half: float, n: int) -> FloatArray:
    """Return [n, V]: the length, in cells, that the interval about every centre shares with each cell."""
    cell = np.arange(n)[:, None]
    high, low = np.minimum(cell + 0.5, centres + half), np.maximum(cell - 0.5, centres - half)
    return np.asarray(np.maximum(0.0, high - low))


def _shares_of_points(cells: Geometry, lesion: Lesion) -> FloatArray:
    steps = (np.arange(SUBDIVISION) + 0.5) / SUBDIVISION * 2 - 1
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3) * lesion.half_voxel_mm
    points = (lesion.voxels_mm[:, None] + offsets @ lesion.direction.T).reshape(-1, 3)
    index = np.floor(cells.to_index(points) + 0.5).astype(np.intp)
    inside = ((index >= 0) & (index < cells.shape)).all(axis=1)
    counts = np.bincount(np.ravel_multi_index(tuple(index[inside].T), cells.shape), minlength=int(np.prod(cells.shape)))
    point_mm3 = float(np.prod(2 * lesion.half_voxel_mm)) / len(offsets)
    return np.asarray(counts.reshape(cells.shape) * (point_mm3 / cells.voxel_mm3))


@dataclass(frozen=True)
class LesionMeasures:
    """What one map, or one point, is worth for one label of one case; NaN where a measure does not apply.

    ``error_mm``, ``to_centre_mm`` and ``to_mask_mm`` as :class:`PointingError`; ``hit`` is 1 if the peak cell's centre
    lies in a lesion, ``cell_hit`` 1 if any part of the cell's box does (more than ``TOUCHED``); ``mass_inside`` is the
    share of the positive map on lesions. A point has no mass, nor has a map without positive values; a map that is the
    same everywhere has no peak.
    """

    error_mm: float = np.nan
    to_centre_mm: float = np.nan
    to_mask_mm: float = np.nan
    hit: float = np.nan
    cell_hit: float = np.nan
    mass_inside: float = np.nan


MEASURES = tuple(LesionMeasures.__dataclass_fields__)


def measure_map(attention: npt.ArrayLike, cells: Geometry, lesions: Sequence[Lesion]) -> LesionMeasures:
    """Return the measures of the map of one label that the case has.

    Parameters
    ----------
    attention
        Shape (H, D1, D2), signed, on any scale.
    cells
        Geometry of the map's cells, for the placement that is judged.
    lesions
        Of the label; at least one.

    Raises
    ------
    ValueError
        If shapes differ, a value is not finite, or there is no lesion.
    """
    values, shares = np.asarray(attention), covered(cells, lesions)
    peak = peak_mm(values, cells)
    found = LesionMeasures() if np.ptp(values) == 0 else _pointed(peak, cells, shares, lesions)
    return replace(found, mass_inside=soft_mass(values, shares))


def measure_point(point_mm: FloatArray, cells: Geometry, lesions: Sequence[Lesion]) -> LesionMeasures:
    """Return the measures of a point (LPS mm) that is no map's peak; errors as :func:`measure_map`."""
    return _pointed(point_mm, cells, covered(cells, lesions), lesions)


def measure_uniform(cells: Geometry, lesions: Sequence[Lesion], seed: Sequence[int]) -> LesionMeasures:
    """Return the measures of a uniform map, whose peak is a cell drawn at random from ``seed``."""
    shares = covered(cells, lesions)
    found = _pointed(uniform_point(cells, seed), cells, shares, lesions)
    return replace(found, mass_inside=float(shares.mean()))


def _pointed(point_mm: FloatArray, cells: Geometry, shares: FloatArray, lesions: Sequence[Lesion]) -> LesionMeasures:
    found, cell = pointing_error(point_mm, lesions), cell_at(cells, point_mm)
    return LesionMeasures(
        error_mm=found.error_mm,
        to_centre_mm=found.to_centre_mm,
        to_mask_mm=found.to_mask_mm,
        hit=float(found.hit),
        cell_hit=float(cell is not None and shares[cell] > TOUCHED),
    )


class LesionCase(NamedTuple):
    """One case to be measured.

    Parameters
    ----------
    maps
        By source (a method, a model, random weights): shape (M, H, D1, D2), signed.
    cells
        Geometry of the maps' cells, for the placement that is judged.
    image
        Geometry of the CT.
    lesions
        By label.
    """

    maps: Mapping[str, npt.NDArray[np.floating]]
    cells: Geometry
    image: Geometry
    lesions: Mapping[str, Sequence[Lesion]]


def lesion_tables(
    cases: Iterable[LesionCase],
    labels: Sequence[str],
    prior_centres_mm: Mapping[str, npt.ArrayLike] | None = None,
    seed: int = 0,
) -> dict[str, dict[str, FloatArray]]:
    """Return, by source and measure, a table [N, M] of all pairs with a lesion; cases are read one at a time.

    Beside the sources stand the baselines: uniform map, centre prior and, with ``prior_centres_mm``, the prior of
    place. :func:`training.evaluate.pairs.summarise_pairs` takes the tables.

    Parameters
    ----------
    prior_centres_mm
        By label, shape (L, 3): lesion centres of *other* cases (training or validation), each relative to the centre of
        its image, as :func:`relative_centres` gives them.
    seed
        Of the cells that the uniform map points at.
    """
    rows: list[dict[str, dict[int, LesionMeasures]]] = []
    for n, case in enumerate(cases):
        row: dict[str, dict[int, LesionMeasures]] = {}
        for m, label in enumerate(labels):
            if case.lesions.get(label):
                for source, measures in _measured(case, m, label, prior_centres_mm or {}, (seed, n, m)).items():
                    row.setdefault(source, {})[m] = measures
        rows.append(row)
    sources = dict.fromkeys(source for row in rows for source in row)
    return {source: _tables([row.get(source, {}) for row in rows], len(labels)) for source in sources}


def _measured(
    case: LesionCase, m: int, label: str, prior_centres_mm: Mapping[str, npt.ArrayLike], seed: Sequence[int]
) -> dict[str, LesionMeasures]:
    lesions = case.lesions[label]
    found = {source: measure_map(maps[m], case.cells, lesions) for source, maps in case.maps.items()}
    found[UNIFORM] = measure_uniform(case.cells, lesions, seed)
    found[CENTRE] = measure_map(centre_map(case.cells, case.image), case.cells, lesions)
    if label in prior_centres_mm:
        point = prior_point(prior_centres_mm[label], image_centre_mm(case.image))
        found[PRIOR] = measure_point(point, case.cells, lesions)
    return found


def _tables(rows: Sequence[Mapping[int, LesionMeasures]], n_labels: int) -> dict[str, FloatArray]:
    tables = {measure: np.full((len(rows), n_labels), np.nan) for measure in MEASURES}
    for n, row in enumerate(rows):
        for m, measures in row.items():
            for measure in MEASURES:
                tables[measure][n, m] = getattr(measures, measure)
    return tables


class Extent(NamedTuple):
    """Centre (LPS mm) and diameter of a lesion: of a mask, that of a ball of its volume."""

    centre_mm: FloatArray
    diameter_mm: float


def relative_centres(cases: Iterable[tuple[Geometry, Mapping[str, Extent]]]) -> dict[str, FloatArray]:
    """Return, by label, [L, 3] LPS mm: the centre of each case's largest lesion relative to that of its image."""
    found: dict[str, list[FloatArray]] = {}
    for image, lesions in cases:
        for label, largest in lesions.items():
            found.setdefault(label, []).append(largest.centre_mm - image_centre_mm(image))
    return {label: np.stack(centres) for label, centres in found.items()}
