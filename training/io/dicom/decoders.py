"""Which pixel data can be decoded here, what to install for the rest, and the decoder for JPEG beyond 8-bit baseline.

pydicom's decoders come first. JPEG lossless and 12-bit JPEG, which it can only decode with extra packages, are decoded
by the GDCM that SimpleITK brings along.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from training.io.dicom.records import PixelLayout
from training.issues import Issue, error

StoredPixels = np.ndarray[tuple[int, ...], np.dtype[np.integer]]

NATIVE = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)

JPEG_BY_ITK = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70))
"""JPEG baseline, extended (12-bit), lossless, lossless of first order."""

_INSTALL = {
    "1.2.840.10008.1.2.4.80": "pip install pyjpegls",
    "1.2.840.10008.1.2.4.81": "pip install pyjpegls",
    "1.2.840.10008.1.2.4.90": "pip install pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.91": "pip install pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.201": "pip install pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.202": "pip install pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.203": "pip install pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.5": "pip install pylibjpeg pylibjpeg-rle",
}


def is_compressed(transfer_syntax: str) -> bool:
    """Return True if pixel data of this transfer syntax are encapsulated (PS3.5 A.4)."""
    return transfer_syntax not in NATIVE


def decoder_issue(transfer_syntax: str, file: str) -> Issue | None:
    """Return why pixels of ``file`` cannot be decoded here, with the command that changes it; None if they can."""
    if transfer_syntax in NATIVE or transfer_syntax in JPEG_BY_ITK:
        return None
    name = UID(transfer_syntax).name or "an unknown one"
    try:
        available = get_decoder(transfer_syntax).is_available
    except NotImplementedError:
        fact = f"its transfer syntax ({name}) cannot be decoded"
        return error("unsupported-transfer-syntax", fact, "Convert the series to uncompressed DICOM.", file)
    if available:
        return None
    command = _INSTALL.get(transfer_syntax, "pip install pylibjpeg")
    return error(
        "decoder-missing", f"no decoder is installed for its transfer syntax ({name})", f"Run: {command}", file
    )


def pydicom_can_decode(layout: PixelLayout) -> bool:
    """Return True if one of pydicom's decoders is there for it. Of 12-bit JPEG only pylibjpeg's can be used."""
    if layout.transfer_syntax not in JPEG_BY_ITK:
        return True
    plugins = get_decoder(layout.transfer_syntax).available_plugins
    return bool(set(plugins) - ({"gdcm", "pillow"} if layout.bits_stored > 8 else set()))


def decode_jpeg(encoded: bytes, layout: PixelLayout) -> StoredPixels:
    """Return one JPEG frame as stored pixels, (row, column).

    The frame passes through a temporary file that holds nothing but it.

    Raises
    ------
    RuntimeError
        If it cannot be decoded.
    """
    import SimpleITK as sitk  # noqa: N813 - its usual name; loaded when needed, which is rare

    with tempfile.TemporaryDirectory(prefix="hirescam-") as folder:
        path = Path(folder) / "frame.dcm"
        _bare_dataset(encoded, layout).save_as(path, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        pixels: StoredPixels = sitk.GetArrayFromImage(reader.Execute())
    return pixels.reshape(layout.rows, layout.columns)


def _bare_dataset(encoded: bytes, layout: PixelLayout) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(layout.transfer_syntax)
    dataset.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    dataset.SOPInstanceUID = UID("2.25.1")
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = layout.rows, layout.columns, 1
    dataset.BitsAllocated, dataset.BitsStored = layout.bits_allocated, layout.bits_stored
    dataset.HighBit, dataset.PixelRepresentation = layout.bits_stored - 1, int(layout.signed)
    dataset.PhotometricInterpretation = layout.photometric
    dataset.PixelData = encapsulate([encoded])
    return dataset
