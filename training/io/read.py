"""One door for every kind of CT: what a path holds is told by its content, and the extension must agree.

The readers load their libraries when they are first needed.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.io.phantoms import with_phantom_name
from training.io.regular import check_not_special
from training.io.series import SeriesInfo
from training.issues import InputError, error
from training.volume import Volume
from training.words import counted

KNOWN = "DICOM folder, zip or enhanced file, NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd), npz"
"""Everything that can be read, for messages."""

THUMBNAIL_HU = (-1350.0, 150.0)
"""Lung window of thumbnails, HU."""

_SNIFFED_BYTES = 4096


class Kind(StrEnum):
    """What a path holds."""

    DICOM = "DICOM"
    NIFTI = "NIfTI"
    NIFTI_GZ = "gzipped NIfTI"
    NRRD = "NRRD"
    META = "MetaImage"
    NPZ = "npz"


_SUFFIXES = {
    Kind.NIFTI: (".nii",),
    Kind.NIFTI_GZ: (".nii.gz",),
    Kind.NRRD: (".nrrd", ".nhdr"),
    Kind.META: (".mha", ".mhd"),
    Kind.NPZ: (".npz",),
}
_ALL_SUFFIXES = tuple(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)


def read_ct(
    path: str | os.PathLike[str],
    series: int | None = None,
    repair: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Volume:
    """Read a CT in Hounsfield units, in (closest) canonical order.

    The case goes by a salted hash, but for this program's own phantoms (see :mod:`training.io.phantoms`).

    Parameters
    ----------
    path
        A DICOM folder, DICOM zip or enhanced DICOM file, or a file of any kind in ``KNOWN``.
    series
        Number of the series as :func:`list_series` counts them, from 1; needed where there are several.
    repair
        Mend what can be mended; every repair is recorded in the provenance.
    progress
        Called with (slices done, slices, "read") while a DICOM series is decoded.
    cancelled
        Asked between slices; True stops the reading.

    Raises
    ------
    SeriesChoiceNeeded
        There are several series and ``series`` is None.
    Cancelled
        ``cancelled`` said so.
    InputError
        Anything wrong with the input; the issues name file, fact and way out.
    """
    source = Path(path)
    with readable(source):
        kind = find_kind(source)
        if kind is Kind.DICOM:
            from training.io.dicom import read_dicom

            return read_dicom(source, series, repair, progress, cancelled)
        if series not in (None, 1):
            fact = f"it holds one volume, so there is no series {series}"
            raise InputError(error("no-such-series", fact, "Leave the series out.", source.name))
        return with_phantom_name(_read_file(source, kind), source)


def list_series(path: str | os.PathLike[str]) -> tuple[SeriesInfo, ...]:
    """Return what ``path`` offers to read, with a thumbnail each; one entry for a file that is one volume.

    Raises
    ------
    InputError
        There is nothing to read, or the one volume cannot be read.
    """
    source = Path(path)
    with readable(source):
        kind = find_kind(source)
        if kind is Kind.DICOM:
            from training.io.dicom import list_series as list_dicom_series

            return list_dicom_series(source, thumbnails=True)
        volume = _read_file(source, kind)
    return (_as_series(volume, kind),)


def find_kind(path: Path) -> Kind:
    """Return what ``path`` holds, by content.

    Raises
    ------
    InputError
        Nothing there; no file and no folder; empty; of no known kind; a name that says another kind than the content.
    """
    if not path.exists():
        fact = "the link leads nowhere" if path.is_symlink() else "there is no such file or folder"
        raise InputError(error("not-found", fact, "Check the path.", path.name))
    check_not_special(path)
    if path.is_dir():
        return _kind_of_folder(path)
    head = _head(path)
    kind = _kind_of_content(head, path)
    if kind is None:
        fact, way_out = f"it is none of: {KNOWN}", "Convert it to one of these."
        if not head:
            fact, way_out = "it is empty", "Copy or export it again."
        raise InputError(error("unknown-format", fact, way_out, path.name))
    _check_suffix(path, kind)
    return kind


def _read_file(path: Path, kind: Kind) -> Volume:
    if kind in (Kind.NIFTI, Kind.NIFTI_GZ):
        from training.io.nifti import read_nifti

        return read_nifti(path)
    if kind is Kind.NPZ:
        from training.io.npz import read_npz

        return read_npz(path)
    from training.io.itk import read_meta, read_nrrd

    return read_nrrd(path) if kind is Kind.NRRD else read_meta(path)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn a refusal by the operating system, or memory that does not suffice, into words."""
    try:
        yield
    except PermissionError as failure:
        raise InputError(error("not-readable", "reading is not permitted", "Ask its owner.", path.name)) from failure
    except OSError as failure:
        fact = f"it cannot be read ({failure.strerror or type(failure).__name__})"
        raise InputError(error("not-readable", fact, "Copy it again.", path.name)) from failure
    except MemoryError as failure:
        fact = "it does not fit into the memory of this computer"
        raise InputError(error("out-of-memory", fact, "Close other programs.", path.name)) from failure


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SNIFFED_BYTES)


