"""Radiology reports that a user attaches to a case: a text file, or a row of a CSV."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from training.cohort.labelling import read_reports
from training.issues import InputError, error
from training.partition.reports.labels import ReportLabels, label_report

REPORT_FILES = "Reports (*.txt *.csv);;All files (*)"
LARGEST_BYTES = 1_000_000
"""A report is a few KB; a text file larger than this is something else."""


class Report(NamedTuple):
    """One report: the case its row names (empty for a text file) and its text."""

    case: str
    text: str


def reports_in(path: Path) -> tuple[Report, ...]:
    """Return the reports of a file: all rows of a CSV (columns as for ``label-reports``), one of a text file.

    Raises
    ------
    InputError
        Not readable, empty, too large, or a CSV without the columns.
    """
    if path.suffix.lower() == ".csv":
        return tuple(Report(case, text) for case, text in read_reports(path))
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(error("not-a-report", "is too large for a report", "Choose a text file.", path.name))
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        fact = f"cannot be read ({type(problem).__name__})"
        raise InputError(error("report-unreadable", fact, "Save it as UTF-8 text.", path.name)) from problem
    if not text.strip():
        raise InputError(error("report-empty", "holds no text", "Choose another file.", path.name))
    return (Report("", text),)


def report_of(reports: tuple[Report, ...], names: tuple[str, ...]) -> Report | None:
    """Return the report that belongs to a case: the only one, or the one whose row bears one of the case's names.

    None if there are several and none, or more than one, fits.
    """
    if len(reports) == 1:
        return reports[0]
    wanted = {_plain(name) for name in names if name}
    found = [report for report in reports if _plain(report.case) in wanted]
    return found[0] if len(found) == 1 else None


def names_of(paths: tuple[Path, ...], case_id: str) -> tuple[str, ...]:
    """Return what a report's row may call a case: its id, and names of its files or folders without endings."""
    return (case_id, *(path.name for path in paths))


def _plain(name: str) -> str:
    return Path(name).name.split(".")[0].strip().lower()


def labelled(report: Report) -> ReportLabels:
    """Return the report with its labels; line ends are made those that Qt counts."""
    return label_report("\n".join(report.text.splitlines()))
