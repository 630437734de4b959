"""Chests with known organs: a real CT with reference lungs, exact organs painted to HU, and geometry helpers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests import lifelike as lifelike_ct
from training.geometry import Geometry
from training.io import read_ct
from training.io.nifti import StoredNifti, read_stored
from training.io.orient import canonical_order
from training.partition import segment_organs
from training.partition.grids import nearest_labels
from training.partition.organs import Organs
from training.partition.segment.shapes import bounding_box
from training.volume import Volume

Mask = Any


@dataclass(frozen=True, eq=False)
class Chest:
    """A CT, its reference lungs, voxels that count for neither (airways), and further organs by name."""

    volume: Volume
    right: Mask
    left: Mask
    ignored: Mask
    organs: dict[str, Mask]

    def cropped(self, *window: slice) -> Chest:
        """Return a part of the array at its own place."""
        geometry = self.volume.geometry
        start = [s.start or 0 for s in window]
        hu = self.volume.hu[window]
        part = Volume(hu, geometry.subgrid(start, (1, 1, 1), hu.shape))
        organs = {name: mask[window] for name, mask in self.organs.items()}
        return Chest(part, self.right[window], self.left[window], self.ignored[window], organs)

    def with_hu(self, hu: Any) -> Chest:
        """Return the same with other HU."""
        return replace(self, volume=Volume(np.clip(hu, -3024, 3071).astype(np.int16), self.volume.geometry))


@pytest.fixture(scope="session")
def dice() -> Callable[[Any, Chest], dict[str, float]]:
    """Dice of both lungs, the right and the left one, airways left out."""

    def score(labels: Any, chest: Chest) -> dict[str, float]:
        counted = ~chest.ignored
        pairs = {
            "both": (np.isin(labels, (1, 2)), chest.right | chest.left),
            "right": (labels == 1, chest.right),
            "left": (labels == 2, chest.left),
        }
        return {
            name: float(2 * (a & b & counted).sum() / ((a & counted).sum() + (b & counted).sum()))
            for name, (a, b) in pairs.items()
        }

    return score


@pytest.fixture(scope="session")
def threshold() -> Callable[[Volume, Any], Any]:
    """The plain way: below -400 HU within the body, the two largest parts, halves of the array."""

    def lungs_of(volume: Volume, body: Any) -> Any:
        labels, _ = ndimage.label((volume.hu < -400) & body)
        sizes = np.bincount(labels.reshape(-1))
        sizes[0] = 0
        lungs = np.isin(labels, np.argsort(sizes)[-2:])
        halves = np.where(np.arange(volume.hu.shape[2]) < volume.hu.shape[2] / 2, 1, 2)
        return lungs * halves

    return lungs_of


@pytest.fixture(scope="session")
def real(shared_data: Path) -> Chest:
    """A real chest CT of about 4 mm with its reference label map."""
    import SimpleITK as sitk  # noqa: N813 - its usual name

    folder = shared_data / "ct" / "cip-ct-64"
    volume = read_ct(folder / "ct-64.nrrd")
    image = sitk.ReadImage(str(folder / "lm-64.nrrd"))
    affine = np.eye(4)
    direction = np.asarray(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = (direction * np.asarray(image.GetSpacing()))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    values = sitk.GetArrayFromImage(image)
    labels = nearest_labels(values, Geometry(values.shape, affine), volume.geometry)
    part = labels & 255
    return Chest(volume, np.isin(part, (12, 13, 14)), np.isin(part, (9, 10, 11)), labels >> 8 == 2, {})


@pytest.fixture(scope="session")
def painted(shared_data: Path) -> Chest:
    """Exact organs painted to HU: every second voxel of a 1.5 mm label map, lungs with 30 mm above and below."""
    stored, names = _thorax(shared_data)
    whole = Geometry(stored.values.shape, stored.affine)
    shape = [whole.shape[k] // 2 for k in (2, 1, 0)]
    corner = whole.to_world(np.asarray(whole.shape) - 1)
    grid = Geometry.canonical(shape, (3.0, 3.0, 3.0), np.minimum(corner, whole.to_world((0, 0, 0))) * (1, 1, 0))
    top = max(corner[2], whole.to_world((0, 0, 0))[2])
    grid = Geometry.canonical(shape, (3.0, 3.0, 3.0), (*grid.origin_mm[:2], top))
    labels = nearest_labels(stored.values.astype(np.uint8), whole, grid)
    is_lung = np.isin(labels, [v for v, name in names.items() if name.startswith("lung_")])
    used = np.flatnonzero(is_lung.any(axis=(1, 2)))
    first = max(0, int(used[0]) - 10)
    labels = labels[first : used[-1] + 11]
    geometry = grid.subgrid((first, 0, 0), (1, 1, 1), labels.shape)
    organs = {name: labels == value for value, name in names.items()}
    volume = Volume(_painted_hu(labels, organs), geometry)
    sides = [sum((organs[n] for n in organs if n.startswith("lung_") and n.endswith(s)), start=labels > 255)
             for s in ("_right", "_left")]  # fmt: skip
    return Chest(volume, sides[0], sides[1], organs["trachea"], organs)


@pytest.fixture(scope="session")
def lifelike(shared_data: Path) -> Chest:
    """The same organs painted as a CT shows them (``tests/lifelike.py``), at 3 mm; the field of view fits the body."""
    stored, names = _thorax(shared_data)
    labels, fine = canonical_order(stored.values.astype(np.uint8), stored.affine)
    used = np.flatnonzero(np.isin(labels, [v for v, n in names.items() if n.startswith("lung_")]).any(axis=(1, 2)))
    first, last = max(0, int(used[0]) - 20), min(len(labels), int(used[-1]) + 21)
    labels = labels[first:last][tuple(slice(n // 2 * 2) for n in (last - first, *labels.shape[1:]))]
    shape = tuple(n // 2 for n in labels.shape)
    geometry = fine.subgrid((first + 0.5, 0.5, 0.5), (2, 2, 2), shape)
    body = _body(labels[::2, ::2, ::2])
    hu = lifelike_ct.paint(labels, names, fine.spacing_mm[0], body)
    value = {name: value for value, name in names.items()}
    organs = {name: lifelike_ct.mostly(labels == value[name]) for name in ("heart", "aorta", "trachea")}
    right, left = (lifelike_ct.mostly(lifelike_ct.lung(labels, names, side)) for side in ("right", "left"))
    chest = Chest(Volume(hu, geometry), right, left, organs["trachea"], organs)
    return chest.cropped(*bounding_box(body, 10.0, geometry.spacing_mm))


@pytest.fixture(scope="session")
def lifelike_authors(lifelike: Chest) -> Organs:
    """What the authors' recipe finds in it."""
    return segment_organs(lifelike.volume, variant="authors")


