"""A label map of the thorax painted to HU as a CT shows it: voxels hold averages, lungs hold vessels and bronchi.

How it is painted follows from how CT looks, and was settled before anything was measured on it:

* every voxel is the mean of the eight label voxels in it, after a blur of 1.5 mm (full width at half maximum) as of a
  soft kernel, so that borders are no sharper than a scanner's;
* parenchyma is -850 HU with 0.35 HU a mm more towards the back of a patient who lies on it;
* arteries and veins of 40 HU divide ten times from the hilum to tips all over the lung, from a radius of 6 mm down to
  about 0.6 mm (radii by Murray's law), so that their density falls outwards; bronchi with walls run beside the
  arteries for five divisions;
* the trachea and main bronchi that are labelled hold air of -1000 HU within a wall of one label voxel;
* organs 40 HU, bone 350 HU, fat -90 HU, noise of 20 HU.

As in the labels, vessels and bronchi within a lobe belong to the lung.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy import ndimage

from training.cohort.phantom.clouds import Tubes
from training.cohort.phantom.trees import BRONCHUS_LEVELS, HILAR_MM, LEVELS, beside, grow
from training.partition.segment.shapes import bounding_box, distance_mm

Mask = Any

BONY: Final = ("rib_", "vertebrae_", "sternum", "scapula_", "clavicula_", "humerus_", "costal_cartilages")
BLUR_MM: Final = 1.5 / 2.355
NOISE_HU: Final = 20.0


def paint(labels: Any, names: dict[int, str], spacing_mm: float, body: Mask, seed: int = 3) -> Any:
    """Return int16 HU on a grid twice as coarse as ``labels`` (even shape, cubic voxels, canonical order).

    ``body`` is the patient on the coarse grid.
    """
    hu = np.where(_repeated(body), np.float32(-90), np.float32(-1000))
    hu[labels > 0] = 40
    hu[np.isin(labels, [v for v, name in names.items() if name.startswith(BONY)])] = 350
    rng = np.random.default_rng(seed)
    heart = ndimage.center_of_mass(labels == _value(names, "heart"))
    for side in ("right", "left"):
        _paint_lung(hu, lung(labels, names, side), np.asarray(heart), spacing_mm, rng)
    tube = labels == _value(names, "trachea")
    hu[ndimage.binary_erosion(tube)] = -1000
    hu = ndimage.gaussian_filter(hu, BLUR_MM / spacing_mm)
    hu = _halved(hu)
    return np.clip(np.rint(hu + rng.normal(0, NOISE_HU, hu.shape)), -1024, 3000).astype(np.int16)


def lung(labels: Any, names: dict[int, str], side: str) -> Mask:
    """Return the lobes of ``side``."""
    return np.isin(labels, [v for v, name in names.items() if name.startswith("lung_") and name.endswith(side)])


def mostly(mask: Mask) -> Mask:
    """Return where ``mask`` fills at least half of a block of 2 x 2 x 2."""
    return _halved(mask) >= 0.5


def _halved(values: Any) -> Any:
    s, r, c = (n // 2 for n in values.shape)
    return values.astype(np.float32).reshape(s, 2, r, 2, c, 2).mean(axis=(1, 3, 5))


def _repeated(mask: Mask) -> Mask:
    for axis in range(3):
        mask = np.repeat(mask, 2, axis=axis)
    return mask


def _value(names: dict[int, str], wanted: str) -> int:
    return next(value for value, name in names.items() if name == wanted)


def _paint_lung(hu: Any, mask: Mask, heart: Any, spacing_mm: float, rng: np.random.Generator) -> None:
    """Paint parenchyma, arteries and veins, and bronchi; ``heart`` is the index of its centre."""
    cube = (spacing_mm,) * 3
    box = bounding_box(mask, spacing_mm, cube)
    hu, mask, heart = hu[box], mask[box], heart - [window.start for window in box]
    rows = np.arange(mask.shape[1], dtype=np.float32)[:, None] - np.argwhere(mask)[:, 1].mean()
    hu[mask] = np.broadcast_to(-850 + 0.35 * spacing_mm * rows, mask.shape)[mask]
    depth = distance_mm(mask, cube)
    border = np.argwhere(mask & (depth <= spacing_mm)) * spacing_mm
    above = heart * spacing_mm + (-30.0, 30.0, 0.0)  # above and behind the middle of the heart
    hilum = border[np.argsort(np.linalg.norm(border - above, axis=1))[:200]].mean(axis=0)
    inner = np.argwhere(depth > 3.0) * spacing_mm
    arteries, level = _tree(hilum, inner, rng)
    veins, _ = _tree(hilum + np.array([12.0, -6.0, 0.0]), inner, rng)
    bronchi = beside(arteries.take(level < BRONCHUS_LEVELS), 0.82)
    walls = Tubes(bronchi.p0, bronchi.p1, bronchi.r0 * 1.15 + 0.6, bronchi.r1 * 1.15 + 0.5)
    for tubes, value in ((arteries, 40.0), (veins.scaled(0.9), 40.0), (walls, 0.0), (bronchi, -970.0)):
        cover = _deposited(tubes, mask.shape, spacing_mm, rng) * mask
        hu += cover * (np.float32(value) - hu)


def _tree(root: Any, points: Any, rng: np.random.Generator) -> tuple[Tubes, Any]:
    tips = points[rng.choice(len(points), 2**LEVELS, replace=False)]
    tubes, level = grow(root, tips, LEVELS, rng)
    return tubes.scaled(HILAR_MM), level


def _deposited(tubes: Tubes, shape: tuple[int, ...], spacing_mm: float, rng: np.random.Generator) -> Any:
    """Return the share of every voxel that ``tubes`` (index order, mm) fill: their volume in small equal grains."""
    grain = spacing_mm**3 / 8
    length = np.linalg.norm(tubes.p1 - tubes.p0, axis=1)
    volume = np.pi * length * (tubes.r0**2 + tubes.r0 * tubes.r1 + tubes.r1**2) / 3
    which = np.repeat(np.arange(len(length)), np.maximum(1, np.rint(volume / grain)).astype(int))
    along = rng.random(len(which))[:, None]
    axis = tubes.p1[which] - tubes.p0[which]
    radius = tubes.r0[which][:, None] * (1 - along) + tubes.r1[which][:, None] * along
    off = np.cross(axis, rng.normal(size=axis.shape))
    off /= np.maximum(np.linalg.norm(off, axis=1, keepdims=True), 1e-9)
    points = tubes.p0[which] + along * axis + off * radius * np.sqrt(rng.random(len(which)))[:, None]
    index = np.rint(points / spacing_mm).astype(np.intp)
    index = index[((index >= 0) & (index < shape)).all(axis=1)]
    count = np.bincount(np.ravel_multi_index(index.T, shape), minlength=int(np.prod(shape)))
    return np.minimum(count.reshape(shape) / np.float32(8), 1)
