"""Results that wait to be gathered: a file a case in ``pending``, which exists completely or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.cohort.results import layout as names
from training.cohort.results.details import line_of
from training.cohort.results.layout import Layout
from training.cohort.store import how_made
from training.explain.result import Explanation
from training.io.atomic import atomic_path
from training.io.kept import DAMAGED_NPZ
from training.issues import InputError, error

Arrays = dict[str, npt.NDArray[Any]]

DETAILS = "details"
"""Under this name a result holds the line of its details."""

_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


def pending_file(store: Path, row: int) -> Path:
    """Return the file in which the result of a row waits to be gathered."""
    return store / names.PENDING_FOLDER / f"{row:08d}.npz"


def write_pending(
    store: Path,
    row: int,
    layout: Layout,
    case: Explanation,
    organs: Mapping[str, npt.NDArray[np.uint8]] | None,
    qc: Any = None,
) -> None:
    """Leave the result of one case to be gathered.

    Parameters
    ----------
    organs
        From :func:`training.cohort.results.organs.organ_arrays`.
    qc
        Quality of the organ masks, plain JSON types.

    Raises
    ------
    InputError
        If Z does not fit into float16, or the disk is full.
    """
    arrays = _arrays_of(case, layout) | dict(organs or {})
    arrays[DETAILS] = np.frombuffer(line_of(_details_of(case, qc)), dtype=np.uint8)
    with atomic_path(pending_file(store, row)) as partial:
        np.savez(partial, **arrays)  # type: ignore[arg-type]


def _arrays_of(case: Explanation, layout: Layout) -> Arrays:
    z = _as_kept(case.z, layout.z_dtype)
    found: Arrays = {
        "scores": case.scores.astype(np.float32),
        "input_affine": case.input_geometry.affine,
        "image_affine": case.image_geometry.affine,
        "image_shape": np.asarray(case.image_geometry.shape, dtype=np.int32),
        "z_sha256": np.frombuffer(hashlib.sha256(z.data).digest(), dtype=np.uint8),
        "z": z,
        "slice_scores": case.slice_scores.astype(np.float32),
    }
    if not layout.closed_form:
        found |= {"case_weights": case.weights.astype(np.float32), "case_bias": case.bias.astype(np.float32)}
    if case.gradient_maps is not None:
        found["gradient_maps"] = case.gradient_maps.astype(np.float32)
    return found


def _as_kept(z: npt.NDArray[np.floating], dtype: str) -> npt.NDArray[np.floating]:
    largest = float(np.abs(z).max(initial=0.0))
    if dtype == "float16" and largest > _LARGEST_FLOAT16:
        fact = f"Z reaches {largest:.3g}, which float16 cannot hold"
        raise InputError(error("too-large-for-float16", fact, "Keep Z as float32."))
    return np.ascontiguousarray(z, dtype=dtype)


def _details_of(case: Explanation, qc: Any) -> dict[str, Any]:
    return {"case": case.case_id, **how_made(case), "organs": qc}


def pending_rows(store: Path) -> Iterator[int]:
    """Yield the rows whose result waits to be gathered."""
    for file in (store / names.PENDING_FOLDER).glob("*.npz"):
        if file.stem.isdigit():
            yield int(file.stem)


def read_pending(store: Path, row: int) -> Arrays | None:
    """Return what :func:`write_pending` left; None if it is damaged: the file is then removed, the case to be done."""
    file = pending_file(store, row)
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            return dict(kept)
    except DAMAGED_NPZ:
        file.unlink()
        return None
