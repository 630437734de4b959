"""The files of a store, read so that nothing that is missing or damaged ever passes for a number.

zarr takes a chunk whose file is missing or empty for one that holds fill values only, and leaves such chunks out when
it writes. Here every chunk is written, with a CRC-32C of its bytes, and one that is not there is an error. Inner chunks
of a file are found by its index, which has a CRC-32C of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.abc.store import ByteRequest
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from training.cohort.results import layout as names
from training.cohort.results.layout import LARGEST_BLOCK, SCHEMA, SCHEMA_VERSION, ArraySpec, Layout
from training.issues import InputError, error

Array = npt.NDArray[Any]

_DEFAULTS = {"precision": "fp32", "maps": "own", "organs": "morphology", "heuristic": "paper", "keep": "float32"}
"""Options of ``hirescam batch`` that are left out of the command that mends a store, where they are like this."""

_NO_MENDING = "Copy the store again from where it came; or delete the folder, then run `hirescam batch` again."
_HEAD = ("weights", "bias")


class MissingChunkError(OSError):
    """A chunk that must be there is not."""


class WholeStore(LocalStore):
    """Files of a folder, as zarr reads them; a chunk that is missing or empty is an error, not fill values."""

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the bytes of a file, or a part of them; raises ``MissingChunkError``."""
        return _present(key, await super().get(key, prototype, byte_range))

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """As :meth:`get`."""
        return _present(key, super().get_sync(key, prototype=prototype, byte_range=byte_range))


def _present(key: str, found: Buffer | None) -> Buffer | None:
    if (found is None or not len(found)) and not key.endswith("zarr.json"):
        raise MissingChunkError(f"{key} is missing or empty")
    return found


