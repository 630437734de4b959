"""Headers of DICOM files: read up to the pixels, for a fraction of a millisecond a file."""

from __future__ import annotations

import logging
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from training.io.dicom.elements import Elements, tag_of
from training.io.dicom.multiframe import frames_of_groups
from training.io.dicom.plane import TRAITS, frame_of
from training.io.dicom.quick import Parsed, quick_header
from training.io.dicom.records import Frame, Header, PixelLayout, Source

UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What pydicom and its decoders are known to raise on damaged files."""

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR (PS3.3 annex F)."""

Junk = Literal["empty", "not-dicom", "dicomdir", "unreadable"]

_KEYWORDS = (
    *(
        "SpecificCharacterSet",
        "PatientName",
        "PatientID",
        "SOPClassUID",
        "Modality",
        "SeriesInstanceUID",
        "SeriesNumber",
        "SeriesDescription",
    ),
    *("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ConvolutionKernel"),
    *("SliceThickness", "SpacingBetweenSlices", "GantryDetectorTilt", "BurnedInAnnotation", "LossyImageCompression"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("PhotometricInterpretation", "NumberOfFrames", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", *TRAITS),
)
_TAGS: list[BaseTag | int] = [tag_of(keyword) for keyword in dict.fromkeys(_KEYWORDS)]

_WANTED = frozenset(_TAGS)

_LOSSY_SYNTAXES = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 81, 203))
_PIXEL_TAGS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_EXPLICIT_VRS = (b"OB", b"OW", b"UN", b"OF", b"OD")
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")


@dataclass(frozen=True, slots=True)
class Contents:
    """What the file called ``name`` holds: image planes, or the reason why it is left out."""

    name: str
    frames: tuple[Frame, ...] = ()
    header: Header | None = None
    junk: Junk | None = None


def read_header(file: Source) -> Contents:
    """Return the image planes that ``file`` announces. A file that is no DICOM, or a broken one, is junk."""
    if file.size == 0:
        return Contents(file.name, junk="empty")
    try:
        with file.open() as stream:
            forced = _sniff(stream.read(132), file.size)
            if forced is None:
                return Contents(file.name, junk="not-dicom")
            stream.seek(0)
            parsed = None if forced else quick_header(stream, file.size, _WANTED)
            if parsed is None:
                stream.seek(0)
                parsed = parsed_by_pydicom(
                    dcmread(stream, stop_before_pixels=True, force=forced, specific_tags=list(_TAGS))
                )
            return contents_of(file, parsed, stream)
    except UNREADABLE:
        return Contents(file.name, junk="unreadable")


def contents_of(file: Source, parsed: Parsed, stream: BinaryIO | None = None) -> Contents:
    """Return what a header holds; ``stream`` stands at the Pixel Data, None if they are in the dataset itself."""
    elements = Elements(parsed.dataset)
    header = _header(file, parsed, elements, stream)
    if MEDIA_DIRECTORY in (header.sop_class, parsed.media_class):
        return Contents(file.name, junk="dicomdir")
    if not header.sop_class and not header.modality and not header.pixels.present:
        return Contents(file.name, junk="unreadable")
    frames = frames_of_groups(header, elements) if header.multiframe else (frame_of(header, elements),)
    return Contents(file.name, frames, header)


def parsed_by_pydicom(dataset: Dataset) -> Parsed:
    """Return the header of a dataset that pydicom has read, with the transfer syntax it found by looking if need be."""
    meta = Elements(getattr(dataset, "file_meta", None) or Dataset())
    syntax = meta.text("TransferSyntaxUID") or _guessed_syntax(dataset)
    return Parsed(dataset, syntax, meta.text("MediaStorageSOPClassUID"))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's remarks off the screen and out of logs: they may quote patient data; faults are found here."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _sniff(head: bytes, size: int) -> bool | None:
    """Return False for a DICOM file, True for one without preamble (PS3.10 section 7.1), None for anything else."""
    if head[128:132] == b"DICM":
        return False
    if len(head) < 16 or head[:2] not in _FIRST_GROUPS:
        return None
    group_of_next = head[4:6].isalpha() and head[4:6].isupper()
    length = int.from_bytes(head[6:8] if group_of_next else head[4:8], "little")
    return True if length < min(size, 1024) else None


