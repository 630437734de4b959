"""The DICOM images that exported objects refer to: their headers in stored order, without patient data unless asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from training.geometry import Geometry
from training.io.dicom.files import open_files
from training.io.dicom.find import choose, find_candidates
from training.io.dicom.header import UNREADABLE, quiet
from training.io.dicom.read import source_affine
from training.io.dicom.records import Frame
from training.io.dicom.repair import make_plan
from training.io.dicom.stack import Stack
from training.io.read import Kind, find_kind
from training.issues import InputError, error

_REFERENCE = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality"),
    *("PositionReferenceIndicator", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient"),
    *("PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "NumberOfFrames", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "DimensionIndexSequence", "DimensionOrganizationSequence"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
"""What is needed to refer to an image and to lie at its place."""

_PATIENT = (
    *("SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("PatientAge", "PatientSize", "PatientWeight", "StudyDate", "StudyTime", "StudyID", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
"""What the patient and study modules (PS3.3 C.7.1.1, C.7.2.1) copy to every object of a study."""

_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
"""Those of them that must be there, if only empty (type 2)."""

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True, eq=False)
class SourceImages:
    """The images of one CT series, or the one enhanced image that holds it.

    Parameters
    ----------
    headers
        Without pixels, in the order of the slices of ``geometry``; one for an enhanced image.
    geometry
        The grid as stored: slices ascending along the normal, rows and columns as in the images.
    identified
        True if the headers carry patient data, because the user asked for it.
    """

    headers: tuple[Dataset, ...]
    geometry: Geometry
    identified: bool = False


def read_source(
    path: str | os.PathLike[str],
    series: int | None = None,
    repair: bool = False,
    with_patient_data: bool = False,
    case_id: str = "",
) -> SourceImages:
    """Return what exported objects have to refer to.

    Parameters
    ----------
    series, repair
        As the CT was read.
    with_patient_data
        Keep name, ID, dates and the like, as the patient and study modules hold them.
    case_id
        Stands for name and ID of the patient otherwise.

    Raises
    ------
    InputError
        The CT is not DICOM, or lacks the identifiers that a reference needs; and as for reading.
    SeriesChoiceNeeded
        There are several series and none was chosen.
    """
    source = Path(path)
    if find_kind(source) is not Kind.DICOM:
        fact = "DICOM objects refer to DICOM images, and this CT is none"
        raise InputError(error("not-dicom-source", fact, "Export NIfTI, or give the DICOM series.", source.name))
    with quiet(), open_files(source) as files:
        candidates, general = find_candidates(files)
        stack = choose(candidates, general, series, repair).stack
        if stack is None:  # for the type checker: such a series is refused by choose
            raise InputError(error("no-geometry", "the series has no geometry", "", source.name))
        plan = make_plan(stack, repair)
        headers = tuple(_headers(stack, with_patient_data, case_id))
    return SourceImages(headers, Geometry(plan.shape, source_affine(stack, plan)), with_patient_data)


def _headers(stack: Stack, with_patient_data: bool, case_id: str) -> Iterator[Dataset]:
    """Yield one header a file, in slice order; all with the direction cosines of the first, as references demand."""
    first: Dataset | None = None
    for frame in _one_per_file(stack.frames):
        header = _read(frame, with_patient_data, case_id)
        first = header if first is None else first
        if "ImageOrientationPatient" in first:
            header.ImageOrientationPatient = first.ImageOrientationPatient
            header.SliceThickness = header.get("SliceThickness") or stack.step_mm
        yield header


def _one_per_file(frames: Sequence[Frame]) -> list[Frame]:
    return list({id(frame.header): frame for frame in frames}.values())


def _read(frame: Frame, with_patient_data: bool, case_id: str) -> Dataset:
    wanted = (*_REFERENCE, *(_PATIENT if with_patient_data else ()))
    try:
        with frame.header.file.open() as stream:
            header = dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(wanted))
    except UNREADABLE as failure:
        fact = "its header cannot be read again"
        raise InputError(error("unreadable", fact, "Copy it again.", frame.file_name)) from failure
    for keyword in _EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    if not with_patient_data:
        header.PatientName = header.PatientID = case_id
    _check(header, frame.file_name)
    return header


def _check(header: Dataset, name: str) -> None:
    missing = [keyword for keyword in _UIDS if not header.get(keyword)]
    if missing:
        fact = f"it has no {' and no '.join(missing)}, so no DICOM object can refer to it"
        raise InputError(error("no-reference", fact, "Export NIfTI instead.", name))


@contextmanager
def refusals_of_highdicom(source: SourceImages) -> Iterator[None]:
    """Turn what highdicom refuses about the source images into words.

    Raises
    ------
    InputError
        If the images do not make a series that DICOM objects can refer to.
    """
    try:
        with quiet():
            yield
    except (ValueError, AttributeError) as failure:
        fact = f"the {len(source.headers)} source images cannot be referred to ({failure})"
        raise InputError(error("no-reference", fact, "Export NIfTI instead.")) from failure
