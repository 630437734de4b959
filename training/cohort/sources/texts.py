"""The reports of a cohort, where it has some."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from training.cohort.sources.base import Source
from training.cohort.sources.ct_rate import CtRate, report_texts
from training.cohort.sources.phantoms import PhantomCohort
from training.cohort.sources.table import GenericTable
from training.cohort.sources.tables import read_table

PHANTOM_REPORTS = "reports.csv"


def reports_of(source: Source) -> Mapping[str, str]:
    """Return the report of every case that has one, by the name of the case; raises ``InputError`` as its tables do."""
    if isinstance(source, CtRate):
        return report_texts(source.base)
    if isinstance(source, GenericTable):
        return source.reports()
    if isinstance(source, PhantomCohort) and (source.folder / PHANTOM_REPORTS).is_file():
        return _phantom_reports(source.folder / PHANTOM_REPORTS)
    return {}


def _phantom_reports(table: Path) -> dict[str, str]:
    return {row["case"]: row["report"] for row in read_table(table)[1]}
