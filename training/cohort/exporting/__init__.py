"""Everything of one case that leaves the program, in one folder: maps, masks, DICOM objects, figures, films, a report.

The folder appears complete or not at all. Nothing in it carries patient data unless asked; the unique identifiers by
which DICOM objects refer to their source images stay, because without them there is no reference.
"""

from training.cohort.exporting.export import export_case
from training.cohort.exporting.request import (
    EXPORT_FORMATS,
    GRIDS,
    ExportCase,
    ExportFormat,
    ExportRequest,
    Grid,
    check_maps,
)
from training.cohort.exporting.steps import OWN

__all__ = [
    "EXPORT_FORMATS",
    "GRIDS",
    "OWN",
    "ExportCase",
    "ExportFormat",
    "ExportRequest",
    "Grid",
    "check_maps",
    "export_case",
]
