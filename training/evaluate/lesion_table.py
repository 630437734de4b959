"""Tables of lesions: one row a lesion, as centre and diameter, or one row a mask file with one lesion or several.

A mask may be in any grid, flipped or oblique: its lesions are voxels in patient mm. Voxels that touch, at a face, an
edge or a corner, are one lesion. Nothing of a mask is read before it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.cohort.sources.tables import Faults, Row, numbered, read_table
from training.evaluate.lesions import Extent, ball, diameter_mm
from training.evaluate.pointing import Lesion
from training.geometry import FloatArray, Geometry
from training.io.masks import read_mask
from training.issues import InputError, error
from training.labels import find_label, is_known
from training.partition.segment.shapes import bounding_box, components

LesionTable = dict[str, dict[str, list["LesionRow"]]]
"""By case, then by label."""

COLUMNS = {
    "case": ("case", "series", "seriesuid"),
    "label": ("label",),
    "mask": ("mask", "mask_path"),
    "value": ("value",),
    "x": ("x", "coordx"),
    "y": ("y", "coordy"),
    "z": ("z", "coordz"),
    "diameter_mm": ("diameter_mm", "diameter"),
}
"""What a column may be called, in lower case."""

_BALL = ("x", "y", "z", "diameter_mm")
_WAY_OUT = "Name the columns case,label,x,y,z,diameter_mm or case,label,mask."
_EMPTY = "Correct the path or the column value, or remove these rows."
_PLACE = "Give masks that were drawn on this very CT, with its position and orientation."

OUTSIDE_MM = 1.0
"""How far a lesion's voxel may lie beyond the CT before its mask is of another place."""


@dataclass(frozen=True)
class LesionRow:
    """One row.

    Parameters
    ----------
    number
        Its line in the table; the header is line 1.
    centre_mm, diameter_mm
        Of a ball, LPS mm; not used if there is a mask.
    mask
        The mask's file; None for a ball.
    value
        The value of the mask's voxels that are meant; None: all but 0.
    """

    number: int
    centre_mm: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    diameter_mm: float = np.nan
    mask: Path | None = None
    value: int | None = None

    @property
    def place(self) -> object:
        """What the row says of its lesion; rows of which it is equal say the same."""
        return (self.mask, self.value) if self.mask is not None else (self.centre_mm, self.diameter_mm)

    def lesions(self) -> list[Lesion]:
        """Return the lesions; raises ``InputError`` as :func:`read_lesion_mask`."""
        if self.mask is None:
            return [ball(self.centre_mm, self.diameter_mm)]
        return connected_lesions(*read_lesion_mask(self.mask, self.value))

    def extents(self, image: Geometry | None) -> list[Extent]:
        """Return centre and diameter of every lesion; with the geometry of the CT, only if they lie in it.

        Raises
        ------
        InputError
            As :meth:`lesions`; or something lies outside of ``image``, or on its number of voxels at another place; or
        a diameter is larger than ``image``.
        """
        if self.mask is None:
            centre = np.array(self.centre_mm)
            if image is not None:
                _check_inside(centre[None], image, 0.0, "centres", "Give them in LPS mm: x to the left, y to the back.")
                _check_diameter(self.diameter_mm, image)
            return [Extent(centre, self.diameter_mm)]
        mask, grid = read_lesion_mask(self.mask, self.value)
        found = connected_lesions(mask, grid)
        if image is not None:
            _check_mask(found, grid, image)
        return [Extent(one.centre_mm, diameter_mm([one])) for one in found]


def read_lesion_mask(path: Path, value: int | None = None) -> tuple[npt.NDArray[np.bool_], Geometry]:
    """Return the voxels of a mask file that are ``value`` (None: all but 0), and where they lie.

    Raises
    ------
    InputError
        As :func:`read_mask`; values that are no whole numbers; no such voxel.
    """
    values, grid = read_mask(path)
    if values.dtype.kind == "f" and (not np.isfinite(values).all() or (values != np.rint(values)).any()):
        fact = "masks have values that are no whole numbers"
        raise InputError(error("mask-values", fact, "Give masks that are 0 outside and 1 inside."))
    mask = values != 0 if value is None else values == value
    if not mask.any():
        fact = "masks are empty: " + ("all voxels are 0" if value is None else f"no voxel is {value}")
        raise InputError(error("empty-mask", fact, _EMPTY))
    return mask, grid


def connected_lesions(mask: npt.NDArray[np.bool_], grid: Geometry) -> list[Lesion]:
    """Return one lesion for every connected part (26 neighbours) of a mask on ``grid``, in no particular order."""
    window = bounding_box(mask, 0.0, (1.0, 1.0, 1.0))
    labels, _ = components(mask[window], 26)
    where = np.argwhere(labels)
    part = labels[tuple(where.T)]
    order = np.argsort(part, kind="stable")
    ends = np.flatnonzero(np.diff(part[order])) + 1
    start = [side.start for side in window]
    return [Lesion.from_voxels(one + start, grid) for one in np.split(where[order], ends)]


