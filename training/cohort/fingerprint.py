"""A CT known again after it was moved: by how many files and bytes it has, and a hash of parts of them; no name.

For sessions that are moved together with their CT. A fingerprint only says where it is worth looking: whoever opens
what was found compares the hash of the pixels (:func:`training.cohort.inputs.check_same_ct`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from training.cohort.run_report import SIDE_SUFFIX

SAMPLE_BYTES = 65536
"""Hashed of each end of every file."""

MOST_FILES = 20_000
"""A folder with more files is no CT."""

MOST_PLACES = 500
"""Files and folders that are looked at around a session, the nearest first."""

_NOT_THE_CT = (".hirescam", SIDE_SUFFIX)


@dataclass(frozen=True)
class Fingerprint:
    """Of a file, or of all files below a folder in the order of their names; session files and reports do not count.

    Parameters
    ----------
    files, size_bytes
        How many, and their bytes together.
    sha256
        Of the size and both ends of every file.
    """

    files: int
    size_bytes: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


def fingerprint(path: Path) -> Fingerprint | None:
    """Return the fingerprint of a CT; None if there is no file, too many, or one that cannot be read."""
    try:
        found = _files(path)
        sizes = [file.stat().st_size for file in found]
        return Fingerprint(len(found), sum(sizes), _hash(found, sizes)) if found else None
    except OSError:  # not readable, or gone meanwhile: then it cannot be known again
        return None


def find_moved(session: Path, wanted: Fingerprint) -> Path | None:
    """Return the CT that was moved together with the file ``session``, None if it is nowhere near.

    Looked at are the session's folder, what is in it and in its folders, and the same one folder up; links are not
    followed.
    """
    near = _near(session.absolute().parent)
    return next((place for place in islice(near, MOST_PLACES) if _fits(place, wanted)), None)


def _fits(place: Path, wanted: Fingerprint) -> bool:
    try:
        found = _files(place)
        if len(found) != wanted.files or sum(file.stat().st_size for file in found) != wanted.size_bytes:
            return False
    except OSError:  # not for this user to read
        return False
    return fingerprint(place) == wanted


def _near(folder: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    own, above = _items(folder), _items(folder.parent)
    for place in chain([folder], own, _inside(own), above, _inside(above)):
        if place not in seen:
            seen.add(place)
            yield place


def _items(folder: Path) -> list[Path]:
    try:
        return sorted(item for item in folder.iterdir() if not item.is_symlink() and not item.name.startswith("."))
    except OSError:  # not for this user to read
        return []


def _inside(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        if folder.is_dir():
            yield from _items(folder)


def _files(path: Path) -> list[Path]:
    """Return the files of a CT in the order of their names; none where there are more than ``MOST_FILES``."""
    if path.is_file():
        return [path]
    walked = (Path(where) / name for where, _, names in os.walk(path) for name in names)
    found = list(islice((file for file in walked if not file.name.endswith(_NOT_THE_CT)), MOST_FILES + 1))
    return [] if len(found) > MOST_FILES else sorted(found, key=lambda file: file.relative_to(path).as_posix())


def _hash(files: list[Path], sizes: list[int]) -> str:
    digest = hashlib.sha256()
    for file, size in zip(files, sizes, strict=True):
        digest.update(f"{size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(SAMPLE_BYTES))
            if size > SAMPLE_BYTES:
                stream.seek(max(size - SAMPLE_BYTES, SAMPLE_BYTES))
                digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()
