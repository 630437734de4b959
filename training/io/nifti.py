"""NIfTI-1 and -2, single file, plain or gzipped.

Header fields and their meaning: nifti1.h. The world of NIfTI is RAS+ mm; it becomes LPS here and nowhere else.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from training.geometry import FloatArray, Geometry
from training.io.assemble import assemble, damaged, refused
from training.io.orient import LPS_FROM_RAS
from training.issues import Issue, warning
from training.volume import Volume

FORM_TOLERANCE_MM = 0.5
"""Largest distance between the places that qform and sform give a corner voxel."""

SPARE_BYTES = 2**20
"""What may follow the values in a zipped file."""

_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units & 7: unknown, metre, mm, micrometre
_KINDS: dict[int, Any] = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}  # by size, bytes


SOFTWARE = f"nibabel {nibabel.__version__}"
"""For the provenance of what is read here."""


@dataclass(frozen=True, eq=False)
class StoredNifti:
    """A NIfTI file as it is stored: ``values * slope + intercept`` at ``affine`` (index along the axes to LPS mm)."""

    values: npt.NDArray[Any]
    affine: FloatArray
    slope: float
    intercept: float
    issues: tuple[Issue, ...]


def read_nifti(path: Path) -> Volume:
    """Read the CT in ``path``.

    Raises
    ------
    InputError
        Truncated or damaged; more than one volume; no or contradictory geometry; bad slope; not HU.
    """
    stored = read_stored(path)
    return assemble(
        stored.values, stored.affine, path, "nifti", SOFTWARE, stored.slope, stored.intercept, stored.issues
    )


def read_stored(path: Path) -> StoredNifti:
    """Read values, scaling and place as the file gives them, without asking whether that makes a CT.

    Raises
    ------
    InputError
        Truncated or damaged; no or contradictory geometry; bad slope.
    """
    data = _content(path)
    header = _header(data, path)
    slope, intercept, issues = _scaling(header, path)
    affine = LPS_FROM_RAS @ _ras_affine(header, path)
    return StoredNifti(_values(data, header, path), affine, slope, intercept, issues)


def check_nifti_header(path: Path) -> None:
    """Look at the first bytes of a file: its header and what that says of scaling and place.

    Raises
    ------
    InputError
        No header there; no or contradictory geometry; bad slope.
    """
    with path.open("rb") as stream:
        data = stream.read(1 << 16)
    if data[:2] == b"\x1f\x8b":
        try:
            data = zlib.decompressobj(wbits=31).decompress(data, max(_KINDS))
        except zlib.error as failure:
            raise damaged(path, f"it cannot be unzipped ({failure})") from failure
    header = _header(data, path)
    _scaling(header, path)
    _ras_affine(header, path)


def _content(path: Path) -> bytes:
    """Return all bytes, unzipped; reading to the end checks the length and checksum that gzip keeps.

    No more is unzipped than the header promises, and what may follow it.
    """
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        head = zlib.decompressobj(wbits=31).decompress(data[: 1 << 16], max(_KINDS))
        limit = _promised_bytes(head, path) + SPARE_BYTES
        with gzip.GzipFile(fileobj=BytesIO(data)) as stream:
            content = stream.read(limit + 1)
    except (EOFError, OSError, zlib.error) as failure:
        raise damaged(path, f"it cannot be unzipped ({failure})") from failure
    if len(content) > limit:
        raise damaged(path, "it holds far more than its header promises")
    return content


def _promised_bytes(head: bytes, path: Path) -> int:
    """Return where the values end by the header; 0 where it promises nothing that can be understood."""
    header = _header(head, path)
    try:
        count = int(np.prod([max(0, int(n)) for n in header.get_data_shape()], dtype=np.float64))
        return max(0, int(header["vox_offset"])) + count * int(header.get_data_dtype().itemsize)
    except (nibabel.spatialimages.HeaderDataError, KeyError, ValueError, OverflowError):
        return 0


def _header(data: bytes, path: Path) -> Any:
    for size, kind in _KINDS.items():
        if len(data) >= size and size in (int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big")):
            try:
                return kind(data[:size], check=False)
            except nibabel.spatialimages.HeaderDataError as failure:
                raise damaged(path, f"its header cannot be understood ({failure})") from failure
    raise damaged(path, "it does not start with a NIfTI header")


def _scaling(header: Any, path: Path) -> tuple[float, float, tuple[Issue, ...]]:
    """Return slope, intercept and issues. A slope of 0 means by the standard that the values stand as they are."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0:
        fact = "its slope (scl_slope) is 0; by the NIfTI standard the values are taken as stored, and they look like HU"
        return 1.0, 0.0, (warning("bad-slope", fact, "Check the CT numbers of air and water.", path.name),)
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        fact = f"its slope and intercept (scl_slope, scl_inter) are {slope:g} and {intercept:g}"
        raise refused("bad-slope", fact, "Convert it again from the DICOM files.", path)
    return slope, intercept, ()


