"""Organs of a cohort's cases for the mask loss: from the cohort's own maps or from PARTITION, worked out once and kept.

Two things are kept beside the prepared CTs: the organ labels on the model's grid, which take seconds to work out, and
their values at the cells of a map, which are small and read for every step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.cohort.cache import VolumeCache
from training.cohort.sources.base import Record
from training.fit.regions import ORGANS, OrganCells, RegionRequest
from training.geometry import Geometry
from training.io.kept import SUFFIX, keep_array, kept_array
from training.partition import segment_organs
from training.partition.allowed import organ_cells
from training.partition.grids import nearest_labels
from training.partition.organs import Organs, QualityControl
from training.partition.segment.masks import read_masks
from training.preprocess import ModelInput
from training.volume import Volume

ORGANS_VERSION = 6
"""Version of what the segmentation computes: raise it when its output changes."""


def cells_of(
    record: Record,
    request: RegionRequest,
    cache: VolumeCache | None,
    prepared: Callable[[], ModelInput],
    volume: Callable[[], Volume],
) -> OrganCells:
    """Return the organs of a case at the cells of ``request``: float32 [3, H, D1, D2] in the order of ``ORGANS``.

    Parameters
    ----------
    record
        The case.
    cache
        Where results are kept; None to work them out every time.
    prepared, volume
        Give the CT on the model's grid, and as its source has it.

    Raises
    ------
    InputError
        The CT or its organ map cannot be used.
    """
    if request.organs == "heuristic":
        return heuristic_cells(request)
    if cache is None:
        return _reduced(_labels(record, request, prepared(), volume), request)
    details = _details(record, request, cache)
    place = _place(cache, record, request, details)
    kept = kept_array(place)
    if kept is not None:
        return np.asarray(kept, dtype=np.float32)
    labels = cache.get(record.path, request.spec, lambda: _labels(record, request, prepared(), volume), details)
    cells = _reduced(labels, request)
    keep_array(place, cells)
    return cells


@lru_cache(maxsize=4)
def heuristic_cells(request: RegionRequest) -> OrganCells:
    """Return the organs of any case without a segmentation: halves of the array."""
    return _stacked(None, Geometry.canonical(request.spec.shape, request.spec.spacing_mm), request)


def _labels(record: Record, request: RegionRequest, prepared: ModelInput, volume: Callable[[], Volume]) -> ModelInput:
    """Return organ labels on the model's grid, as the int16 values of a :class:`ModelInput`; all 0 if they failed."""
    target = prepared.geometry
    labels: npt.NDArray[np.uint8] = np.zeros(target.shape, dtype=np.uint8)
    own = record.organs if request.organs == "auto" else None
    given = None if own is None else read_masks(own, target)
    if given is not None and set(ORGANS) <= set(np.unique(given).tolist()):
        labels = given
    else:
        organs = segment_organs(volume(), "morphology" if own is None else "file", mask_path=own)
        if organs.qc.heuristic is None:
            labels = np.asarray(nearest_labels(organs.labels, organs.geometry, target), dtype=np.uint8)
    return ModelInput(labels.astype(np.int16), target, request.spec)


def _reduced(labels: ModelInput, request: RegionRequest) -> OrganCells:
    values = labels.hu.astype(np.uint8)
    organs = Organs(values, labels.geometry, QualityControl(True)) if values.any() else None
    return _stacked(organs, labels.geometry, request)


def _stacked(organs: Organs | None, image: Geometry, request: RegionRequest) -> OrganCells:
    found = organ_cells(organs, image, request.cells, request.settings)
    return np.stack([found[value] for value in ORGANS])


def _details(record: Record, request: RegionRequest, cache: VolumeCache) -> Mapping[str, str]:
    """Return what beside the CT's bytes decides its organ labels."""
    own = record.organs if request.organs == "auto" else None
    source = "PARTITION" if own is None else f"file {cache.digest(own)}"
    return {**record.details, "content": f"organs {ORGANS_VERSION}", "organs": source}


def _place(cache: VolumeCache, record: Record, request: RegionRequest, details: Mapping[str, str]) -> Path:
    labels = cache.place(record.path, request.spec, details)
    about = [labels.parent.name + labels.name, asdict(request.cells), asdict(request.settings)]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    return cache.folder / "organ-cells" / key[:2] / f"{key[2:32]}{SUFFIX}"
