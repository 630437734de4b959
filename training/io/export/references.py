"""Which source images a frame of a derived object lies on (PS3.3 C.7.6.16.2.6, Derivation Image).

highdicom names the source of a frame only where every frame lies in the plane of an image. Cells of a map are thicker
than slices and seldom centred on one, so here a frame refers to every image whose slice its cells overlap: to the one
at the same position where frames are slices of the CT, to several where a cell spans them or frames run across them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from training.geometry import Geometry
from training.io.export.source import SourceImages

TOUCHING = 0.01
"""Slices that overlap by less than this part of their thickness only touch (noise of written positions)."""


class _Slice(NamedTuple):
    """A slice of the source: its position along the slice axis, and how it is referred to."""

    position: float
    header: Dataset
    frame_number: int | None


def add_frame_references(made: Dataset, grid: Geometry, source: SourceImages) -> None:
    """Let every frame of ``made`` refer to the source images whose slices it overlaps.

    Frames outside of all slices keep an empty sequence, as the standard allows (type 2).

    Parameters
    ----------
    made
        A multi-frame object with one Plane Position item a frame; changed.
    grid
        Of its pixels: slices are frames.
    source
        The images, with their slice axis.
    """
    slices = list(_slices(source))
    positions = np.array([one.position for one in slices])
    for frame in made.PerFrameFunctionalGroupsSequence:
        first = grid.to_index(frame.PlanePositionSequence[0].ImagePositionPatient)
        low, high = _extent(grid, float(first[0]), source.geometry)
        overlaps = np.minimum(high, positions + 0.5) - np.maximum(low, positions - 0.5)
        found = [slices[i] for i in np.flatnonzero(overlaps > TOUCHING)]
        frame.DerivationImageSequence = [_derivation(found)] if found else []


def _slices(source: SourceImages) -> Iterator[_Slice]:
    """Yield the slices of the source with their positions along the slice axis of its geometry."""
    first = source.headers[0]
    if "PerFrameFunctionalGroupsSequence" in first:
        for number, frame in enumerate(first.PerFrameFunctionalGroupsSequence, start=1):
            place = frame.PlanePositionSequence[0].ImagePositionPatient
            yield _Slice(_along(source.geometry, place), first, number)
        return
    for header in source.headers:
        yield _Slice(_along(source.geometry, header.ImagePositionPatient), header, None)


def _along(geometry: Geometry, place_mm: Any) -> float:
    return float(geometry.to_index([float(mm) for mm in place_mm])[0])


def _extent(grid: Geometry, number: float, source: Geometry) -> tuple[float, float]:
    """Return from where to where, in slices of ``source``, the cells of slice ``number`` of ``grid`` reach."""
    rows, columns = grid.shape[1:]
    ends = ((number - 0.5, number + 0.5), (-0.5, rows - 0.5), (-0.5, columns - 0.5))
    corners: npt.NDArray[np.float64] = np.array([source.to_index(grid.to_world(one))[0] for one in product(*ends)])
    return float(corners.min()), float(corners.max())


def _derivation(slices: list[_Slice]) -> Dataset:
    """Return an item of the Derivation Image Sequence: how, and from which images."""
    item = Dataset()
    item.DerivationCodeSequence = [_code(codes.DCM.UnspecifiedMethodOfCalculation)]
    item.SourceImageSequence = [_reference(one) for one in slices]
    return item


def _reference(one: _Slice) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = one.header.SOPClassUID
    item.ReferencedSOPInstanceUID = one.header.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [_code(codes.cid7202.SourceImageForImageProcessingOperation)]
    item.SpatialLocationsPreserved = "NO"  # pixels of a map are cells, not those of the image
    if one.frame_number is not None:
        item.ReferencedFrameNumber = one.frame_number
    return item


def _code(code: Any) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
