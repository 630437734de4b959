"""napari's reader: chest CTs in every form that ``training.io`` reads; anything else is left to other plugins."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from hirescam_napari._checks import checked
from hirescam_napari._layers import LayerTuple, ct_layer
from training.volume import Volume

Reader = Callable[[str | Sequence[str]], list[LayerTuple]]

_LOOKED_AT = 20
"""Files of a folder that are looked at before it is left to others."""

_OF_OTHERS = (".zarr", ".zarr.zip", ".n5", ".app")
_VOLUME_FILES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return :func:`read` if ``path`` looks like something this plugin reads, None to leave it to others.

    Looks at names and a few bytes only, never at pixels.
    """
    if not isinstance(path, str):
        return None
    return read if _is_ours(Path(path)) else None


def read(path: str | Sequence[str]) -> list[LayerTuple]:
    """Read one CT as an image layer in mm.

    Raises
    ------
    InputError
        Anything wrong with the input; several series without a choice among them (the HiResCAM dock has a chooser).
    """
    from training.io import read_ct

    return [ct_layer(_noted(checked(read_ct(path if isinstance(path, str) else path[0]))))]


def _noted(volume: Volume) -> Volume:
    """Show what was noticed while reading as notifications of napari."""
    from napari.utils.notifications import show_warning

    for issue in volume.issues:
        if issue.severity == "warning":
            show_warning(str(issue))
    return volume


def _is_ours(path: Path) -> bool:
    name = path.name.lower()
    if name.endswith(_OF_OTHERS) or not path.exists():
        return False
    if path.is_dir():
        return _folder_has_dicom(path)
    if name.endswith(_VOLUME_FILES):
        return True
    if name.endswith((".npz", ".zip")):
        return _archive_is_ours(path)
    return _is_dicom(path)


def _folder_has_dicom(folder: Path) -> bool:
    """Look at the first files of a folder and of its subfolders."""
    files = (Path(root) / name for root, _, names in os.walk(folder) for name in sorted(names))
    return any(_is_dicom(file) for file in islice(files, _LOOKED_AT))


def _is_dicom(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _archive_is_ours(path: Path) -> bool:
    """Accept an npz with the key ``ct`` and a zip that holds DICOM."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if path.suffix.lower() == ".npz":
                return "ct.npy" in names
            return any(_member_is_dicom(archive, name) for name in names[:_LOOKED_AT])
    except (OSError, zipfile.BadZipFile):
        return False


def _member_is_dicom(archive: zipfile.ZipFile, name: str) -> bool:
    try:
        with archive.open(name) as stream:
            return stream.read(132)[128:] == b"DICM"
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile):  # encrypted, unknown compression, damaged
        return False
