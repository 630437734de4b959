"""RAD-ChestCT volumes: numpy archives with one array ``ct``, int16 HU at 0.8 mm, nothing about position.

Axes as their preprocessing wrote them: slices head to feet, rows front to back, columns right to left.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

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
    values = _array(path)
    if values.dtype != np.int16:
        fact = f"its array {KEY!r} is of type {values.dtype}, not int16"
        raise refused("wrong-type", fact, "Store Hounsfield units as int16.", path)
    fact = "it holds no position and no axes: 0.8 mm and the axis order of RAD-ChestCT are taken, the origin is voxel 0"
    affine = Geometry.canonical((1, 1, 1), SPACING_MM).affine
    issues = (note("no-position", fact, path.name),)
    return assemble(values, affine, path, "npz", f"numpy {np.__version__}", issues=issues)


def _array(path: Path) -> npt.NDArray[np.generic]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if KEY not in archive.files:
                found = ", ".join(repr(name) for name in archive.files) or "nothing"
                fact = f"it has no array {KEY!r} (found: {found})"
                raise refused("missing-key", fact, f"Save the CT as numpy.savez_compressed(path, {KEY}=hu).", path)
            return np.asarray(archive[KEY])
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as failure:
        raise damaged(path, str(failure)) from failure
    except ValueError as failure:  # numpy: "Object arrays cannot be loaded when allow_pickle=False"
        fact = f"its array {KEY!r} is not a plain array of numbers ({failure}); pickled content is never loaded"
        raise refused("pickled", fact, "Save the CT as an int16 array.", path) from failure
