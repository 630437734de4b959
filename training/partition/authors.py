"""The recipe of the paper's own code (variant ``authors``), with its thresholds in voxels of 0.8 mm as they are.

Slice by slice: below -300 HU; parts that touch the slice's edge removed; the two largest parts kept; then 3-D parts of
less than a million voxels removed. Nothing is closed or filled and the trachea stays in, so vessels, nodules and
consolidation are outside the lungs and count as mediastinum where they lie in its band. Right and left are the halves
of the array. The mediastinum is every other voxel of the lungs' box in its columns from a quarter to seven eighths
(whole-number division as in the code), spine and ribs included.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from skimage.measure import label
from skimage.morphology import remove_small_objects
from skimage.segmentation import clear_border

from training.geometry import Geometry
from training.partition.grids import nearest_labels
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG
from training.preprocess import InputSpec, patient_grid, prepare
from training.volume import Volume

SPACING_MM: Final = (0.8, 0.8, 0.8)
AIR_BELOW_HU: Final = -300
LEAST_VOXELS: Final = 1_000_000
RIGHT_BEGINS_BY: Final = 130
"""Quality control: the right lung's first column may not be beyond this one."""
LEFT_ENDS_FROM: Final = 300
"""Quality control: the left lung's last column may not be before this one."""

Mask = npt.NDArray[np.bool_]


def authors_labels(volume: Volume, target: Geometry) -> npt.NDArray[np.uint8]:
    """Return the organ labels of the authors' recipe on the voxels of ``target``; all 0 if its quality control fails.

    The volume is resampled to 0.8 mm first, as their pipeline does.
    """
    grid = patient_grid(volume.geometry, SPACING_MM)
    resampled = prepare(volume, InputSpec(SPACING_MM, grid.shape, group=1))
    labels = organs_of(resampled.hu)
    return np.asarray(nearest_labels(labels, resampled.geometry, target), dtype=np.uint8)


def organs_of(hu: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """Return labels for HU on the 0.8 mm grid, before padding and cropping; all 0 if quality control fails."""
    labels = np.zeros(hu.shape, dtype=np.uint8)
    lungs = lungs_of(hu)
    if not lungs.any():
        return labels
    half = hu.shape[2] // 2
    box = [np.flatnonzero(lungs.any(axis=tuple(a for a in range(3) if a != axis)))[[0, -1]] for axis in range(3)]
    (top, low), (front, back), (right, left) = box
    if right > RIGHT_BEGINS_BY or left < LEFT_ENDS_FROM:
        return labels
    quarter = int((left - right) / 4)
    middle = slice(right + quarter, left - int(quarter / 2))
    labels[top : low + 1, front : back + 1, middle] = MEDIASTINUM
    labels[:, :, :half][lungs[:, :, :half]] = RIGHT_LUNG
    labels[:, :, half:][lungs[:, :, half:]] = LEFT_LUNG
    return labels


def lungs_of(hu: npt.NDArray[np.int16]) -> Mask:
    """Return both lungs: the authors' four steps."""
    out = np.zeros(hu.shape, dtype=bool)
    for index, plane in enumerate(hu):
        parts = label(clear_border(plane < AIR_BELOW_HU))  # type: ignore[no-untyped-call]
        areas = np.bincount(parts.reshape(-1))
        areas[0] = 0
        largest = [int(value) for value in np.argsort(areas)[-2:] if areas[value]]
        out[index] = np.isin(parts, largest)
    return np.asarray(remove_small_objects(out, max_size=LEAST_VOXELS - 1), dtype=bool)
