"""NRRD (.nrrd, .nhdr) and MetaImage (.mha, .mhd) through SimpleITK, whose world is LPS mm.

SimpleITK fills in an identity where a file says nothing about orientation, so the text header is checked first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - its usual name

from training.geometry import FloatArray
from training.io.assemble import assemble, damaged, refused
from training.volume import Volume

SOFTWARE = f"SimpleITK {sitk.Version.VersionString()}"
"""For the provenance of what is read here."""

_HEADER_BYTES = 65536
_SPACES = {
    "left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las",
}  # fmt: skip
_LENGTH_TOLERANCE = 1e-2
"""How far directions may be from unit length: headers round them to two or three digits."""

_META_ORIENTATION = ("transformmatrix", "rotation", "orientation")
_META_POSITION = ("offset", "position", "origin")
_MIN_DETERMINANT = 1e-6
"""Of unit vectors along the axes; less, and they lie in a plane."""

_WAY_OUT = "Convert it again from the DICOM files with a tool that writes position and orientation."


def read_nrrd(path: Path) -> Volume:
    """Read the CT in a NRRD file.

    Raises
    ------
    InputError
        As :func:`stored_nrrd`; not HU.
    """
    image = _nrrd(path)
    return assemble(sitk.GetArrayViewFromImage(image), _affine(image), path, "nrrd", SOFTWARE)


def stored_nrrd(path: Path) -> tuple[npt.NDArray[Any], FloatArray]:
    """Return values (slice, row, column) and affine (LPS mm) of a NRRD file, without asking whether they make a CT.

    Raises
    ------
    InputError
        Truncated or damaged; not one plain volume; no or unknown anatomical space.
    """
    image = _nrrd(path)
    return sitk.GetArrayFromImage(image), _affine(image)


def _nrrd(path: Path) -> sitk.Image:
    fields = _text_fields(path, ":", stop="")
    space = fields.get("space", "").lower()
    if space not in _SPACES:
        fact = f"its space is {space!r}" if space else "it names no anatomical space"
        raise refused("no-geometry", f"{fact}, so nothing says where left and right are", _WAY_OUT, path)
    if "space directions" not in fields or "space origin" not in fields:
        raise refused("no-geometry", "it gives no directions or no origin", _WAY_OUT, path)
    if "none" in fields["space directions"].lower():
        raise refused("no-geometry", "one of its axes has no direction in space", _WAY_OUT, path)
    _check_data_file(path, fields.get("data file", fields.get("datafile", "")), ())
    units = fields.get("space units", "mm").replace('"', "").lower().split()
    if any(unit not in ("mm", "millimeter", "millimetre") for unit in units):
        raise refused("wrong-unit", f"its lengths are in {units[0]!r}, not mm", _WAY_OUT, path)
    _check_nrrd_place(fields, path)
    return _read(path, "NrrdImageIO")


def _check_nrrd_place(fields: dict[str, str], path: Path) -> None:
    """Refuse directions and spacings that ITK takes literally or fails on in its own words."""
    if "spacings" in fields:
        _check_spacing(_numbers(fields["spacings"]), path)
        fact = "it gives spacings beside its space directions, and only one of them can be right"
        raise refused("no-geometry", fact, _WAY_OUT, path)
    vectors = [_numbers(text) for text in re.findall(r"\(([^)]*)\)", fields["space directions"])]
    if all(len(vector) == 3 for vector in vectors):
        lengths = np.linalg.norm(np.array(vectors).reshape(-1, 3), axis=1)
        _check_spacing(lengths.tolist(), path)
        if len(vectors) == 3:
            _check_directions(np.array(vectors) / lengths[:, None], path)
    _check_origin(_numbers(fields["space origin"]), path)


def read_meta(path: Path) -> Volume:
    """Read the CT in a MetaImage file.

    Raises
    ------
    InputError
        As :func:`stored_meta`; not HU.
    """
    image = _meta(path)
    return assemble(sitk.GetArrayViewFromImage(image), _affine(image), path, "metaimage", SOFTWARE)


def stored_meta(path: Path) -> tuple[npt.NDArray[Any], FloatArray]:
    """Return values (slice, row, column) and affine (LPS mm) of a MetaImage file, as :func:`stored_nrrd`.

    Raises
    ------
    InputError
        Truncated or damaged; data file missing; not one plain volume; no orientation, position or spacing.
    """
    image = _meta(path)
    return sitk.GetArrayFromImage(image), _affine(image)


def _meta(path: Path) -> sitk.Image:
    fields = _text_fields(path, "=", stop="elementdatafile")
    oriented = any(name in fields for name in _META_ORIENTATION)
    placed = any(name in fields for name in _META_POSITION)
    if not (oriented and placed and ("elementspacing" in fields or "elementsize" in fields)):
        fact = "it does not give orientation, position and spacing, so nothing says where left and right are"
        raise refused("no-geometry", fact, _WAY_OUT, path)
    data_file = fields.get("elementdatafile", "LOCAL")
    _check_data_file(path, data_file, _lines_after(path, "elementdatafile") if data_file.upper() == "LIST" else ())
    if data_file.upper() not in ("LOCAL", "LIST") and "%" not in data_file and not (path.parent / data_file).is_file():
        fact = f"the file with its voxels, {Path(data_file).name!r}, is missing"
        raise refused("damaged-file", fact, "Copy both files into the same folder.", path)
    _check_meta_place(fields, path)
    return _read(path, "MetaImageIO")


def _check_meta_place(fields: dict[str, str], path: Path) -> None:
    """Refuse spacing, orientation and position that ITK takes literally or fails on in its own words."""
    _check_spacing(_numbers(fields.get("elementspacing") or fields.get("elementsize", "")), path)
    matrix = _numbers(next(fields[name] for name in _META_ORIENTATION if name in fields))
    n = round(len(matrix) ** 0.5)
    if not n or n * n != len(matrix):
        raise refused("no-geometry", f"its orientation has {len(matrix)} numbers, not 9", _WAY_OUT, path)
    directions = np.reshape(matrix, (n, n))
    _check_directions(directions, path)
    _check_unit_length(directions, path)
    _check_origin(_numbers(next(fields[name] for name in _META_POSITION if name in fields)), path)


def _numbers(text: str) -> list[float]:
    """Return the numbers of a header field; NaN for what is none."""
    return [_number(word) for word in re.split(r"[\s,()]+", text.strip(" \t()")) if word]


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def _check_spacing(spacing_mm: Sequence[float], path: Path) -> None:
    for mm in spacing_mm:
        if not (np.isfinite(mm) and mm > 0):
            fact = f"the spacing is {mm:g}" if np.isfinite(mm) else f"the spacing is not a number ({mm:g})"
            more = ", so nothing says where left and right are" if mm < 0 else ""
            raise refused("no-geometry", fact + more, _WAY_OUT, path)


def _check_directions(directions: FloatArray, path: Path) -> None:
    """Refuse axes (rows, or columns, of a square matrix) that are not numbers or do not span the space."""
    if not np.isfinite(directions).all():
        raise refused("no-geometry", "its orientation is not a number", _WAY_OUT, path)
    if abs(np.linalg.det(directions)) < _MIN_DETERMINANT:
        fact = "its orientation is singular: its axes do not span three directions"
        raise refused("no-geometry", fact, _WAY_OUT, path)


def _check_unit_length(directions: FloatArray, path: Path) -> None:
    """Refuse axes that stretch the spacing: nothing says which of the two is meant."""
    lengths = np.linalg.norm(directions, axis=1)
    if np.abs(lengths - 1).max() > _LENGTH_TOLERANCE:
        worst = float(lengths[np.abs(lengths - 1).argmax()])
        fact = f"an axis of its orientation has length {worst:g}, not 1, so that its spacing is in doubt"
        raise refused("no-geometry", fact, _WAY_OUT, path)


def _check_origin(origin_mm: Sequence[float], path: Path) -> None:
    if not np.isfinite(origin_mm).all():
        raise refused("no-geometry", "its position is not a number", _WAY_OUT, path)


def _lines_after(path: Path, field: str) -> list[str]:
    """Return the lines of the header behind ``field``."""
    with path.open("rb") as file:
        lines = [line.decode("latin-1").strip() for line in file.read(_HEADER_BYTES).split(b"\n")]
    start = next((k for k, line in enumerate(lines, 1) if line.lower().startswith(field)), len(lines))
    return [line for line in lines[start:] if line]


def _check_data_file(path: Path, named: str, listed: Sequence[str]) -> None:
    """Refuse a header that points to voxels anywhere but beside or below itself.

    Raises
    ------
    InputError
        If it does.
    """
    for name in (named, *listed):
        if ".." in Path(name).parts or Path(name.partition(" ")[0]).is_absolute():
            fact = "its header says that the voxels are in a file outside of its folder"
            raise refused("outside-file", fact, "Put both files into one folder and name the data file alone.", path)


def _text_fields(path: Path, separator: str, stop: str) -> dict[str, str]:
    """Return the header as lower-case name -> text, up to an empty line or the field ``stop``."""
    with path.open("rb") as file:
        lines = file.read(_HEADER_BYTES).split(b"\n")
    fields: dict[str, str] = {}
    for line in lines:
        name, found, value = line.decode("latin-1").strip().partition(separator)
        if not name and not found:
            break
        fields[name.strip().lower()] = value.lstrip("=").strip()
        if stop and name.strip().lower() == stop:
            break
    return fields


def _read(path: Path, image_io: str) -> sitk.Image:
    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    try:
        image: sitk.Image = reader.Execute()
    except RuntimeError as failure:
        raise damaged(path, _last_line(failure, path)) from failure
    if image.GetNumberOfComponentsPerPixel() != 1:
        fact = f"it has {image.GetNumberOfComponentsPerPixel()} values per voxel, not one"
        raise refused("wrong-rank", fact, "Export the CT itself, not a colour or vector image.", path)
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3:
        fact = f"it has {image.GetDimension()} axes, not 3"
        raise refused("wrong-rank", fact, "Export one volume per file.", path)
    return image


def _affine(image: sitk.Image) -> FloatArray:
    """Return index (slice, row, column) to LPS mm; ITK itself counts (column, row, slice)."""
    direction = np.asarray(image.GetDirection(), dtype=np.float64).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = (direction * np.asarray(image.GetSpacing()))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


def _last_line(failure: RuntimeError, path: Path) -> str:
    """Return the reason from ITK's long message without the full path, which may hold a name, and its own names."""
    line = str(failure).strip().splitlines()[-1].replace(str(path), path.name).replace(str(path.parent), "...")
    if "Reason: Success" in line or "[nrrd]" in line or "itk::ERROR" in line:
        return "its voxels end early, or its header cannot be understood"
    return line
