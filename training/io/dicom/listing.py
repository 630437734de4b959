"""The series of a DICOM folder, archive or file, as a list or a chooser shows them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.io.dicom.files import open_files
from training.io.dicom.find import Candidate, find_candidates
from training.io.dicom.header import quiet
from training.io.dicom.pixels import Tally, stored_pixels, to_hu
from training.io.dicom.read import canonical_target, source_affine
from training.io.dicom.repair import make_plan
from training.io.read import thumbnail
from training.io.series import SeriesInfo
from training.issues import InputError


def list_series(path: str | os.PathLike[str], thumbnails: bool = False) -> tuple[SeriesInfo, ...]:
    """Return every CT series at ``path``, readable or not, with its issues; from headers alone.

    With ``thumbnails`` the middle slice of each series is decoded.

    Raises
    ------
    InputError
        If there is no CT series, or nothing can be read at ``path``.
    """
    with quiet(), open_files(Path(path)) as files:
        candidates, general = find_candidates(files)
        infos = tuple(candidate.info(general) for candidate in candidates)
        if not thumbnails:
            return infos
        return tuple(replace(i, thumbnail=_thumbnail(c)) for i, c in zip(infos, candidates, strict=True))


def _thumbnail(candidate: Candidate) -> npt.NDArray[np.uint8] | None:
    """Return the middle slice, turned as the volume would be; None if it cannot be decoded or has no geometry."""
    stack = candidate.stack
    if stack is None:
        return None
    k = len(stack.frames) // 2
    frame = stack.frames[k]
    one = replace(stack, frames=(frame,), z_mm=stack.z_mm[k : k + 1], shift_mm=np.zeros((1, 2)))
    try:
        ((_, stored),) = stored_pixels(frame.header, (frame.index,))
    except InputError:
        return None
    hu, view, _ = canonical_target(
        (1, stored.shape[0], stored.shape[1]), source_affine(one, make_plan(one, repair=False))
    )
    to_hu(stored, frame, view[0], Tally())
    return thumbnail(hu.squeeze(axis=hu.shape.index(1)))
