"""What is known of a DICOM file and of each image plane in it, before any pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from training.issues import Issue

Numbers = tuple[float, ...]


class Source(Protocol):
    """A file in a folder or in a zip archive."""

    @property
    def name(self) -> str:
        """Base name."""

    @property
    def size(self) -> int:
        """Bytes, unpacked."""

    def open(self) -> BinaryIO:
        """Open for reading; seekable."""


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How the pixels of a file are stored (PS3.3 C.7.6.3, PS3.5 section 8 and annex A).

    ``offset`` is where the value of Pixel Data starts in the file; None if it must be unpacked first (deflated).
    ``length`` is in bytes; None where it is undefined, as in compressed files. ``present`` is False without pixels.
    """

    transfer_syntax: str
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    n_frames: int
    offset: int | None
    length: int | None
    present: bool = True

    @property
    def expected_bytes(self) -> int:
        """Bytes of all frames if stored without compression."""
        return self.rows * self.columns * self.samples * self.n_frames * self.bits_allocated // 8


@dataclass(frozen=True, slots=True)
class Header:
    """Facts that hold for a whole file."""

    file: Source
    pixels: PixelLayout
    sop_class: str
    modality: str
    series_uid: str
    series_number: str
    description: str
    frame_of_reference: str
    multiframe: bool
    burned_in: bool
    lossy: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One image plane: a classic file, or a frame of an enhanced one. Absent values are None, unreadable ones faults.

    ``position_mm`` is the LPS centre of the first pixel, ``orientation`` the direction cosines along a row and down a
    column, ``spacing_mm`` between rows and between columns (PS3.3 C.7.6.2). ``traits`` tell apart images that lie at
    the same place: (keyword, value).
    """

    header: Header
    index: int
    position_mm: Numbers | None
    orientation: Numbers | None
    spacing_mm: Numbers | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    thickness_mm: float | None
    spacing_between_mm: float | None
    tilt_degrees: float | None
    padding: tuple[int, int] | None
    image_type: tuple[str, ...]
    kernel: str
    traits: tuple[tuple[str, str], ...]
    faults: tuple[Issue, ...] = ()

    @property
    def file_name(self) -> str:
        """Base name of the file that holds it."""
        return self.header.file.name