def _thorax(shared_data: Path) -> tuple[StoredNifti, dict[int, str]]:
    folder = shared_data / "seg" / "thorax-labels-s0011"
    names = {int(k): v for k, v in json.loads((folder / "labels.json").read_text()).items()}
    return read_stored(folder / "TotalSegmentator_s0011_labels_merged.nii.gz"), names


def _body(labels: Any) -> Mask:
    """Return a body wall around all organs, on their 3 mm grid."""
    wide = np.pad(labels > 0, ((0, 0), (15, 15), (15, 15)))
    closed = ndimage.binary_closing(wide, np.ones((1, 3, 3)), iterations=8)[:, 15:-15, 15:-15]
    return np.stack([ndimage.binary_fill_holes(ndimage.binary_dilation(plane, iterations=4)) for plane in closed])


def _painted_hu(labels: Any, organs: dict[str, Mask]) -> Any:
    """Lungs -850, trachea -980, bone 350, other organs 40, fat between and a body wall around them, air outside."""
    hu = np.where(_body(labels), -90.0, -1000.0)
    hu[labels > 0] = 40
    for name, mask in organs.items():
        if name.startswith(lifelike_ct.BONY):
            hu[mask] = 350
        elif name.startswith("lung_"):
            hu[mask] = -850
    hu[organs["trachea"]] = -980
    hu = ndimage.gaussian_filter(hu, 0.5) + np.random.default_rng(3).normal(0, 20, hu.shape)
    return np.clip(hu, -1024, 3000).astype(np.int16)