def _header(file: Source, parsed: Parsed, elements: Elements, stream: BinaryIO | None) -> Header:
    dataset = parsed.dataset
    pixels = _layout(parsed, elements, stream)
    return Header(
        file=file,
        pixels=pixels,
        sop_class=elements.text("SOPClassUID") or parsed.media_class,
        modality=elements.text("Modality"),
        series_uid=elements.text("SeriesInstanceUID"),
        series_number=elements.text("SeriesNumber"),
        description=_description(elements),
        frame_of_reference=elements.text("FrameOfReferenceUID"),
        multiframe="NumberOfFrames" in dataset
        and (pixels.n_frames > 1 or "PerFrameFunctionalGroupsSequence" in dataset),
        burned_in=elements.text("BurnedInAnnotation").upper() == "YES",
        lossy=pixels.transfer_syntax in _LOSSY_SYNTAXES or elements.text("LossyImageCompression") == "01",
    )


def _description(elements: Elements) -> str:
    """Return the series description without control characters, and without words of the patient's name and ID."""
    private = {
        word.lower()
        for keyword in ("PatientName", "PatientID")
        for word in re.split(r"[\W_]+", elements.decoded_text(keyword))
        if len(word) > 2
    }
    text = "".join(c if c.isprintable() else " " for c in elements.decoded_text("SeriesDescription"))
    words = re.split(r"([\W_]+)", text)
    return " ".join("".join("..." if word.lower() in private else word for word in words).split())


def _layout(parsed: Parsed, elements: Elements, stream: BinaryIO | None) -> PixelLayout:
    syntax = parsed.syntax
    if stream is None or syntax == DeflatedExplicitVRLittleEndian:
        offset, length, present = None, None, stream is not None or "PixelData" in parsed.dataset
    else:
        offset, length, present = _find_pixels(stream)
    return PixelLayout(
        transfer_syntax=syntax,
        rows=elements.integer("Rows"),
        columns=elements.integer("Columns"),
        samples=elements.integer("SamplesPerPixel", 1),
        bits_allocated=elements.integer("BitsAllocated"),
        bits_stored=elements.integer("BitsStored", elements.integer("BitsAllocated")),
        signed=elements.integer("PixelRepresentation") == 1,
        photometric=elements.text("PhotometricInterpretation") or "MONOCHROME2",
        n_frames=max(1, elements.integer("NumberOfFrames", 1)),
        offset=offset,
        length=length,
        present=present,
    )


def _guessed_syntax(dataset: Dataset) -> str:
    """Return the transfer syntax of a dataset that does not name it, as pydicom found it by looking."""
    implicit, little = dataset.original_encoding
    if implicit is None or implicit:
        return str(ImplicitVRLittleEndian)
    return "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"


def _find_pixels(stream: BinaryIO) -> tuple[int | None, int | None, bool]:
    """Return offset and length of the value of Pixel Data at which ``stream`` stands, and whether it is there.

    An implicit length never looks like a VR: its low byte would be odd ("O", "U").
    """
    start = stream.tell()
    head = stream.read(12)
    if head[:4] not in _PIXEL_TAGS or len(head) < 8:
        return None, None, False
    order: Literal["little", "big"] = "little" if head[:4] == _PIXEL_TAGS[0] else "big"
    explicit = head[4:6] in _EXPLICIT_VRS
    length = int.from_bytes(head[8:12] if explicit else head[4:8], order)
    return start + (12 if explicit else 8), None if length == 0xFFFFFFFF else length, True
