"""Writing again what follows from a store's plan: the cohort's tables, the model, and what is known of every case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.cohort.results import layout as names
from training.cohort.results.details import details_rows
from training.cohort.results.files import Arrays, create_array, create_head
from training.cohort.results.layout import DONE, LARGEST_BLOCK, NOT_DONE, Layout
from training.cohort.results.plan import TABLE_ARRAYS, Plan
from training.cohort.results.sources import read_origin
from training.io.atomic import atomic_path
from training.issues import InputError


def restore(path: Path, plan: Plan) -> tuple[str, ...]:
    """Write again what is missing or damaged and follows from ``plan``; return its names.

    That are the list of cases, truth, sides, the head, what describes the arrays, and ``state``, which follows from the
    details of the cases.

    Raises
    ------
    InputError
        If the disk is full or not writable.
    """
    return (*_restored_files(path, plan), *_restored_arrays(path, plan))


def _restored_files(path: Path, plan: Plan) -> Iterator[str]:
    for name in (names.DETAILS_FOLDER, names.PENDING_FOLDER):
        (path / name).mkdir(exist_ok=True)
    cases = path / names.CASES_FILE
    if not cases.is_file() or cases.read_bytes() != plan.cases_csv():
        with atomic_path(cases) as partial:
            partial.write_bytes(plan.cases_csv())
        yield names.CASES_FILE
    try:
        read_origin(path)
    except (OSError, ValueError, KeyError, TypeError):
        plan.origin.write(path, path)
        yield names.DATA_FILE


def _restored_arrays(path: Path, plan: Plan) -> Iterator[str]:
    for name in plan.layout.arrays():
        if not Arrays(path, plan.layout).is_usable(name):
            (path / name / "zarr.json").unlink(missing_ok=True)
            create_array(path, name, plan.layout)
            yield f"{name}/zarr.json"
    for name, values in plan.head_arrays.items():
        if not _holds(Arrays(path, plan.layout), name, values):
            (path / name / "zarr.json").unlink(missing_ok=True)
            create_head(path, name, np.ascontiguousarray(values))
            yield name
    arrays = Arrays(path, plan.layout)
    for name in TABLE_ARRAYS:
        if not _holds(arrays, name, getattr(plan, name)):
            arrays.write(name, range(plan.layout.n_cases), getattr(plan, name))
            yield name
    if read_if_whole(arrays, "state") is None:
        arrays.write("state", range(plan.layout.n_cases), _state_from_details(path, plan.layout))
        yield "state"


def _holds(arrays: Arrays, name: str, values: npt.NDArray[Any]) -> bool:
    kept = read_if_whole(arrays, name)
    return kept is not None and np.array_equal(kept, values)


def read_if_whole(arrays: Arrays, name: str, selection: Any = ...) -> npt.NDArray[Any] | None:
    """Return (a part of) an array, None if it is missing or damaged."""
    try:
        return arrays.read(name, selection)
    except InputError:
        return None


def _state_from_details(path: Path, layout: Layout) -> npt.NDArray[np.uint8]:
    """Return ``state``: details are written when everything else of a case is, just before its state."""
    state = np.full(layout.n_cases, NOT_DONE, dtype=np.uint8)
    for start in range(0, layout.n_cases, LARGEST_BLOCK):
        state[details_rows(path, range(start, min(start + LARGEST_BLOCK, layout.n_cases)))] = DONE
    return state
