"""RAD-ChestCT volumes: numpy archives with one array ``ct``, int16 HU at 0.8 mm, nothing about position.

Axes as their preprocessing wrote them: slices head to feet, rows front to back, columns right to left.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from training.geometry import Geometry
from training.io.assemble import assemble, damaged, refused
from training.issues import note
from training.volume import Volume

KEY = "ct"
SPACING_MM = (0.8, 0.8, 0.8)


def read_npz(path: Path) -> Volume:
    """Read the CT in ``path``; pickled content is never loaded.

    Raises
    ------
    InputError
        Truncated, damaged, pickled; no array ``ct``; not three axes; not int16; not HU.
    """
    with _opened(path) as archive:
        values = np.asarray(archive[KEY])
    _check_type(values.dtype, path)
    fact = "it holds no position and no axes: 0.8 mm and the axis order of RAD-ChestCT are taken, the origin is voxel 0"
    affine = Geometry.canonical((1, 1, 1), SPACING_MM).affine
    issues = (note("no-position", fact, path.name),)
    return assemble(values, affine, path, "npz", f"numpy {np.__version__}", issues=issues)


def check_npz_header(path: Path) -> None:
    """Look at the CT in ``path`` without unpacking it.

    Raises
    ------
    InputError
        Damaged, pickled, no array ``ct``, not three axes, not int16: in the words of :func:`read_npz`.
    """
    with _opened(path) as archive, archive.zip.open(f"{KEY}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
    _check_type(dtype, path)
    if len(shape) != 3:
        words = " x ".join(str(n) for n in shape)
        raise refused("wrong-rank", f"its shape is {words}, not three axes", "Export one volume per file.", path)


def _check_type(dtype: np.dtype[Any], path: Path) -> None:
    if dtype != np.int16:
        fact = f"its array {KEY!r} is of type {dtype}, not int16"
        raise refused("wrong-type", fact, "Store Hounsfield units as int16.", path)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield the archive, which has an array ``ct``; put what goes wrong with it into words."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if KEY not in archive.files:
                found = ", ".join(repr(name) for name in archive.files) or "nothing"
                fact = f"it has no array {KEY!r} (found: {found})"
                raise refused("missing-key", fact, f"Save the CT as numpy.savez_compressed(path, {KEY}=hu).", path)
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as failure:
        raise damaged(path, str(failure)) from failure
    except ValueError as failure:  # numpy: "Object arrays cannot be loaded when allow_pickle=False"
        fact = f"its array {KEY!r} is not a plain array of numbers ({failure}); pickled content is never loaded"
        raise refused("pickled", fact, "Save the CT as an int16 array.", path) from failure
