"""An array that was worked out once and is kept in a file, to be made anew if the file is damaged."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.io.atomic import atomic_path

SUFFIX = ".npz"
"""Of the file: an npz has checksums, which npy has not."""

DAMAGED_NPZ = (ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error)
"""What numpy raises for an npz that is not as it was written."""


def keep_array(file: Path, values: npt.NDArray[Any]) -> None:
    """Write ``values`` to ``file``, completely or not at all; errors as :func:`training.io.atomic.atomic_path`."""
    with atomic_path(file) as partial, partial.open("wb") as stream:
        np.savez(stream, values=values)


def kept_array(file: Path) -> npt.NDArray[Any] | None:
    """Return what :func:`keep_array` wrote; None if there is nothing, or it is damaged."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            found: npt.NDArray[Any] = archive["values"]
            return found
    except (OSError, *DAMAGED_NPZ):
        return None
