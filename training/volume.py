"""A CT in Hounsfield units with its geometry, what was noticed while reading it, and where it came from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry
from training.issues import Issue

AIR_HU = -1000
"""Radiodensity of air (HU); the fill value wherever a volume has no data."""


@dataclass(frozen=True)
class Provenance:
    """Where a volume came from, free of patient data.

    ``source`` is the kind of input (``"dicom"``, ``"nifti"``, ...), never a path. ``series_uid_hash`` is a salted
    hash (see :func:`training.io.privacy.hashed`). ``pixels_sha256`` covers shape, dtype and the HU in canonical order.
    """

    source: str
    series_uid_hash: str | None = None
    software: str = ""
    repairs: tuple[str, ...] = ()
    pixels_sha256: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return the provenance as plain JSON types."""
        return {**asdict(self), "repairs": list(self.repairs)}


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT.

    Parameters
    ----------
    hu
        int16, shape (slice, row, column), Hounsfield units. Canonical order: slices from head to feet, rows from
        front to back, columns from the patient's right to left.
    geometry
        Maps (slice, row, column) to patient LPS mm.
    issues
        Warnings and notes from reading.
    provenance
        Source, hashes, repairs.
    case_id
        A name that is safe to show: a salted hash unless the user asked for the original.
    inverted_display
        True for MONOCHROME1: HU are unchanged, the viewer shows them with an inverted gray scale.
    """

    hu: npt.NDArray[np.int16]
    geometry: Geometry
    issues: tuple[Issue, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance("memory"))
    case_id: str = "case"
    inverted_display: bool = False

    def __post_init__(self) -> None:
        if self.hu.dtype != np.int16:
            raise TypeError(f"hu must be int16, got {self.hu.dtype}")
        if self.hu.shape != self.geometry.shape:
            raise ValueError(f"hu has shape {self.hu.shape}, its geometry {self.geometry.shape}")

    def with_issues(self, *issues: Issue) -> Volume:
        """Return the same volume with ``issues`` appended."""
        return replace(self, issues=(*self.issues, *issues))

    def __repr__(self) -> str:
        spacing = " x ".join(f"{s:.3g}" for s in self.geometry.spacing_mm)
        return f"Volume({self.case_id}, {self.hu.shape}, {spacing} mm, {self.provenance.source})"


def pixels_sha256(hu: npt.NDArray[np.int16]) -> str:
    """Return the SHA-256 of the shape, dtype and bytes of ``hu`` (C order)."""
    digest = pixels_digest(hu)
    digest.update(np.ascontiguousarray(hu).data)
    return digest.hexdigest()


def pixels_digest(hu: npt.NDArray[np.int16]) -> hashlib._Hash:
    """Return the digest of :func:`pixels_sha256` before any voxel: for who feeds it the slices of ``hu`` one by one."""
    return hashlib.sha256(f"{hu.shape}{hu.dtype.str}".encode())
