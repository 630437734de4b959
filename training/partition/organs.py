"""What a segmentation of the chest returns: organ labels on the CT's own grid, the body, and quality control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry
from training.issues import Issue

RIGHT_LUNG: Final = 1
LEFT_LUNG: Final = 2
MEDIASTINUM: Final = 3
ORGAN_NAMES: Final = {RIGHT_LUNG: "right lung", LEFT_LUNG: "left lung", MEDIASTINUM: "mediastinum"}
"""Label value -> name; right and left are the patient's."""


@dataclass(frozen=True)
class QualityControl:
    """Whether a segmentation can be believed, and why not.

    ``reasons`` are empty when it passed. ``heuristic`` names the mask that replaced a failed segmentation
    (``"paper"`` or ``"authors"``), None if the segmentation itself is used. ``volumes_ml`` are those of what was
    segmented, before any replacement; ``added_ml`` is the part of a lung that is fluid or airless lung along the ribs.
    """

    passed: bool
    reasons: tuple[Issue, ...] = ()
    volumes_ml: tuple[tuple[str, float], ...] = ()
    heuristic: str | None = None
    backend: str = "morphology"
    added_ml: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON types."""
        return {
            "passed": self.passed,
            "backend": self.backend,
            "heuristic_mask": self.heuristic,
            "volumes_ml": dict(self.volumes_ml),
            "added_ml": dict(self.added_ml),
            "reasons": [issue.to_dict() for issue in self.reasons],
        }


@dataclass(frozen=True, eq=False)
class Organs:
    """Organ labels of one CT.

    Parameters
    ----------
    labels
        uint8 (slice, row, column) on the CT's grid: 0 none, 1 right lung, 2 left lung, 3 mediastinum.
    geometry
        Equal to the CT's.
    qc
        Quality control.
    body
        bool, same shape: inside the patient's skin. None if unknown.
    """

    labels: npt.NDArray[np.uint8]
    geometry: Geometry
    qc: QualityControl
    body: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.labels.dtype != np.uint8 or self.labels.shape != self.geometry.shape:
            raise ValueError(f"labels must be uint8 of shape {self.geometry.shape}")
        if self.labels.size and int(self.labels.max()) > MEDIASTINUM:
            raise ValueError("labels may hold 0 to 3 only; overlapping masks cannot be one label map")
        if self.body is not None and (self.body.dtype != np.bool_ or self.body.shape != self.labels.shape):
            raise ValueError("body must be a bool mask of the labels' shape")


def volumes_ml(labels: npt.NDArray[np.uint8], geometry: Geometry) -> dict[str, float]:
    """Return the volume of each organ, ml."""
    counts = np.bincount(labels.reshape(-1), minlength=MEDIASTINUM + 1)
    return {name: float(counts[value]) * geometry.voxel_mm3 / 1000.0 for value, name in ORGAN_NAMES.items()}


def heuristic_labels(geometry: Geometry, variant: str = "paper") -> npt.NDArray[np.uint8]:
    """Return the mask that stands in for a failed segmentation, where lungs and mediastinum cannot overlap.

    The array's canonical right half is right lung, its left half left lung; the mediastinum lies over their middle:
    the centre half (section 12.2, ``paper``) or 4 of 6 columns (``authors``). Use :func:`heuristic_masks` for the
    overlapping masks that the authors train with.
    """
    masks = heuristic_masks(geometry.shape, variant)
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    for value in (RIGHT_LUNG, LEFT_LUNG, MEDIASTINUM):
        labels[masks[value]] = value
    return labels


def heuristic_masks(shape: tuple[int, int, int], variant: str = "paper") -> dict[int, npt.NDArray[np.bool_]]:
    """Return the overlapping heuristic masks of a canonical grid, by organ value.

    Raises
    ------
    ValueError
        If ``variant`` is neither ``paper`` nor ``authors``.
    """
    shares = {"paper": 1 / 4, "authors": 1 / 6}
    if variant not in shares:
        raise ValueError(f"heuristic mask must be one of {sorted(shares)}, got {variant!r}")
    n = shape[2]
    column = np.arange(n)
    margin = shares[variant] * n
    centre = (column + 0.5 > margin) & (column + 0.5 < n - margin)
    by_column = {RIGHT_LUNG: column < n / 2, LEFT_LUNG: column >= n / 2, MEDIASTINUM: centre}
    return {value: np.broadcast_to(mask, shape) for value, mask in by_column.items()}
