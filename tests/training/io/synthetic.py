"""Tiny DICOM CT series for tests: make the datasets, spoil them, save them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

PATIENT = "Recognisable^Name"
PATIENT_ID = "ID-4711-SECRET"
SHAPE = (6, 16, 20)
SPACING = (2.5, 0.7, 0.9)
ORIGIN = (-10.0, -20.0, -30.0)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def phantom(shape: Sequence[int] = SHAPE, seed: int = 0) -> np.ndarray:
    """HU, int16, (slice foot to head, row, column): noisy air around noisy soft tissue."""
    hu = np.random.default_rng(seed).integers(-1000, -850, shape)
    _, rows, columns = shape
    body = hu[:, rows // 4 : -(rows // 4), columns // 4 : -(columns // 4)]
    body[...] = np.random.default_rng(seed + 1).integers(-100, 200, body.shape)
    return hu.astype(np.int16)


def smooth(shape: Sequence[int] = SHAPE) -> np.ndarray:
    """HU, int16, linear along the slices: whatever is interpolated between two slices is known."""
    k, r, c = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    return (-1000 + 10 * k + r + 2 * c).astype(np.int16)


def positions(
    n: int, step: float = SPACING[0], origin: Sequence[float] = ORIGIN, orientation: Sequence[float] = AXIAL
) -> np.ndarray:
    """LPS positions of ``n`` slices along the normal."""
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(origin) + np.arange(n)[:, None] * step * normal


def make_series(
    hu: np.ndarray | None = None,
    at: np.ndarray | None = None,
    orientation: Sequence[float] = AXIAL,
    pixel_spacing: Sequence[float] = SPACING[1:],
    intercept: int = -1024,
    **elements: object,
) -> list[Dataset]:
    """One dataset per slice. ``elements`` set further elements by keyword in all of them."""
    hu = phantom() if hu is None else hu
    at = positions(len(hu), orientation=orientation) if at is None else at
    common = {
        "SeriesInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(),
        **elements,
    }
    return [_slice(k, hu[k], at[k], orientation, pixel_spacing, intercept, common) for k in range(len(hu))]


def _slice(
    k: int,
    hu: np.ndarray,
    at: Sequence[float],
    orientation: Sequence[float],
    pixel_spacing: Sequence[float],
    intercept: int,
    common: dict[str, object],
) -> Dataset:
    ds = _ct_dataset(CTImageStorage)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.InstanceNumber = k + 1
    ds.ImagePositionPatient = [_ds(v) for v in at]
    ds.ImageOrientationPatient = [_ds(v) for v in orientation]
    ds.PixelSpacing = [_ds(v) for v in pixel_spacing]
    ds.RescaleSlope, ds.RescaleIntercept = 1, intercept
    for keyword, value in common.items():
        setattr(ds, keyword, value)
    set_hu(ds, hu)
    return ds


def _ds(value: float) -> str:
    return f"{value:.9g}"


def _ct_dataset(sop_class: UID) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.Modality = "CT"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = PATIENT, PATIENT_ID, "19700101"
    ds.SeriesNumber, ds.SeriesDescription = 3, "CHEST"
    return ds


def set_hu(ds: Dataset, hu: np.ndarray, signed: bool = False) -> None:
    """Store ``hu`` in ``ds`` by its own rescale intercept."""
    stored = hu.astype(np.int32) - int(ds.get("RescaleIntercept", 0))
    set_stored(ds, stored, signed)


def set_stored(ds: Dataset, stored: np.ndarray, signed: bool = False) -> None:
    """Store pixels, 16 bits, uncompressed."""
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, ds.get("PhotometricInterpretation", "MONOCHROME2")
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, int(signed)
    ds.PixelData = stored.astype("<i2" if signed else "<u2").tobytes()


def make_enhanced(hu: np.ndarray | None = None, order: Sequence[int] | None = None, intercept: int = -1024) -> Dataset:
    """One enhanced CT; frames in ``order`` of the slices."""
    hu = phantom() if hu is None else hu
    order = range(len(hu)) if order is None else order
    ds = _ct_dataset(EnhancedCTImageStorage)
    ds.SeriesInstanceUID, ds.FrameOfReferenceUID = generate_uid(), generate_uid()
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.NumberOfFrames = len(hu)
    ds.SharedFunctionalGroupsSequence = Items(
        [
            _item(
                PixelMeasuresSequence=_item(PixelSpacing=list(SPACING[1:]), SliceThickness=SPACING[0]),
                PlaneOrientationSequence=_item(ImageOrientationPatient=list(AXIAL)),
                PixelValueTransformationSequence=_item(RescaleSlope=1, RescaleIntercept=intercept, RescaleType="HU"),
            )
        ]
    )
    at = positions(len(hu))
    ds.PerFrameFunctionalGroupsSequence = Items(
        [_item(PlanePositionSequence=_item(ImagePositionPatient=[_ds(v) for v in at[k]])) for k in order]
    )
    ds.RescaleIntercept = intercept
    set_hu(ds, hu[list(order)])
    del ds.RescaleIntercept
    return ds


def _item(**elements: object) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, Items([value]) if isinstance(value, Dataset) else value)
    return ds


def save(folder: Path, series: Iterable[Dataset], prefix: str = "im") -> Path:
    """Write each dataset to a file of ``folder``; names count in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, ds in enumerate(series):
        ds.save_as(folder / f"{prefix}{k:03d}.dcm", enforce_file_format=True)
    return folder


def canonical(hu: np.ndarray) -> np.ndarray:
    """What reading an axial phantom gives: slices head to feet."""
    return hu[::-1]