def _kind_of_folder(path: Path) -> Kind:
    """Say DICOM, unless all the folder holds are volumes of other kinds or results of ours."""
    if (path / "cases.csv").is_file() and (path / "details").is_dir():
        fact = "it is a cohort store of `hirescam batch`, not a CT"
        raise InputError(error("is-result", fact, "Open it with `hirescam view`, or give one CT.", path.name))
    if (path / "zarr.json").is_file() or (path / "case.zarr").is_dir():
        fact = "it holds results of `hirescam explain`, not a CT"
        raise InputError(error("is-result", fact, "Open it with `hirescam view`.", path.name))
    files = [item for item in path.rglob("*") if item.is_file()]
    if not files:
        raise InputError(error("empty-folder", "the folder holds no files", "Choose the folder of a CT.", path.name))
    volumes = [item for item in files if item.name.lower().endswith(_ALL_SUFFIXES)]
    if volumes and not any(_kind_of_content(_head(item), item) is Kind.DICOM for item in files if item not in volumes):
        fact = f"the folder holds no DICOM, but {counted(len(volumes), 'file')} of other kinds"
        raise InputError(error("no-dicom", fact, "Give one of these files, not their folder.", path.name))
    return Kind.DICOM


def _kind_of_content(head: bytes, path: Path) -> Kind | None:
    if head[:2] == b"\x1f\x8b":
        named_so = path.name.lower().endswith(_SUFFIXES[Kind.NIFTI_GZ])  # what is left of it may be too short to tell
        return Kind.NIFTI_GZ if named_so or _is_nifti(_unzipped_head(head)) else None
    if head[:4] == b"PK\x03\x04":
        return _kind_of_zip(path)
    if _is_nifti(head):
        return Kind.NIFTI
    if head[:4] == b"NRRD":
        return Kind.NRRD
    if b"NDims" in head and b"ElementDataFile" in head:
        return Kind.META
    has_preamble, starts_with_group = head[128:132] == b"DICM", head[:2] in (b"\x02\x00", b"\x08\x00")
    named_so = bool(head) and path.suffix.lower() in (".dcm", ".dicom", ".ima")
    return Kind.DICOM if has_preamble or starts_with_group or named_so else None


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def _unzipped_head(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _SNIFFED_BYTES)
    except zlib.error:
        return b""


def _kind_of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except zipfile.BadZipFile as failure:
        fact = "the archive is truncated or damaged"
        raise InputError(error("damaged-file", fact, "Copy or export it again.", path.name)) from failure
    if names and all(name.endswith(".npy") for name in names):
        return Kind.NPZ
    if names and all(name.lower().endswith(_ALL_SUFFIXES) for name in names):
        fact = "the archive holds no DICOM, but files of other kinds"
        raise InputError(error("no-dicom", fact, "Unpack it and give one of these files.", path.name))
    return Kind.NPZ if path.suffix.lower() == ".npz" else Kind.DICOM


def _check_suffix(path: Path, kind: Kind) -> None:
    name = path.name.lower()
    expected = _SUFFIXES.get(kind, ())
    if expected and not name.endswith(expected):
        fact = f"its content is {kind.value}, but its name does not say so"
        raise InputError(error("wrong-extension", fact, f"Rename it to end in {expected[0]}.", path.name))
    if not expected and name.endswith(_ALL_SUFFIXES):
        fact = f"its content is {kind.value}, but its name says otherwise"
        raise InputError(error("wrong-extension", fact, "Rename it.", path.name))


def _as_series(volume: Volume, kind: Kind) -> SeriesInfo:
    spacing = volume.geometry.spacing_mm
    middle = volume.hu[volume.hu.shape[0] // 2]
    return SeriesInfo(1, kind.value, volume.hu.shape[0], spacing, thumbnail=thumbnail(middle), issues=volume.issues)


def thumbnail(hu: npt.NDArray[np.int16], longest: int = 128) -> npt.NDArray[np.uint8]:
    """Return ``hu`` (rows, columns) in a lung window as uint8, at most about ``longest`` px a side."""
    step = max(1, -(-max(hu.shape) // longest))
    low, high = THUMBNAIL_HU
    gray = (hu[::step, ::step].astype(np.float32) - low) / (high - low)
    return np.asarray(np.clip(gray, 0, 1) * 255, dtype=np.uint8)
