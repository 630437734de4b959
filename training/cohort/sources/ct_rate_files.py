"""The volumes of CT-RATE, of which there are two generations that must not be confused.

The folders ``train_fixed`` and ``valid_fixed`` hold corrected files: Hounsfield units at the right spacing. The older
folders ``train`` and ``valid`` hold stored values in a header that knows neither slope nor spacing; both are in the
metadata table. Applying the table to a corrected file, or not applying it to an older one, gives wrong HU. So a volume
is read only if its place and its content say the same, and it is refused, by name, where they contradict each other.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from training.geometry import FloatArray
from training.io.assemble import assemble
from training.io.hu import why_not_hu
from training.io.nifti import SOFTWARE, StoredNifti, read_stored
from training.issues import InputError, error, note
from training.volume import Volume
from training.words import counted

Generation = Literal["fixed", "older"]

SPACING_TOLERANCE = 0.01
"""Largest relative difference of spacings that still counts as equal (the tables are rounded)."""

DIRECTION_TOLERANCE = 0.05
"""Largest difference of direction cosines that still counts as equal."""

_USE_FIXED = "Use the corrected file (folder train_fixed or valid_fixed), or download this one again."


@dataclass(frozen=True)
class Metadata:
    """What the metadata table says of a volume.

    Parameters
    ----------
    slope, intercept
        Stored value to HU.
    spacing_mm
        Along the axes of the file: column, row, slice.
    axes
        LPS unit vectors of a row's and a column's direction (ImageOrientationPatient), if the table has them.
    """

    slope: float
    intercept: float
    spacing_mm: tuple[float, float, float]
    axes: tuple[float, ...] = ()

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> Metadata:
        """Read a row of the metadata table.

        Raises
        ------
        ValueError
            A cell is missing or is not what it should be.
        """
        between_rows, between_columns = _numbers(row["XYSpacing"], 2)
        (z,) = _numbers(row["ZSpacing"], 1)
        (slope,), (intercept,) = _numbers(row["RescaleSlope"], 1), _numbers(row["RescaleIntercept"], 1)
        orientation = row.get("ImageOrientationPatient", "")
        axes = _numbers(orientation, 6) if orientation else ()
        if min(between_rows, between_columns, z) <= 0 or slope <= 0:
            raise ValueError("spacing and slope must be positive")
        return cls(slope, intercept, (between_columns, between_rows, z), axes)


def _numbers(text: str, count: int) -> tuple[float, ...]:
    """Read ``0.7``, or the list ``[0.7, 0.7]`` written as text."""
    try:
        parsed = ast.literal_eval(text)
        values = tuple(float(value) for value in (parsed if isinstance(parsed, list | tuple) else (parsed,)))
    except (ValueError, SyntaxError, TypeError) as failure:
        raise ValueError(f"{text[:40]!r} is not {counted(count, 'number')}") from failure
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(f"{text[:40]!r} is not {counted(count, 'number')}")
    return values


def generation_of(path: Path) -> Generation:
    """Return what the place of a volume says: below a folder ``*_fixed`` or itself named so, it is a corrected one."""
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    return "fixed" if stem.endswith("_fixed") or any(part.endswith("_fixed") for part in path.parts[:-1]) else "older"


def read_volume(path: Path, generation: Generation, metadata: Metadata | None) -> Volume:
    """Read a volume whose place says ``generation``; the table is applied to older files only, and once.

    Raises
    ------
    InputError
        The file is damaged; its content contradicts its place; nothing says how to read it; not HU.
    """
    stored = read_stored(path)
    if generation == "fixed":
        return _read_fixed(path, stored, metadata)
    if metadata is None:
        fact = "an older file, and the metadata table has no row for it: slope and spacing are unknown"
        raise InputError(error("no-metadata", fact, _USE_FIXED, path.name))
    slope, intercept = _scaling(path, stored, metadata)
    affine = _affine(path, stored, metadata)
    fact = "slope and spacing are from the metadata table, directions from the file's header"
    issues = (*stored.issues, note("metadata-applied", fact, path.name))
    return assemble(stored.values, affine, path, "nifti", SOFTWARE, slope, intercept, issues)


def _read_fixed(path: Path, stored: StoredNifti, metadata: Metadata | None) -> Volume:
    issues = stored.issues
    if metadata is None:
        fact = "the metadata table has no row for it, so its header could not be checked"
        issues = (*issues, note("no-metadata", fact, path.name))
    elif not _same_spacing(stored, metadata):
        fact = (
            f"it is among the corrected files, but its header's spacing {_mm(_spacing(stored))} mm"
            f" is not the metadata table's {_mm(metadata.spacing_mm)} mm"
        )
        raise InputError(error("generation-unclear", fact, "Download it again.", path.name))
    return assemble(stored.values, stored.affine, path, "nifti", SOFTWARE, stored.slope, stored.intercept, issues)


def _scaling(path: Path, stored: StoredNifti, metadata: Metadata) -> tuple[float, float]:
    """Return the slope and intercept for the stored values of an older file, or refuse it."""
    header, table = (stored.slope, stored.intercept), (metadata.slope, metadata.intercept)
    if np.allclose(header, table, rtol=1e-6, atol=1e-6):
        return table
    if header != (1.0, 0.0):
        fact = f"its header scales by {_scale(header)}, the metadata table by {_scale(table)}; only one can be meant"
        raise InputError(error("generation-unclear", fact, _USE_FIXED, path.name))
    if _is_hu(stored.values, header):
        both = "either with or without" if _is_hu(stored.values, table) else "only without"
        fact = (
            f"it is among the older files, but its values can be HU {both} the metadata table's {_scale(table)}:"
            " applying that might apply it twice"
        )
        raise InputError(error("generation-unclear", fact, _USE_FIXED, path.name))
    return table


def _affine(path: Path, stored: StoredNifti, metadata: Metadata) -> FloatArray:
    """Return the header's directions and origin with the table's spacing; refuse contradictory directions."""
    affine = stored.affine.copy()
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if metadata.axes:
        wanted = np.reshape(metadata.axes, (2, 3)).T
        if np.abs(directions[:, :2] - wanted).max() > DIRECTION_TOLERANCE:
            fact = "its header and the metadata table (ImageOrientationPatient) disagree about left, right, front, back"
            raise InputError(error("orientation-unclear", fact, _USE_FIXED, path.name))
    affine[:3, :3] = directions * np.asarray(metadata.spacing_mm)
    return affine


def _spacing(stored: StoredNifti) -> tuple[float, ...]:
    return tuple(float(mm) for mm in np.linalg.norm(stored.affine[:3, :3], axis=0))


def _same_spacing(stored: StoredNifti, metadata: Metadata) -> bool:
    return bool(np.allclose(_spacing(stored), metadata.spacing_mm, rtol=SPACING_TOLERANCE, atol=0))


def _is_hu(values: npt.NDArray[Any], scaling: tuple[float, float]) -> bool:
    step = max(1, round((values.size / 1_000_000) ** (1 / 3)))
    part = values[(slice(None, None, step),) * values.ndim].astype(np.float32)
    return why_not_hu(part * np.float32(scaling[0]) + np.float32(scaling[1])) is None


def _mm(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{mm:.4g}" for mm in spacing)


def _scale(scaling: tuple[float, float]) -> str:
    return f"slope {scaling[0]:g}, intercept {scaling[1]:g}"
