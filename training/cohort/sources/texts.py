"""The report of a case, where its source has reports."""

from __future__ import annotations

from training.cohort.sources.base import Record, Source


def report_of(source: Source, record: Record) -> str | None:
    """Return the text of the report that belongs to ``record``; None if its source has none."""
    reader = getattr(source, "report", None)
    text: str | None = None if reader is None else reader(record)
    return text
