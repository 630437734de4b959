"""Files of a folder or a zip archive, read in place: nothing is unpacked to the disk."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from training.io.dicom.records import Source
from training.issues import InputError, error

_BUFFER_BYTES = 16_384

LARGE_BYTES, MAX_RATIO = 64 * 2**20, 200
"""Files in an archive above this size that shrink more than this are not CTs: those shrink two to ten times."""


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file on the disk."""

    path: str
    size: int

    @property
    def name(self) -> str:
        """Base name."""
        return os.path.basename(self.path)  # noqa: PTH119 - hundreds of files: a Path for each would take longer

    def open(self) -> BinaryIO:
        """Open for reading."""
        return open(self.path, "rb", buffering=_BUFFER_BYTES)  # noqa: PTH123 - as above


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file in a zip archive that stays open as long as :func:`open_files` does."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        """Base name."""
        return self.info.filename.rsplit("/", 1)[-1]

    @property
    def size(self) -> int:
        """Bytes, unpacked."""
        return self.info.file_size

    def open(self) -> BinaryIO:
        """Open for reading; the bytes are inflated as they are read."""
        return cast(BinaryIO, self.archive.open(self.info))


@contextmanager
def open_files(path: Path) -> Iterator[tuple[Source, ...]]:
    """Yield every file of a folder (with its subfolders), of a zip archive, or the one file that ``path`` is.

    Raises
    ------
    InputError
        If there is nothing at ``path``, it may not be read, or it is a damaged or encrypted archive.
    """
    try:
        if path.is_dir():
            yield tuple(_walk(path))
        elif path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _members(archive, path.name)
        else:
            yield (FolderFile(str(path), path.stat().st_size),)
    except FileNotFoundError as failure:
        raise InputError(
            error("not-found", "there is no such file or folder", "Check the path.", path.name)
        ) from failure
    except PermissionError as failure:
        raise InputError(
            error("not-readable", "you may not read it", "Ask for permission, or copy it.", path.name)
        ) from failure
    except zipfile.BadZipFile as failure:
        raise InputError(
            error("damaged-archive", "the zip archive is damaged", "Copy or export it again.", path.name)
        ) from failure


def _walk(folder: Path) -> Iterator[FolderFile]:
    """Yield the files below ``folder``; a folder that may not be read raises PermissionError."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif entry.is_file():
            yield FolderFile(entry.path, entry.stat().st_size)


def _members(archive: zipfile.ZipFile, name: str) -> tuple[ZipMember, ...]:
    members = [info for info in archive.infolist() if not info.is_dir()]
    if any(info.flag_bits & 0x1 for info in members):
        raise InputError(error("encrypted-archive", "the zip archive is encrypted", "Unpack it first.", name))
    bombs = [i for i in members if i.file_size > LARGE_BYTES and i.file_size > MAX_RATIO * max(1, i.compress_size)]
    if bombs:
        times = bombs[0].file_size // max(1, bombs[0].compress_size)
        fact = f"a file in the archive would unpack to {bombs[0].file_size / 2**30:.1f} GiB, {times} times its size"
        raise InputError(error("archive-bomb", fact, "If it is a CT, unpack it yourself and give the folder.", name))
    return tuple(ZipMember(archive, info) for info in members)