class Arrays:
    """The arrays of a store, by name.

    Parameters
    ----------
    path
        Folder of the store.
    layout
        Its sizes; an array of others is damaged.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.specs: Mapping[str, ArraySpec] = layout.arrays()
        self._layout = layout
        self._open: dict[str, zarr.Array[Any]] = {}

    def read(self, name: str, selection: Any = ...) -> Array:
        """Return (a part of) an array.

        Raises
        ------
        InputError
            If a file that holds it is missing or damaged.
        """
        array = self._array(name)
        try:
            return np.asarray(array[selection])
        except MissingChunkError as failure:
            raise damaged(self.path, str(failure)) from failure
        except (OSError, ValueError, RuntimeError) as failure:
            raise damaged(self.path, f"{name} cannot be read") from failure

    def read_label(self, name: str, label: int, rows: npt.NDArray[np.integer]) -> Array:
        """Return one label of an array that is cut by label, for ``rows`` (ascending), [rows, ...].

        Files without any of the rows are not read: they need not be there yet.
        """
        found = np.empty((len(rows), *self.specs[name].row[1:]), dtype=self.specs[name].dtype)
        files = np.unique(rows // LARGEST_BLOCK)
        for run in np.split(files, np.flatnonzero(np.diff(files) != 1) + 1) if len(files) else ():
            start, stop = int(run[0]) * LARGEST_BLOCK, (int(run[-1]) + 1) * LARGEST_BLOCK
            own = (rows >= start) & (rows < stop)
            found[own] = self.read(name, (slice(start, stop), label))[rows[own] - start]
        return found

    def write(self, name: str, rows: range, values: Array) -> None:
        """Write rows that are all those of one or several files, whatever the files hold now."""
        self._array(name)  # which is checked
        array = zarr.open_array(LocalStore(self.path / name), mode="r+", zarr_format=3)
        array = array.with_config({"write_empty_chunks": True})
        size = self._layout.rows_in_file(self.specs[name])
        for start in range(rows.start, rows.stop, size):
            stop = min(start + size, rows.stop)
            self._write_file(array, name, range(start, stop), values[start - rows.start : stop - rows.start])

    def _write_file(self, array: zarr.Array[Any], name: str, rows: range, values: Array) -> None:
        span = slice(rows.start, rows.stop)
        try:
            array[span] = values
        except (ValueError, RuntimeError):  # of the last file, zarr first reads what is there, and that is damaged
            number = rows.start // self._layout.rows_in_file(self.specs[name])
            (self.path / name / ".".join(["c", str(number), *("0" for _ in array.shape[1:])])).unlink()
            array[span] = values

    def is_usable(self, name: str) -> bool:
        """Return whether the description of an array is there and right; its chunks are not looked at."""
        try:
            self._array(name)
        except InputError:
            return False
        return True

    def _array(self, name: str) -> zarr.Array[Any]:
        if name not in self._open:
            self._open[name] = self._checked(name)
        return self._open[name]

    def _checked(self, name: str) -> zarr.Array[Any]:
        try:
            found = self._group.get(name)
        except (OSError, ValueError, KeyError, TypeError) as failure:
            raise damaged(self.path, f"{name}/zarr.json cannot be read") from failure
        if not isinstance(found, zarr.Array):
            raise damaged(self.path, f"{name}/zarr.json is missing")
        if (found.shape, found.dtype, found.chunks, found.shards) != self._expected(name):
            raise damaged(self.path, f"{name}/zarr.json was changed")
        return found

    def _expected(self, name: str) -> tuple[Any, ...]:
        """Return shape, type, and shapes of chunk and shard."""
        if name in _HEAD:
            m, (_, *rest) = self._layout.n_labels, self._layout.z_row
            shape = (m, *rest) if name == "weights" else (m,)
            return shape, np.dtype("float32"), shape, None
        spec = self.specs[name]
        return ((self._layout.n_cases, *spec.row), np.dtype(spec.dtype), *self._layout.cut(spec))

    @cached_property
    def _group(self) -> zarr.Group:
        return zarr.open_group(WholeStore(self.path, read_only=True), mode="r", zarr_format=3)


def create_array(folder: Path, name: str, layout: Layout) -> None:
    """Make the array ``name`` at ``folder``, without rows; those of small rows are written as blanks at once."""
    spec = layout.arrays()[name]
    chunk, shard = layout.cut(spec)
    array = _created(folder, name, (layout.n_cases, *spec.row), spec.dtype, chunk, shard, spec.fill)
    if spec.cut == "column" and not any((folder / name).glob("c.*")):
        array[...] = spec.fill


def create_head(folder: Path, name: str, values: Array) -> None:
    """Write weights or bias of the head at ``folder``."""
    array = _created(folder, name, values.shape, values.dtype.name, values.shape, None, float("nan"))
    array[...] = values


def _created(folder: Path, name: str, shape: Any, dtype: str, chunk: Any, shard: Any, fill: float) -> zarr.Array[Any]:
    return zarr.create_array(
        LocalStore(folder / name),
        shape=shape,
        dtype=dtype,
        chunks=chunk,
        shards=shard,
        fill_value=fill,
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        chunk_key_encoding={"name": "default", "separator": "."},
        zarr_format=3,
        config={"write_empty_chunks": True},
    )


def find_store(path: str | os.PathLike[str]) -> Path | None:
    """Return ``path`` if a cohort store of any version is there, or what is left of one, else None."""
    folder = Path(path)
    attributes = _attributes(folder) or {}
    has_rest = (folder / names.CASES_FILE).is_file() and (folder / names.DETAILS_FOLDER).is_dir()
    return folder if attributes.get("schema") == SCHEMA or has_rest else None


def read_about(folder: Path) -> dict[str, Any]:
    """Return the metadata of the store at ``folder``.

    Raises
    ------
    InputError
        It is missing or was changed; or of another schema.
    """
    about = _attributes(folder)
    if about is None or about.get("schema") != SCHEMA:
        raise damaged(folder, "its zarr.json is missing or unreadable", can_be_mended=False)
    if about.get("schema_version") != SCHEMA_VERSION:
        raise InputError(_other_schema(folder, about.get("schema_version")))
    if about.get("sha256") != about_sha256(about):
        raise damaged(folder, "its zarr.json was changed", can_be_mended=False)
    return about


def about_sha256(about: Mapping[str, Any]) -> str:
    """Return the SHA-256 of metadata, which says nothing of itself."""
    content = {key: value for key, value in about.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _attributes(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nothing there, or another program's file
        return None
    found = content.get("attributes") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else None


def _other_schema(folder: Path, version: Any) -> Any:
    fact = f"is a cohort store of schema {version}, this program reads schema {SCHEMA_VERSION}"
    if isinstance(version, int) and version < SCHEMA_VERSION:
        fact += ", in which files that are missing are noticed"
        way_out = "Make it again with `hirescam batch`, in another folder or after deleting this one."
        return error("wrong-schema", fact, way_out, folder.name)
    return error("wrong-schema", fact, "Update hirescam-napari.", folder.name)


def damaged(folder: Path, detail: str, can_be_mended: bool = True) -> InputError:
    """Return the error for a store that is not whole."""
    way_out = _mend_words(folder) if can_be_mended else _NO_MENDING
    return InputError(error("damaged-store", f"is incomplete or damaged: {detail}", way_out, folder.name))


def _mend_words(folder: Path) -> str:
    about = _attributes(folder) or {}
    source = ", the same --source options" if about.get("made_with", {}).get("source") else ""
    return (
        f"Run `{mending_command(folder)}` (DATA and MODEL: what it was made from{source}; --keep-names if it was made "
        "so): it makes again what is damaged and keeps the rest. Or copy the store again from where it came."
    )


def mending_command(folder: Path) -> str:
    """Return the command that mends the store at ``folder``, with the options that the store knows it was made with."""
    about = _attributes(folder) or {}
    made_with = {**about.get("made_with", {}), "keep": about.get("layout", {}).get("z_dtype", "float32")}
    splits = [f"--split {shlex.quote(str(name))}" for name in made_with.get("splits", ())]
    others = [
        f"--{name} {shlex.quote(str(made_with[name]))}"
        for name, usual in _DEFAULTS.items()
        if made_with.get(name, usual) != usual
    ]
    return " ".join(["hirescam batch DATA --model MODEL -o", shlex.quote(folder.name), *splits, *others, "--verify"])
