"""DICOM CT series: from a folder, a zip archive or an enhanced multi-frame file."""

from training.io.dicom.listing import list_series
from training.io.dicom.pixels import decode_hu
from training.io.dicom.read import read_dicom

__all__ = ["decode_hu", "list_series", "read_dicom"]
