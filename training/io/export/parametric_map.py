"""One map as a DICOM Parametric Map (PS3.3 A.75): floats at the cells' own places, referring to the source images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.explain.placement import Placement
from training.explain.result import METHOD_NAMES, Explanation, Method
from training.geometry import Geometry
from training.io.atomic import atomic_path
from training.io.export.dicom_seg import NOT_FOR_CLINICAL_USE, equipment, volume_for
from training.io.export.references import add_frame_references
from training.io.export.source import SourceImages, refusals_of_highdicom
from training.io.orient import canonical_order
from training.labels import display_name

if TYPE_CHECKING:
    import highdicom as hd

FIRST_SERIES_NUMBER = 5200
"""Series number of the first map; each further one counts up."""

_SCHEME = "99HIRESCAM"
_SHORT, _LONG = 16, 64
"""Longest SH and LO values (PS3.5 table 6.2-1)."""


@dataclass(frozen=True, eq=False)
class ReadMap:
    """What a parametric map says when it is read back, in (closest) canonical order."""

    values: npt.NDArray[np.float32]
    geometry: Geometry
    words: str
    source_uids: tuple[str, ...]


def write_parametric_map(
    path: str | os.PathLike[str],
    explanation: Explanation,
    label: str,
    method: Method,
    source: SourceImages,
    placement: Placement = "receptive_field",
    number: int = 0,
) -> None:
    """Write the signed map of ``label`` to ``path`` (.dcm), complete or not at all.

    Values are stored as 32-bit floats, one pixel a cell, so that those of HiResCAM add up to the score without the
    bias. The map refers to all source images, and every frame to those whose slices its cells overlap
    (:mod:`training.io.export.references`).

    Raises
    ------
    InputError
        If the source images cannot be referred to, or the place is not writable.
    """
    values = explanation.map(label, method)
    grid = explanation.geometry(method, placement)
    made = _parametric_map(values, grid, source, label, method, number)
    with atomic_path(path) as partial:
        made.save_as(partial, enforce_file_format=True)


def _parametric_map(
    values: npt.NDArray[np.float32], grid: Geometry, source: SourceImages, label: str, method: Method, number: int
) -> hd.pm.ParametricMap:
    import highdicom as hd

    name = f"{METHOD_NAMES[method]}: {display_name(label)}"
    reach = float(max(abs(values).max(), np.finfo(np.float32).tiny))
    elements = {
        "real_world_value_mappings": [_mapping(name, method, reach)],
        "voi_lut_transformations": [hd.VOILUTTransformation(window_center=0.0, window_width=2 * reach)],
        "content_label": METHOD_NAMES[method].upper().replace("-", "_"),
        "content_description": NOT_FOR_CLINICAL_USE,
        "contains_recognizable_visual_features": False,
        **equipment(FIRST_SERIES_NUMBER + number, f"{name} (research)"[:_LONG]),
    }
    pixels = volume_for(values, grid, source)
    with refusals_of_highdicom(source):
        made = hd.pm.ParametricMap(source_images=list(source.headers), pixel_array=pixels, **elements)
    add_frame_references(made, grid, source)
    return made


def _mapping(name: str, method: Method, reach: float) -> hd.pm.RealWorldValueMapping:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.pm.RealWorldValueMapping(
        lut_label=METHOD_NAMES[method][:_SHORT],
        lut_explanation=name[:_LONG],
        unit=hd.sr.CodedConcept("{score}", "UCUM", "score units") if method == "hirescam" else codes.UCUM.NoUnits,
        value_range=(-reach, reach),
        intercept=0.0,
        slope=1.0,
        quantity_definition=hd.sr.CodedConcept(method, _SCHEME, f"{METHOD_NAMES[method]} evidence"),
    )


def read_parametric_map(path: str | os.PathLike[str]) -> ReadMap:
    """Read a parametric map back.

    Raises
    ------
    OSError, ValueError
        If it is none.
    """
    import highdicom as hd

    found = hd.pm.ParametricMap.from_file(os.fspath(path))
    volume = found.get_volume(apply_voi_transform=False)
    words = found.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0].LUTExplanation
    uids = tuple(str(uid) for _, _, uid in found.get_source_image_uids())
    values, geometry = canonical_order(np.asarray(volume.array, dtype=np.float32), volume.affine)
    return ReadMap(values, geometry, str(words), uids)
