"""Pointing error: how far the peak of an attention map lies from the abnormality it should point to, in mm.

For every positive (case, label) pair the peak cell of the label's map is taken to patient LPS mm by the map's own
geometry and compared with the label's lesions. Two distances are kept: to the nearest lesion *centre*, and to the
nearest voxel of a lesion *mask* (zero inside). The *error* is the distance to the centre for compact lesions, and to
the mask for long or spread ones (tubes, wires, effusions: longer than ``COMPACT_MM``), whose centre may not even lie on
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry

FloatArray = npt.NDArray[np.float64]

COMPACT_MM = 60.0
"""A lesion whose extent along every axis is at most this is compact: the error is the distance to its centre."""

EDGE_MM = 1e-3
"""Distance from a lesion's edge that still counts as on it: more than rounding in the header of a file makes."""


@dataclass(frozen=True, eq=False)
class Lesion:
    """Where an abnormality is.

    Parameters
    ----------
    centre_mm
        LPS mm.
    voxels_mm
        Shape (V, 3), V >= 1: LPS mm of the centres of the voxels in the lesion's mask.
    half_voxel_mm
        Half the voxel's edges along the array axes (slice, row, column).
    direction
        3 x 3, unit LPS vectors of those axes as columns.
    """

    centre_mm: FloatArray
    voxels_mm: FloatArray
    half_voxel_mm: FloatArray
    direction: FloatArray

    @classmethod
    def from_mask(
        cls, mask: npt.NDArray[np.bool_], geometry: Geometry, centre_mm: npt.ArrayLike | None = None
    ) -> Lesion:
        """Return the lesion of a voxel mask on ``geometry``'s grid; its centre of mass unless ``centre_mm`` is given.

        Raises
        ------
        ValueError
            If the mask is empty or has another shape than the geometry.
        """
        if mask.shape != geometry.shape:
            raise ValueError(f"mask has shape {mask.shape}, its geometry {geometry.shape}")
        return cls.from_voxels(np.argwhere(mask), geometry, centre_mm)

    @classmethod
    def from_voxels(
        cls, indices: npt.NDArray[np.integer], geometry: Geometry, centre_mm: npt.ArrayLike | None = None
    ) -> Lesion:
        """Return the lesion of the voxels at ``indices`` [V, 3] of ``geometry``; else as :meth:`from_mask`."""
        if not len(indices):
            raise ValueError("the mask of a lesion is empty")
        voxels = geometry.to_world(indices)
        centre = voxels.mean(axis=0) if centre_mm is None else np.asarray(centre_mm, dtype=np.float64)
        return cls(centre, voxels, np.asarray(geometry.spacing_mm) / 2, geometry.direction)

    @property
    def length_mm(self) -> float:
        """The greatest extent along an array axis, mm."""
        along = self.voxels_mm @ self.direction
        return float((np.ptp(along, axis=0) + 2 * self.half_voxel_mm).max())

    def error(self, point_mm: npt.ArrayLike) -> float:
        """Return the pointing error of ``point_mm`` (LPS), mm: to the centre if compact, else to the mask."""
        compact = self.length_mm <= COMPACT_MM
        return self.distance_to_centre(point_mm) if compact else self.distance_to_mask(point_mm)

    def distance_to_centre(self, point_mm: npt.ArrayLike) -> float:
        """Return the distance from ``point_mm`` (LPS) to the centre, mm."""
        return float(np.linalg.norm(np.asarray(point_mm) - self.centre_mm))

    def distance_to_mask(self, point_mm: npt.ArrayLike) -> float:
        """Return the distance from ``point_mm`` (LPS) to the nearest voxel box of the mask, mm; 0 inside the mask."""
        offsets = (np.asarray(point_mm, dtype=np.float64) - self.voxels_mm) @ self.direction
        outside = np.maximum(np.abs(offsets) - self.half_voxel_mm, 0.0)
        return float(np.sqrt((outside**2).sum(axis=1).min()))


