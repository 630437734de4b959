"""Prepared CTs on disk: compressed int16, chunks of whole slice groups, filled as cases are first asked for.

Every case is a zarr 3 array of its own. It is found by what it was made from: the bytes of the source, what else
decided its HU, the input specification and ``PREPROCESSING``. Nothing in the cache says whose CT it is. An entry
appears in one step when it is complete, so several processes can fill one cache, and a killed one leaves nothing that
could be taken for an entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import LocalStore

from training.geometry import Geometry
from training.io.atomic import atomic_path
from training.io.privacy import hashed
from training.issues import InputError, error
from training.preprocess import InputSpec, ModelInput

PREPROCESSING = 1
"""Version of what :func:`training.preprocess.prepare` and the readers compute: raise it when their output changes."""

SCHEMA = "hirescam-prepared"
Codec = Literal["lz4", "zstd"]

GROUPS_PER_CHUNK = 15
"""Slice groups in a chunk: 9 files of some 9 MB for a CT of 135 slice groups."""

_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class VolumeCache:
    """A folder of prepared CTs.

    Parameters
    ----------
    folder
        Made when the first CT is kept.
    codec, level
        Compression by blosc (with bit shuffling).
    """

    folder: Path
    codec: Codec = "lz4"
    level: int = 5

    def get(
        self, source: Path, spec: InputSpec, make: Callable[[], ModelInput], details: Mapping[str, str] | None = None
    ) -> ModelInput:
        """Return the CT at ``source`` on the grid of ``spec``: from the cache, else made by ``make`` and kept.

        Parameters
        ----------
        source
            File or DICOM folder the CT is read from.
        spec
            The grid.
        make
            Reads and prepares the CT.
        details
            What beside the bytes of ``source`` decides the result.

        Raises
        ------
        InputError
            What ``make`` raises; the disk is full or not writable.
        """
        place = self.place(source, spec, details)
        kept = read_entry(place, spec)
        if kept is not None:
            return kept
        made = make()
        if made.spec != spec:
            raise ValueError("make() prepared the CT by another specification")
        self._keep(place, made)
        return made

    def open(self, source: Path, spec: InputSpec, details: Mapping[str, str] | None = None) -> zarr.Array[Any] | None:
        """Return the kept int16 array (slice, row, column) without reading it, None if it is not (wholly) there."""
        place = self.place(source, spec, details)
        return _open(place) if is_complete(place) else None

    def place(self, source: Path, spec: InputSpec, details: Mapping[str, str] | None = None) -> Path:
        """Return where the entry is or would be."""
        about = [SCHEMA, PREPROCESSING, self.digest(source), sorted((details or {}).items()), spec.to_dict()]
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        return self.folder / key[:2] / key[2:32]

    def digest(self, source: Path) -> str:
        """Return the SHA-256 of the bytes of a file or of all files of a folder; worked out once, then remembered.

        What is remembered holds as long as size and time of change of every file stay as they are.
        """
        stamp = _stamp(source)
        name = hashed(source.resolve().as_posix())
        memo = self.folder / "sources" / name[:2] / f"{name[2:]}.json"
        remembered = _remembered(memo)
        if remembered.get("stamp") == stamp:
            return str(remembered["sha256"])
        digest = _content_digest(source)
        with atomic_path(memo) as partial:
            partial.write_text(json.dumps({"stamp": stamp, "sha256": digest}), encoding="utf-8")
        return digest

    def _keep(self, place: Path, made: ModelInput) -> None:
        try:
            with atomic_path(place, overwrite=place.exists()) as partial:
                self._write(partial, made)
        except OSError:
            if not is_complete(place):  # unless another process kept the same CT in the meantime
                raise

    def _write(self, folder: Path, made: ModelInput) -> None:
        array = zarr.create_array(
            LocalStore(folder),
            shape=made.spec.shape,
            dtype="int16",
            chunks=(min(GROUPS_PER_CHUNK, made.spec.n_groups) * made.spec.group, *made.spec.shape[1:]),
            compressors=[BloscCodec(cname=self.codec, clevel=self.level, shuffle="bitshuffle"), Crc32cCodec()],
            fill_value=0,
            zarr_format=3,
            config={"write_empty_chunks": True},
        )
        array[...] = made.hu
        about: dict[str, Any] = {"schema": SCHEMA, "bytes": _chunk_bytes(folder), "input_spec": made.spec.to_dict()}
        about["geometry"] = made.geometry.to_dict()
        array.update_attributes(about)


def read_entry(place: Path, spec: InputSpec) -> ModelInput | None:
    """Return the CT kept at ``place``; None if there is none or it is damaged (it is then made anew)."""
    if not is_complete(place):
        return None
    array = _open(place)
    try:
        hu: npt.NDArray[np.int16] = np.asarray(array[...])
        attributes: dict[str, Any] = dict(array.attrs)
        return ModelInput(hu, Geometry.from_dict(attributes["geometry"]), spec)
    except (ValueError, RuntimeError, KeyError, OSError):  # a checksum or a chunk that does not unpack
        return None


def is_complete(place: Path) -> bool:
    """Return True if an entry is there and its chunks have the length they were written with."""
    try:
        attributes: dict[str, Any] = json.loads((place / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        return bool(attributes["schema"] == SCHEMA and _chunk_bytes(place) == attributes["bytes"])
    except (OSError, ValueError, KeyError, TypeError):  # nothing there, or not what was written
        return False


def _chunk_bytes(place: Path) -> int:
    """Return the length of all chunks: zarr would take a missing one for zeros."""
    return sum(item.stat().st_size for item in (place / "c").glob("*/*/*"))


def _open(place: Path) -> zarr.Array[Any]:
    return zarr.open_array(LocalStore(place, read_only=True), mode="r", zarr_format=3)


def _files(source: Path) -> list[Path]:
    return sorted(item for item in source.rglob("*") if item.is_file()) if source.is_dir() else [source]


def _stamp(source: Path) -> str:
    """Return a digest of names, sizes and times of change; raises ``InputError`` if ``source`` is not there."""
    digest = hashlib.sha256()
    try:
        for item in _files(source):
            about = item.stat()
            name = item.relative_to(source).as_posix()
            digest.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\0{about.st_ctime_ns}\n".encode())
    except OSError as failure:
        fact = f"cannot be read ({failure.strerror})"
        raise InputError(error("not-readable", fact, "Check the path.", source.name)) from failure
    return digest.hexdigest()


def _content_digest(source: Path) -> str:
    digest = hashlib.sha256()
    for item in _files(source):
        digest.update(f"{item.stat().st_size}\n".encode())
        with item.open("rb") as stream:
            while block := stream.read(_READ_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _remembered(memo: Path) -> dict[str, Any]:
    try:
        content = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or damaged: it is only a memory
        return {}
    return content if isinstance(content, dict) else {}
