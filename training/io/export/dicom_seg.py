"""Organ masks as a DICOM Segmentation (PS3.3 A.51) on the grid of the source images; every frame refers to its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training import __version__
from training.geometry import Geometry
from training.io.atomic import atomic_path
from training.io.export.source import SourceImages, refusals_of_highdicom
from training.io.orient import canonical_order
from training.partition.grids import nearest_labels
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, ORGAN_NAMES, RIGHT_LUNG, Organs

if TYPE_CHECKING:
    import highdicom as hd

MANUFACTURER = "hirescam-napari"
NOT_FOR_CLINICAL_USE = "Research only, not for clinical use"

_SCT = {RIGHT_LUNG: "3341006", LEFT_LUNG: "44029006", MEDIASTINUM: "72410000"}
"""SNOMED CT codes of the organs (PS3.16 CID 4031 and 7166)."""

_SERIES_NUMBER = 5101


@dataclass(frozen=True, eq=False)
class ReadSegmentation:
    """What a segmentation says when it is read back: uint8 labels in (closest) canonical order, names by value."""

    labels: npt.NDArray[np.uint8]
    geometry: Geometry
    names: dict[int, str]
    source_uids: tuple[str, ...]


def write_dicom_seg(path: str | os.PathLike[str], organs: Organs, source: SourceImages, algorithm: str = "") -> None:
    """Write ``organs`` to ``path`` (.dcm), complete or not at all.

    Parameters
    ----------
    algorithm
        What made the masks; the segmentation's backend by default.

    Raises
    ------
    InputError
        If the source images cannot be referred to, or the place is not writable.
    """
    labels = np.asarray(nearest_labels(organs.labels, organs.geometry, source.geometry), dtype=np.uint8)
    made = _segmentation(labels, source, algorithm or organs.qc.backend)
    with atomic_path(path) as partial:
        made.save_as(partial, enforce_file_format=True)


def volume_for(values: npt.NDArray[Any], geometry: Geometry, source: SourceImages) -> hd.Volume:
    """Return ``values`` with their place as highdicom holds them: index (slice, row, column) to LPS mm, as here."""
    import highdicom as hd

    frame = source.headers[0].FrameOfReferenceUID
    return hd.Volume(values, geometry.affine, coordinate_system="PATIENT", frame_of_reference_uid=frame)


def equipment(series_number: int, description: str) -> dict[str, Any]:
    """Return the elements that say which program made an object, and a new series for it."""
    from highdicom import UID

    return {
        "series_instance_uid": UID(),
        "series_number": series_number,
        "sop_instance_uid": UID(),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MANUFACTURER,
        "software_versions": __version__,
        "device_serial_number": __version__,
        "series_description": description,
    }


def _segmentation(labels: npt.NDArray[np.uint8], source: SourceImages, algorithm: str) -> hd.seg.Segmentation:
    import highdicom as hd

    elements = {
        "segmentation_type": hd.seg.SegmentationTypeValues.BINARY,
        "segment_descriptions": [_description(value, algorithm) for value in sorted(ORGAN_NAMES)],
        "omit_empty_frames": False,
        "content_label": "ORGANS",
        "content_description": NOT_FOR_CLINICAL_USE,
        **equipment(_SERIES_NUMBER, "Organs (research)"),
    }
    pixels = volume_for(labels, source.geometry, source)
    with refusals_of_highdicom(source):
        return hd.seg.Segmentation(source_images=list(source.headers), pixel_array=pixels, **elements)


def _description(value: int, algorithm: str) -> hd.seg.SegmentDescription:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    name = ORGAN_NAMES[value].capitalize()
    return hd.seg.SegmentDescription(
        segment_number=value,
        segment_label=name,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=hd.sr.CodedConcept(_SCT[value], "SCT", name),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm, version=__version__, family=codes.cid7162.MorphologicalOperations
        ),
    )


def read_dicom_seg(path: str | os.PathLike[str]) -> ReadSegmentation:
    """Read a segmentation with one label a voxel back; for checks and for use as organ masks.

    Raises
    ------
    OSError, ValueError
        If it is none.
    """
    import highdicom as hd

    seg = hd.seg.segread(os.fspath(path))
    volume = seg.get_volume(combine_segments=True)
    names = {int(n): seg.get_segment_description(n).segment_label for n in seg.segment_numbers}
    uids = tuple(str(uid) for _, _, uid in seg.get_source_image_uids())
    labels, geometry = canonical_order(np.asarray(volume.array, dtype=np.uint8), volume.affine)
    return ReadSegmentation(labels, geometry, names, uids)