def peak_mm(attention: npt.ArrayLike, geometry: Geometry) -> FloatArray:
    """Return the LPS mm of the cell with the greatest signed value; the first in array order among equals.

    Parameters
    ----------
    attention
        Shape (H, D1, D2), the map of one label.
    geometry
        Of the map's cells: ``Explanation.geometry(method, placement)``.

    Raises
    ------
    ValueError
        If the map has another shape than the geometry, or a value that is not finite.
    """
    values = np.asarray(attention)
    if values.shape != geometry.shape:
        raise ValueError(f"the map has shape {values.shape}, its geometry {geometry.shape}")
    if not np.isfinite(values).all():
        raise ValueError("the map has values that are not finite")
    return geometry.to_world(np.unravel_index(int(np.argmax(values)), values.shape))


@dataclass(frozen=True)
class PointingError:
    """Distance from one point to the nearest of a label's lesions, mm: the error, to its centre, and to its mask."""

    error_mm: float
    to_centre_mm: float
    to_mask_mm: float

    @property
    def hit(self) -> bool:
        """True if the point lies in a lesion or on its edge (the pointing game of Zhang et al. 2018, no margin)."""
        return self.to_mask_mm <= EDGE_MM


def pointing_error(point_mm: npt.ArrayLike, lesions: Sequence[Lesion]) -> PointingError:
    """Return the error of a point (LPS mm); each distance is to the lesion that is nearest by that distance.

    Raises
    ------
    ValueError
        If there is no lesion: a label that is absent cannot be pointed to.
    """
    if not lesions:
        raise ValueError("there is no lesion to point to")
    return PointingError(
        min(lesion.error(point_mm) for lesion in lesions),
        min(lesion.distance_to_centre(point_mm) for lesion in lesions),
        min(lesion.distance_to_mask(point_mm) for lesion in lesions),
    )


@dataclass(frozen=True)
class PointingSummary:
    """Errors of one label, or of several, over cases: ``n`` pairs, medians in mm, and shares between 0 and 1."""

    n: int
    median_mm: float
    median_to_centre_mm: float
    median_to_mask_mm: float
    hit_rate: float
    within_25_mm: float

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON types, rounded to 0.01 mm and 0.001."""
        return {
            "n": self.n,
            "median_mm": round(self.median_mm, 2),
            "median_to_centre_mm": round(self.median_to_centre_mm, 2),
            "median_to_mask_mm": round(self.median_to_mask_mm, 2),
            "hit_rate": round(self.hit_rate, 3),
            "within_25_mm": round(self.within_25_mm, 3),
        }


def summarise(errors: Sequence[PointingError]) -> PointingSummary | None:
    """Return the summary of ``errors``; None (not applicable) if there are none."""
    if not errors:
        return None
    table = np.array([(e.error_mm, e.to_centre_mm, e.to_mask_mm) for e in errors])
    error, centre, mask = (float(value) for value in np.median(table, axis=0))
    within, hits = float((table[:, 0] <= 25.0).mean()), float((table[:, 2] <= EDGE_MM).mean())
    return PointingSummary(len(errors), error, centre, mask, hits, within)


def uniform_point(geometry: Geometry, seed: Sequence[int]) -> FloatArray:
    """Return the LPS mm of a cell drawn uniformly from a map's cells: the baseline that knows nothing."""
    index = np.random.default_rng(list(seed)).integers(0, geometry.shape)
    return geometry.to_world(index)


def prior_point(centres_mm: npt.ArrayLike, origin_mm: npt.ArrayLike) -> FloatArray:
    """Return the mean lesion centre of other cases: the baseline that knows the anatomy but never looks at the CT.

    Parameters
    ----------
    centres_mm
        Shape (L, 3): the label's lesion centres in other cases, each relative to the centre of its own image.
    origin_mm
        LPS mm of the centre of the image that is pointed into.
    """
    return np.asarray(np.asarray(centres_mm, dtype=np.float64).mean(axis=0) + np.asarray(origin_mm), dtype=np.float64)