def _ras_affine(header: Any, path: Path) -> FloatArray:
    way_out = "Convert it again from the DICOM files, or correct the header so that only the right one is set."
    forms = []
    try:
        forms = [form for form in (_sform(header), _qform(header)) if form is not None]
    except (ValueError, nibabel.spatialimages.HeaderDataError) as failure:
        raise refused("no-geometry", f"its qform is unusable ({failure})", way_out, path) from failure
    if not forms:
        fact = "neither qform nor sform is set, so nothing says where left and right are"
        raise refused("no-geometry", fact, way_out, path)
    if not all(_usable(form) for form in forms):
        raise refused("no-geometry", "its qform or sform is singular or not a number", way_out, path)
    apart = _distance_mm(header, forms)
    if apart > FORM_TOLERANCE_MM:
        fact = f"its qform and sform disagree by up to {apart:.3g} mm about where the voxels are"
        raise refused("forms-disagree", fact, way_out, path)
    return forms[0]


def _sform(header: Any) -> FloatArray | None:
    return _in_mm(header, header.get_sform()) if int(header["sform_code"]) > 0 else None


def _qform(header: Any) -> FloatArray | None:
    return _in_mm(header, header.get_qform()) if int(header["qform_code"]) > 0 else None


def _in_mm(header: Any, affine: npt.NDArray[Any]) -> FloatArray:
    scaled = np.array(affine, dtype=np.float64)
    scaled[:3] *= _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return scaled


def _usable(affine: FloatArray) -> bool:
    return bool(np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-12)


def _distance_mm(header: Any, forms: list[FloatArray]) -> float:
    shape = [max(1, int(n)) for n in header["dim"][1:4]]
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), -1).reshape(-1, 3)
    places = [Geometry((shape[0], shape[1], shape[2]), form).to_world(corners) for form in forms]
    return float(np.linalg.norm(places[0] - places[-1], axis=1).max())


def _values(data: bytes, header: Any, path: Path) -> npt.NDArray[Any]:
    try:
        dtype, shape = header.get_data_dtype(), tuple(int(n) for n in header.get_data_shape())
        offset = int(header["vox_offset"])
    except (nibabel.spatialimages.HeaderDataError, KeyError, ValueError, OverflowError) as failure:
        raise damaged(path, f"its header cannot be understood ({failure})") from failure
    if not dtype.itemsize:
        raise damaged(path, f"its header gives no type of its values (datatype {int(header['datatype'])})")
    if not shape or min(shape) < 1 or offset < int(header["sizeof_hdr"]):
        raise damaged(path, f"its header gives size {shape} at byte {offset}")
    count = int(np.prod(shape, dtype=np.int64))
    if len(data) < offset + count * dtype.itemsize:
        detail = f"{offset + count * dtype.itemsize} bytes are promised, {len(data)} are there"
        raise damaged(path, detail)
    return np.frombuffer(data, dtype, count, offset).reshape(shape, order="F")
