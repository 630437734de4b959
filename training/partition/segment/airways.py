"""Trachea and main bronchi: a compact tube near the midline, followed downwards slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.partition.segment.analysis import Analysis
from training.partition.segment.shapes import Mask
from training.partition.segment.spine import Spine

LUMEN_HU: Final = -500
STRICTER_HU: Final = (-500, -650, -750, -820, -870, -910, -940)
"""Thresholds tried in turn where a bronchus opens into lung."""

TUBE_MM2: Final = (50.0, 700.0)
"""Cross-section of a trachea."""

TUBE_WIDTH_MM: Final = 40.0
MIDLINE_MM: Final = 45.0
"""How far from the midline a trachea may lie."""

TOP_SHARE: Final = 0.6
"""A trachea begins in this share of the slices; compact gas below is in the bowel."""

LEAST_LENGTH_MM: Final = 25.0
BELOW_CARINA_MM: Final = 60.0
"""How far main bronchi are followed."""

LEAST_LUMEN_MM2: Final = 25.0
"""Smaller lumens are not followed."""

Plane = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Airways:
    """``mask`` on the analysis grid; ``carina`` the last slice with one lumen (None if no trachea was found)."""

    mask: Mask
    carina: int | None


@dataclass(frozen=True)
class _Scale:
    """Size of a slice's voxels."""

    slice_mm: float
    pixel_mm2: float
    row_mm: float
    column_mm: float


def find_airways(ct: Analysis, inside: Mask, spine: Spine) -> Airways:
    """Find the airways within ``inside``; the trachea is near the midline, in front of the spine."""
    spacing = ct.spacing_mm
    scale = _Scale(spacing[0], spacing[1] * spacing[2], spacing[1], spacing[2])
    ahead = inside & (np.arange(ct.hu.shape[1]) < spine.back[:, None])[:, :, None]
    best: list[Plane] = []
    first = 0
    tried = np.zeros(ct.hu.shape, dtype=bool)
    for index in range(round(TOP_SHARE * ct.hu.shape[0])):
        for seed in _tubes(ct.hu[index], ahead[index], spine.column[index], scale):
            if (seed & tried[index]).any():
                continue
            chain = _trachea(ct.hu, inside, index, seed, scale)
            tried[index : index + len(chain)] |= np.stack(chain)
            if _volume(chain) > _volume(best):
                best, first = chain, index
    mask = np.zeros(ct.hu.shape, dtype=bool)
    if len(best) * scale.slice_mm < LEAST_LENGTH_MM:
        return Airways(mask, None)
    mask[first : first + len(best)] = np.stack(best)
    carina = first + len(best) - 1
    _bronchi(ct.hu, inside, mask, carina, scale)
    return Airways(mask, carina)


def _volume(chain: list[Plane]) -> int:
    return sum(int(plane.sum()) for plane in chain)


def _tubes(hu: npt.NDArray[np.int16], inside: Plane, midline: float, scale: _Scale) -> list[Plane]:
    """Return the parts of a slice that could be a trachea."""
    labels, n = ndimage.label((hu < LUMEN_HU) & inside)
    found = []
    for label, box in enumerate(ndimage.find_objects(labels, n), 1):
        height, width = (box[0].stop - box[0].start) * scale.row_mm, (box[1].stop - box[1].start) * scale.column_mm
        off = abs((box[1].start + box[1].stop - 1) / 2 - midline) * scale.column_mm
        if max(height, width) > TUBE_WIDTH_MM or off > MIDLINE_MM:
            continue
        part = labels == label
        area = part.sum() * scale.pixel_mm2
        if TUBE_MM2[0] <= area <= TUBE_MM2[1] and area > 0.45 * height * width:
            found.append(part)
    return found


def _trachea(hu: npt.NDArray[np.int16], inside: Mask, index: int, seed: Plane, scale: _Scale) -> list[Plane]:
    """Follow ``seed`` downwards while it stays one compact lumen."""
    chain = [seed]
    typical = float(seed.sum())
    for below in range(index + 1, hu.shape[0]):
        part = _continued(hu[below], inside[below], chain[-1], 1.7 * max(typical, float(chain[-1].sum())))
        if part is None or part.sum() * scale.pixel_mm2 > 2 * TUBE_MM2[1] or part.sum() < 0.25 * typical:
            break
        if len(_lumens(hu[below], inside[below], chain[-1], 2 * typical, scale)) > 1:
            break
        chain.append(part)
        typical = float(np.median([plane.sum() for plane in chain[-12:]]))
    return chain


def _continued(hu: npt.NDArray[np.int16], inside: Plane, above: Plane, most: float) -> Plane | None:
    """Return what ``above`` continues into, at the mildest threshold that keeps it below ``most`` pixels."""
    for threshold in STRICTER_HU:
        labels, n = ndimage.label((hu < threshold) & inside)
        touched = np.bincount(labels[above], minlength=n + 1)
        touched[0] = 0
        if not touched.any():
            return None
        part = labels == int(np.argmax(touched))
        if part.sum() <= most:
            return np.asarray(part)
    return None


def _bronchi(hu: npt.NDArray[np.int16], inside: Mask, mask: Mask, carina: int, scale: _Scale) -> None:
    """Follow the main bronchi from the last slice of the trachea; each stops where it opens into the lung."""
    branches = [mask[carina]]
    typical = float(mask[carina].sum())
    last = min(hu.shape[0], carina + 1 + int(BELOW_CARINA_MM / scale.slice_mm))
    for below in range(carina + 1, last):
        lumens: list[Plane] = []
        for above in branches:
            lumens += _branches(hu[below], inside[below], above, typical, scale)
        branches = []
        for lumen in lumens:
            if not (mask[below] & lumen).any():
                mask[below] |= lumen
                branches.append(lumen)
        if not branches:
            return


def _branches(hu: npt.NDArray[np.int16], inside: Plane, above: Plane, typical: float, scale: _Scale) -> list[Plane]:
    """Return the lumens below ``above``: one or two, none larger than a main bronchus can be."""
    return _lumens(hu, inside, above, min(max(1.5 * above.sum(), 0.6 * typical), 1.8 * typical), scale)


def _lumens(hu: npt.NDArray[np.int16], inside: Plane, above: Plane, most: float, scale: _Scale) -> list[Plane]:
    """Return the lumens that touch ``above``, at the mildest threshold that keeps each below ``most`` pixels."""
    reach = ndimage.binary_dilation(above)
    for threshold in STRICTER_HU[1:]:
        labels, n = ndimage.label((hu < threshold) & inside)
        touched = np.bincount(labels[reach], minlength=n + 1)
        touched[0] = 0
        parts = [labels == label for label in np.flatnonzero(touched >= 2)]
        sizes = [int(part.sum()) for part in parts]
        if parts and max(sizes) <= most:
            return [part for part, size in zip(parts, sizes, strict=True) if size * scale.pixel_mm2 >= LEAST_LUMEN_MM2]
    return []
