"""The backend ``file``: masks made elsewhere, in any grid, brought to the CT by physical space."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry
from training.io.masks import read_mask
from training.issues import InputError, error
from training.partition.grids import nearest_labels
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, ORGAN_NAMES, RIGHT_LUNG
from training.words import agreed, counted

MaskPath = str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]

SUFFIXES: Final = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")
KEYS: Final = {"right_lung": RIGHT_LUNG, "left_lung": LEFT_LUNG, "mediastinum": MEDIASTINUM}
"""Names of separate masks, as keys or as file names in a folder."""

FORMS: Final = (
    "Give one label map with the values 0 none, 1 right lung, 2 left lung, 3 mediastinum; or a folder with the masks "
    f"{', '.join(KEYS)} ({', '.join(SUFFIXES)}), where anything but 0 is inside."
)


def read_masks(path: MaskPath, target: Geometry) -> npt.NDArray[np.uint8]:
    """Return the organ labels of ``path`` on the voxels of ``target``.

    Parameters
    ----------
    path
        A label map (1 right lung, 2 left lung, 3 mediastinum; the patient's right and left), or separate masks: a
        folder with ``right_lung``, ``left_lung`` and perhaps ``mediastinum``, or a mapping from these names to files.
    target
        The CT's geometry.

    Raises
    ------
    InputError
        File missing or unreadable, other values, overlapping masks, or no overlap with the CT.
    """
    if not isinstance(path, Mapping) and not Path(path).is_dir():
        labels = _label_map(Path(path), target)
    else:
        labels = _separate(_files(path), target)
    if not labels.any():
        name = "the masks" if isinstance(path, Mapping) else Path(path).name
        raise _refused("mask-elsewhere", f"{name}: nothing of it lies within the CT", "Give the mask of this very CT.")
    return labels


def _label_map(path: Path, target: Geometry) -> npt.NDArray[np.uint8]:
    values, geometry = _read(path)
    found = np.unique(values)
    if not found.any():
        raise _refused("empty-mask", f"{path.name}: all its values are 0, so it holds no organ", FORMS)
    if not np.isin(found, (0, *ORGAN_NAMES)).all():
        shown = ", ".join(f"{value:g}" for value in found[:10])
        raise _refused("mask-values", f"{path.name}: its values are {shown}", FORMS)
    return np.asarray(nearest_labels(values.astype(np.uint8), geometry, target), dtype=np.uint8)


def _files(path: MaskPath) -> dict[int, Path]:
    if isinstance(path, Mapping):
        unknown = sorted(set(path) - set(KEYS))
        if unknown:
            raise _refused("mask-names", f"no organ is called {', '.join(unknown)}", FORMS)
        return {KEYS[name]: Path(file) for name, file in path.items()}
    folder = Path(path)
    named = {KEYS[name]: folder / f"{name}{end}" for name in KEYS for end in SUFFIXES}
    named = {value: file for value, file in named.items() if file.is_file()}
    for name, value in KEYS.items():
        for end in SUFFIXES:
            if (folder / f"{name}{end}").is_file():
                named[value] = folder / f"{name}{end}"
    if not named:
        raise _refused("no-masks", f"{folder.name}: the folder holds none of the masks {', '.join(KEYS)}", FORMS)
    return named


def _separate(files: dict[int, Path], target: Geometry) -> npt.NDArray[np.uint8]:
    labels, empty = np.zeros(target.shape, dtype=np.uint8), []
    for value, file in sorted(files.items()):
        values, geometry = _read(file)
        if not values.any():
            empty.append(file.name)
        mask = nearest_labels((values != 0).view(np.uint8), geometry, target) != 0
        overlap = mask & (labels > 0)
        if overlap.any():
            other = ORGAN_NAMES[int(np.bincount(labels[overlap]).argmax())]
            n, name = int(overlap.sum()), ORGAN_NAMES[value]
            fact = f"{file.name}: {counted(n, 'voxel')} of the {name} {agreed(n, 'is', 'are')} in the {other} as well"
            raise _refused("overlapping-masks", fact, "A voxel can belong to one organ only: correct the masks.")
        labels[mask] = value
    if len(empty) == len(files):
        raise _refused("empty-mask", f"{', '.join(empty)}: all values are 0, so there is no organ", FORMS)
    return labels


def _read(path: Path) -> tuple[npt.NDArray[Any], Geometry]:
    """Return values (slice, row, column) and geometry."""
    if not path.is_file():
        raise _refused("no-masks", f"{path.name}: there is no such file", FORMS)
    return read_mask(path)


def _refused(code: str, fact: str, way_out: str) -> InputError:
    return InputError(error(code, fact, way_out))
