"""The results of one CT on disk: ``case.zarr``, a zarr 3 group that reads back to the same :class:`Explanation`.

It holds Z, the head's weights and bias, scores, slice scores and the geometries, not maps: they follow in closed form.
Every array has its SHA-256 in the attributes, because zarr silently reads a missing chunk as zeros. No patient data.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.storage import LocalStore

from training import __version__
from training.explain.result import Explanation, ModelInfo
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.io.atomic import atomic_path
from training.io.privacy import exported
from training.issues import InputError, Issue, Severity, error

CASE_FOLDER = "case.zarr"
"""Name of the store inside a folder made by ``explain``."""

SCHEMA = "hirescam-case"
SCHEMA_VERSION = 1

_ARRAYS = ("z", "weights", "bias", "scores")
_OPTIONAL_ARRAYS = ("gradient_maps", "computed_slice_scores")
_DERIVED_ARRAYS = ("slice_scores",)
_WAY_OUT = "Make it again with `hirescam explain`."


def write_case(path: str | os.PathLike[str], case: Explanation) -> None:
    """Write ``case`` to the folder ``path``, which exists completely or not at all; an earlier one is replaced.

    Raises
    ------
    InputError
        If the place is not writable or the disk is full.
    """
    arrays = _arrays_of(case)
    attributes = _describe(case) | {"sha256": {name: _sha256(array) for name, array in arrays.items()}}
    with atomic_path(path) as folder:
        group = zarr.create_group(LocalStore(folder), zarr_format=3, attributes=attributes)
        for name, array in arrays.items():
            group.create_array(name, data=array, chunks=array.shape)


def read_case(path: str | os.PathLike[str]) -> Explanation:
    """Read the case that :func:`write_case` wrote to ``path``, or to ``path/case.zarr``.

    Raises
    ------
    InputError
        Nothing there; not a case; of a newer schema; damaged.
    """
    folder = find_case(path)
    if folder is None:
        raise InputError(error("not-a-case", "there is no case.zarr here", _WAY_OUT, Path(path).name))
    try:
        group = zarr.open_group(LocalStore(folder, read_only=True), mode="r", zarr_format=3)
        attributes = dict(group.attrs)
        _check_schema(attributes, folder)
        return _rebuild(attributes, _checked_arrays(group, attributes, folder))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as failure:
        raise _damaged(folder, f"{type(failure).__name__}: {failure}") from failure


def find_case(path: str | os.PathLike[str]) -> Path | None:
    """Return the folder of the store at ``path`` (itself, or inside a folder made by ``explain``); None if none.

    A ``case.zarr`` whose own ``zarr.json`` is damaged or missing is one too, so that reading it tells what is wrong.
    """
    for folder in (Path(path), Path(path) / CASE_FOLDER):
        if _has_schema(folder / "zarr.json") or (folder.name == CASE_FOLDER and (folder / "z").is_dir()):
            return folder
    return None


def _has_schema(metadata: Path) -> bool:
    try:
        attributes = json.loads(metadata.read_text(encoding="utf-8")).get("attributes", {})
    except (OSError, ValueError, AttributeError):  # nothing there, or another program's file
        return False
    return isinstance(attributes, dict) and attributes.get("schema") == SCHEMA


def _arrays_of(case: Explanation) -> dict[str, npt.NDArray[Any]]:
    names = (*_ARRAYS, *_OPTIONAL_ARRAYS, *_DERIVED_ARRAYS)
    arrays = {name: getattr(case, name) for name in names}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}


def how_made(case: Explanation) -> dict[str, Any]:
    """Return how a result came about, plain JSON types: device, precision, cost, issues fit to be told, provenance."""
    return {
        "device": case.device,
        "precision": case.precision,
        "seconds": dict(case.seconds),
        "peak_rss_bytes": case.peak_rss_bytes,
        "issues": exported(case.issues),
        "provenance": dict(case.provenance),
    }


def _describe(case: Explanation) -> dict[str, Any]:
    """Return everything but the arrays as plain JSON types."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": f"hirescam {__version__}",
        "intended_use": "research only, not for clinical use",
        "case": case.case_id,
        "labels": list(case.labels),
        "axes": {"z": "slice_group,feature,row,column", "weights": "label,feature,row,column"},
        "input_geometry": case.input_geometry.to_dict(),
        "image_geometry": case.image_geometry.to_dict(),
        "cells": {"n_cells": list(case.cells.n_cells), "fields_px": [f.__dict__ for f in case.cells.fields]},
        "model": case.model.to_dict(),
        **how_made(case),
    }


def _check_schema(attributes: Mapping[str, Any], folder: Path) -> None:
    version = attributes["schema_version"]
    if version != SCHEMA_VERSION:
        fact = f"it is of schema {version}, this program reads schema {SCHEMA_VERSION}"
        raise InputError(error("wrong-schema", fact, "Update hirescam-napari, or make it again.", folder.name))


def _checked_arrays(group: zarr.Group, attributes: Mapping[str, Any], folder: Path) -> dict[str, npt.NDArray[Any]]:
    arrays = {}
    for name, expected in attributes["sha256"].items():
        stored = group[name]
        if not isinstance(stored, zarr.Array):
            raise _damaged(folder, f"{name!r} is not an array")
        array = np.asarray(stored[...])
        if _sha256(array) != expected:
            raise _damaged(folder, f"array {name!r} does not match its checksum")
        if name not in _DERIVED_ARRAYS:
            arrays[name] = array
    return arrays


def _rebuild(data: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Explanation:
    slices, rows, columns = (ReceptiveField(**field) for field in data["cells"]["fields_px"])
    n_groups, n_rows, n_columns = data["cells"]["n_cells"]
    return Explanation(
        case_id=data["case"],
        labels=tuple(data["labels"]),
        input_geometry=Geometry.from_dict(data["input_geometry"]),
        image_geometry=Geometry.from_dict(data["image_geometry"]),
        cells=CellLayout((n_groups, n_rows, n_columns), (slices, rows, columns)),
        model=ModelInfo.from_dict(data["model"]),
        device=data["device"],
        precision=data["precision"],
        seconds=data["seconds"],
        peak_rss_bytes=data["peak_rss_bytes"],
        issues=tuple(Issue(**(one | {"severity": Severity(one["severity"])})) for one in data["issues"]),
        provenance=data["provenance"],
        **arrays,
    )


def _sha256(array: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.shape}{array.dtype.str}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _damaged(folder: Path, detail: str) -> InputError:
    return InputError(
        error("damaged-store", f"the stored case is incomplete or damaged ({detail})", _WAY_OUT, folder.name)
    )