def _check_mask(found: Sequence[Lesion], grid: Geometry, image: Geometry) -> None:
    """Refuse a mask of another place than the CT."""
    if grid.shape == image.shape and not grid.allclose(image, max(image.spacing_mm) / 2):
        fact = "masks have as many voxels as their CT, but lie at another place, or turned"
        raise InputError(error("mask-elsewhere", fact, _PLACE))
    half = float(np.linalg.norm(grid.spacing_mm)) / 2
    _check_inside(np.concatenate([one.voxels_mm for one in found]), image, half, "masks", _PLACE)


def _check_inside(points_mm: FloatArray, image: Geometry, half_mm: float, what: str, way_out: str) -> None:
    """Refuse points whose voxels, ``half_mm`` from centre to corner, lie beyond the outer voxels of ``image``."""
    index = image.to_index(points_mm)
    beyond = np.maximum(np.maximum(-0.5 - index, index - (np.array(image.shape) - 0.5)), 0.0)
    outside = np.linalg.norm(beyond * image.spacing_mm, axis=1) > half_mm + OUTSIDE_MM
    if outside.any():
        part = "" if outside.all() else "partly "
        raise InputError(error("mask-elsewhere", f"{what} lie {part}outside of their CT", way_out))


def _check_diameter(diameter: float, image: Geometry) -> None:
    """Refuse a lesion that is wider than the longest side of its CT."""
    if diameter > max(n * mm for n, mm in zip(image.shape, image.spacing_mm, strict=True)):
        raise InputError(error("bad-lesion", "diameters are larger than their CT", "Give them in mm."))


def read_lesions(path: Path, label: str | None = None) -> LesionTable:
    """Read a table of lesions: case or series, label, and centre (x, y, z; LPS mm) with diameter (mm), or a mask.

    Parameters
    ----------
    path
        CSV; phantoms' ``findings.csv`` and LUNA16's ``annotations.csv`` are understood as they are. A row with a
        ``mask`` (a path from the table's folder) needs no numbers; ``value`` says which of its values is meant.
    label
        The label of every row where the table has no column ``label``.

    Raises
    ------
    InputError
        If the file is no such table, or a mask is not there; every kind of fault is named with its first rows.
    """
    columns, rows = read_table(path)
    names = _columns(columns, path, label)
    found: LesionTable = {}
    faults = Faults(path.name)
    for number, row in numbered(rows):
        name = row[names["label"]] if names["label"] else label or ""
        case = row[names["case"]]
        lesion = _lesion(number, row, names, path.parent, faults)
        if not case or not name:
            faults.add("bad-lesion", "rows name no case or no label", "Correct or remove these rows.", f"row {number}")
        elif lesion is not None:
            known = find_label(name).name if is_known(name) else name
            found.setdefault(case, {}).setdefault(known, []).append(lesion)
    issues = faults.issues()
    if issues:
        raise InputError(issues)
    return found


def _columns(columns: Sequence[str], path: Path, label: str | None) -> dict[str, str]:
    """Return what the table calls each column; empty for those that it does not have."""
    lower = {name.lower(): name for name in columns}
    found = {key: next((lower[n] for n in names if n in lower), "") for key, names in COLUMNS.items()}
    needed = ("case", *(() if label else ("label",)), *(() if found["mask"] else _BALL))
    missing = [key for key in needed if not found[key]]
    if missing:
        fact = f"has no column for {', '.join(missing)}"
        raise InputError(error("no-lesion-columns", fact, _WAY_OUT, path.name))
    return found


def _lesion(number: int, row: Row, names: dict[str, str], folder: Path, faults: Faults) -> LesionRow | None:
    """Return one row's lesion; None, with the fault noted, if it is none."""
    cell = {key: row[name] if name else "" for key, name in names.items()}
    if cell["mask"]:
        return _masked(number, cell, folder, faults)
    try:
        x, y, z, diameter = (float(cell[key]) for key in _BALL)
        if not np.isfinite([x, y, z, diameter]).all() or diameter <= 0:
            raise ValueError
    except ValueError:
        fact = "rows have a number that is none" + (", and no mask" if names["mask"] else "")
        faults.add("bad-lesion", fact, "Correct or remove these rows.", f"row {number}")
        return None
    return LesionRow(number, (x, y, z), diameter)


def _masked(number: int, cell: dict[str, str], folder: Path, faults: Faults) -> LesionRow | None:
    path = folder / cell["mask"]
    if not path.is_file():
        fact, way_out = "masks are not there", "Paths are read from the table's folder: correct them."
        faults.add("no-mask", fact, way_out, mask_place(number, path))
        return None
    value = cell["value"]
    if value and (not value.isdecimal() or int(value) == 0):
        fact, way_out = "values are no whole numbers above 0", "Leave the cell empty for all values of the mask."
        faults.add("bad-lesion", fact, way_out, f"row {number}: {value[:20]!r}")
        return None
    return LesionRow(number, mask=path, value=int(value) if value else None)


def mask_place(number: int, mask: Path | None) -> str:
    """Return where a fault is: the row, and the mask's name if it has one."""
    return f"row {number}" + (f" ({mask.name})" if mask is not None else "")
