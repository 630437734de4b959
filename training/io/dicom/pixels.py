"""Stored pixels of a file, frame by frame, and the Hounsfield units they stand for."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder

from training.io.dicom.decoders import StoredPixels, decode_jpeg, decoder_issue, is_compressed, pydicom_can_decode
from training.io.dicom.files import FolderFile
from training.io.dicom.header import UNREADABLE, contents_of, parsed_by_pydicom, quiet
from training.io.dicom.records import Frame, Header, PixelLayout
from training.io.hu import PADDING_HU
from training.issues import InputError, Issue, error, warning
from training.volume import AIR_HU
from training.words import counted

HuArray = npt.NDArray[np.int16]

HIGHEST_PADDING_HU = -900
"""A stated padding value that stands for more than this is no air: it is left as it is, with a warning."""

_INT16 = np.iinfo(np.int16)
_EXPORT = "Copy or export this file again."


@dataclass
class Tally:
    """What was noticed while turning stored pixels into HU."""

    voxels: int = 0
    padding: int = 0
    clipped: int = 0
    odd_padding: dict[float, str] = field(default_factory=dict)

    def issues(self) -> list[Issue]:
        """Return a warning for each kind of thing noticed."""
        found = []
        if self.padding:
            share = f"{self.padding / self.voxels:.1%} of the voxels are padding"
            found.append(warning("padding", f"{share} outside the field of view; treated as air"))
        if self.clipped:
            fact = f"{counted(self.clipped, 'voxel')} outside the 16-bit range, set to its end"
            found.append(warning("clipped", fact, "Look for metal."))
        for value, file in self.odd_padding.items():
            fact = f"the header names {value:g} HU as padding, which could be tissue; left as it is"
            found.append(warning("padding-is-tissue", fact, file=file))
        return found


def stored_pixels(header: Header, wanted: Sequence[int]) -> Iterator[tuple[int, StoredPixels]]:
    """Yield (frame index, stored pixels [row, column]) of the ``wanted`` frames of a file, ascending.

    Raises
    ------
    InputError
        If the pixels are truncated or cannot be decoded; the issue names the file.
    """
    found = 0
    _check_layout(header)
    try:
        for index, pixels in _decoded(header, frozenset(wanted)):
            found += 1
            yield index, pixels
        if found < len(set(wanted)):
            raise EOFError("there are fewer frames than announced")
    except BaseException as failure:  # the RLE decoder panics on damaged data, which is no Exception
        if not isinstance(failure, UNREADABLE) and type(failure).__name__ != "PanicException":
            raise
        raise InputError(_undecodable(header, failure)) from failure


def to_hu(stored: StoredPixels, frame: Frame, out: HuArray, tally: Tally) -> None:
    """Write the HU of ``stored`` to ``out`` (both [row, column]): rescaled, rounded, padding as air.

    Without rescale tags the stored values are taken as they are.
    """
    slope = 1.0 if frame.slope is None else frame.slope
    intercept = 0.0 if frame.intercept is None else frame.intercept
    low, high = int(stored.min()), int(stored.max())
    ends = sorted((low * slope + intercept, high * slope + intercept))
    if slope == 1 and intercept.is_integer() and ends[0] >= _INT16.min and ends[1] <= _INT16.max:
        _add(stored, int(intercept), high, out)
    else:
        hu = np.rint(stored * slope + intercept)
        tally.clipped += int(np.count_nonzero((hu < _INT16.min) | (hu > _INT16.max))) if _outside(ends) else 0
        out[...] = np.clip(hu, _INT16.min, _INT16.max)
    tally.voxels += out.size
    if ends[0] <= PADDING_HU:
        _fill(out, out <= PADDING_HU, tally)
    if frame.padding is not None and low <= frame.padding[1] and high >= frame.padding[0]:
        _fill_stated(stored, frame, max(v * slope + intercept for v in frame.padding), out, tally)


def decode_hu(dataset: Dataset, index: int = 0) -> HuArray:
    """Return frame ``index`` of a dataset with pixel data in HU: int16 [row, column], padding as air.

    Raises
    ------
    InputError
        If the pixels cannot be decoded.
    """
    source = _InMemory(dataset)
    with quiet():
        frames = contents_of(source, parsed_by_pydicom(dataset)).frames
        if index >= len(frames):
            raise InputError(error("no-such-frame", f"it has no frame {index + 1}", "Choose another.", source.name))
        frame = frames[index]
        ((_, stored),) = stored_pixels(frame.header, (index,))
    hu = np.empty(stored.shape, np.int16)
    to_hu(stored, frame, hu, Tally())
    return hu


@dataclass(frozen=True)
class _InMemory:
    """A dataset that is in memory already."""

    dataset: Dataset
    name: str = "dataset"
    size: int = 0

    def open(self) -> BinaryIO:
        return io.BytesIO(self.dataset.PixelData)


def _decoded(header: Header, wanted: frozenset[int]) -> Iterator[tuple[int, StoredPixels]]:
    layout = header.pixels
    compressed = is_compressed(layout.transfer_syntax)
    with _pixel_stream(header) as stream:
        if compressed:
            _check_fragments(stream)
        if compressed and not pydicom_can_decode(layout):
            for k, encoded in enumerate(generate_frames(stream, number_of_frames=layout.n_frames)):
                if k in wanted:
                    yield k, decode_jpeg(encoded, layout)
            return
        if compressed:
            yield from _decompressed(stream, layout, wanted)
        else:
            yield from _native(stream, layout, wanted)


def _decompressed(stream: BinaryIO, layout: PixelLayout, wanted: frozenset[int]) -> Iterator[tuple[int, StoredPixels]]:
    decoder, options = get_decoder(layout.transfer_syntax), _options(layout, layout.n_frames)
    if layout.n_frames == 1:
        yield 0, decoder.as_array(stream.read(), index=0, raw=True, validate=False, **options)[0]
        return
    for k, (pixels, _) in enumerate(decoder.iter_array(stream, raw=True, validate=False, **options)):
        if k in wanted:
            yield k, pixels


def _native(stream: BinaryIO, layout: PixelLayout, wanted: frozenset[int]) -> Iterator[tuple[int, StoredPixels]]:
    """Read frame by frame, never back: streams from archives need not be unpacked to memory."""
    decoder, options = get_decoder(layout.transfer_syntax), _options(layout, 1)
    for k in range(layout.n_frames):
        encoded = stream.read(layout.expected_bytes // layout.n_frames)
        if k in wanted:
            yield k, decoder.as_array(encoded, index=0, raw=True, validate=False, **options)[0]
    if isinstance(stream, zipfile.ZipExtFile):
        stream.read()  # to the end, where the checksum is compared


def _check_layout(header: Header) -> None:
    layout, name = header.pixels, header.file.name
    missing = decoder_issue(layout.transfer_syntax, name)
    if missing is not None:
        raise InputError(missing)
    if not layout.present or min(layout.rows, layout.columns) < 1:
        raise InputError(error("no-pixels", "it has no pixel data that could be decoded", _EXPORT, name))


def _undecodable(header: Header, failure: BaseException) -> Issue:
    """Return the error for pixels that cannot be decoded, without the text of ``failure``: it may quote the file."""
    compressed = is_compressed(header.pixels.transfer_syntax)
    code = "pixels-unreadable" if compressed else "truncated-pixels"
    fact = f"its pixel data are damaged and cannot be decoded ({type(failure).__name__})"
    return error(code, fact, _EXPORT, header.file.name)


def _pixel_stream(header: Header) -> BinaryIO:
    """Open the file at the value of its pixel data; what must be read to and fro is unpacked to memory."""
    layout = header.pixels
    if isinstance(header.file, _InMemory):
        return header.file.open()
    if layout.offset is None:
        with header.file.open() as packed:
            return io.BytesIO(dcmread(packed).PixelData)
    stream = header.file.open()
    stream.seek(layout.offset)
    if isinstance(header.file, FolderFile) or not is_compressed(layout.transfer_syntax):
        return stream
    with stream:
        return io.BytesIO(stream.read())


def _check_fragments(stream: BinaryIO) -> None:
    """Raise ValueError if the items of encapsulated pixel data (PS3.5 A.4) do not end before the file does.

    Some decoders would make up what is missing.
    """
    start = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    at = start
    while at < end:
        stream.seek(at)
        head = stream.read(8)
        if head[:4] == b"\xfe\xff\xdd\xe0":
            break
        if head[:4] != b"\xfe\xff\x00\xe0":
            raise ValueError("the compressed pixel data are not made of items")
        at += 8 + int.from_bytes(head[4:], "little")
    if at > end:
        raise ValueError("the compressed pixel data are truncated")
    stream.seek(start)


def _options(layout: PixelLayout, n_frames: int) -> dict[str, Any]:
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "number_of_frames": n_frames,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "photometric_interpretation": layout.photometric,
        "pixel_representation": int(layout.signed),
        "pixel_keyword": "PixelData",
        "pixel_vr": "OW",
        "view_only": layout.bits_allocated == layout.bits_stored,
    }


def _add(stored: StoredPixels, intercept: int, high: int, out: HuArray) -> None:
    """Write ``stored + intercept``, known to fit, to ``out``."""
    if stored.dtype == np.uint16 and high <= _INT16.max:
        stored = stored.view(np.int16)
    if stored.dtype == np.int16 and _INT16.min <= intercept <= _INT16.max:
        np.add(stored, np.int16(intercept), out=out)
    else:
        np.add(stored.astype(np.int64), intercept, out=out, casting="unsafe")


def _outside(ends: Sequence[float]) -> bool:
    return ends[0] < _INT16.min or ends[1] > _INT16.max


def _fill(out: HuArray, where: npt.NDArray[np.bool_], tally: Tally) -> None:
    tally.padding += int(np.count_nonzero(where))
    out[where] = AIR_HU


def _fill_stated(stored: StoredPixels, frame: Frame, highest: float, out: HuArray, tally: Tally) -> None:
    """Fill the padding that the header names, if it can be no tissue."""
    if frame.padding is None:
        return
    where = (stored >= frame.padding[0]) & (stored <= frame.padding[1])
    if highest <= HIGHEST_PADDING_HU:
        _fill(out, where & (out != AIR_HU), tally)
    elif where.any():
        tally.odd_padding[highest] = frame.file_name
