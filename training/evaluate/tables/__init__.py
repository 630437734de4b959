"""Results as rows, and rows as CSV, JSON and one HTML page.

A row is a mapping of plain JSON types; what does not apply is None: null in JSON, empty in CSV, "n/a" on the page.
Cases are only counted, never named.
"""

from training.evaluate.tables.evaluation import SCHEMA, SCHEMA_VERSION, Evaluation
from training.evaluate.tables.folder import BANDS_FILE, JSON_FILE, PAGE_FILE, check_free, write_evaluation
from training.evaluate.tables.maps import LESION_AVERAGE, ORGAN_MEASURES, lesion_rows, organ_rows, pair_comparison_rows
from training.evaluate.tables.predictions import (
    band_rows,
    calibration_rows,
    classification_rows,
    prediction_comparison_rows,
    summary_rows,
)
from training.evaluate.tables.readers import readable, with_display_name

__all__ = [
    "BANDS_FILE",
    "JSON_FILE",
    "LESION_AVERAGE",
    "ORGAN_MEASURES",
    "PAGE_FILE",
    "SCHEMA",
    "SCHEMA_VERSION",
    "Evaluation",
    "band_rows",
    "calibration_rows",
    "check_free",
    "classification_rows",
    "lesion_rows",
    "organ_rows",
    "pair_comparison_rows",
    "prediction_comparison_rows",
    "readable",
    "summary_rows",
    "with_display_name",
    "write_evaluation",
]
