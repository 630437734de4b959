"""CSV tables, and faults in them counted rather than repeated: one issue a kind, with its first ten rows."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from training.cohort.sources.base import FloatArray
from training.io.regular import check_not_special
from training.issues import InputError, Issue, Severity, error

SHOWN = 10
"""Rows or names that an issue lists before it only counts."""

MAX_CELL_CHARS = 16_000_000
"""Longest cell of a table that is read: far above any report, far below what fills the memory."""

csv.field_size_limit(MAX_CELL_CHARS)  # one limit for the whole process, set here alone; Python's own is 131,072

Row = Mapping[str, str]
_VALUES = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "": np.nan}


def read_table(path: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Return the columns and the rows of a CSV (UTF-8); cells that a short row lacks are empty.

    Raises
    ------
    InputError
        Nothing there; not readable as UTF-8; no header; a column named twice; a row with more cells than the header; a
        quote that is never closed.
    """
    rows = []
    with opened(path) as stream:
        reader = csv.DictReader(stream, strict=True)
        columns = checked_columns(reader.fieldnames, path)
        for row in reader:
            if None in row:
                fact = f"has more cells in line {reader.line_num} than columns in its header"
                raise InputError(error("ragged-table", fact, "Put cells that hold commas into quotes.", path.name))
            rows.append({key: (value or "").strip() for key, value in row.items()})
    return columns, rows


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a table for reading; what goes wrong with the file becomes an ``InputError`` that names it."""
    try:
        check_not_special(path)
        with path.open(newline="", encoding="utf-8-sig") as stream:
            yield stream
    except OSError as failure:
        fact = f"cannot be read ({failure.strerror})"
        raise InputError(error("no-table", fact, "Check the path.", path.name)) from failure
    except UnicodeDecodeError as failure:
        raise InputError(error("not-csv", "is not text in UTF-8", "Save it as CSV in UTF-8.", path.name)) from failure
    except csv.Error as failure:
        if "field limit" in str(failure):
            fact = f"has a cell of more than {MAX_CELL_CHARS:,} characters"
            way_out = "Close every quote; if all are closed, shorten that cell."
            raise InputError(error("cell-too-long", fact, way_out, path.name)) from failure
        way_out = "Close every quote, and save it as CSV in UTF-8."
        raise InputError(error("not-csv", f"is not a CSV ({failure})", way_out, path.name)) from failure


def checked_columns(names: Sequence[str] | None, path: Path) -> tuple[str, ...]:
    """Return the column names; raises ``InputError`` if there are none or one occurs twice."""
    columns = tuple(names or ())
    if not columns:
        raise InputError(error("no-columns", "is empty", "Give a CSV with a header.", path.name))
    twice = sorted({name for name in columns if columns.count(name) > 1}) if len(set(columns)) < len(columns) else []
    if twice:
        fact = f"names columns twice: {first(twice)}"
        raise InputError(error("duplicate-columns", fact, "Keep one of each.", path.name))
    return columns


def check_one_column_each(labels: Iterable[str], path: Path) -> None:
    """Refuse a table with two columns for one label: nobody could say which of them is right.

    Parameters
    ----------
    labels
        What every column means, in one spelling (:func:`training.labels.paper_name`).

    Raises
    ------
    InputError
        Naming the labels.
    """
    twice = sorted(name for name, count in Counter(labels).items() if count > 1)
    if twice:
        fact = f"has several columns for one label: {first(twice)}"
        raise InputError(error("duplicate-columns", fact, "Keep one of each.", path.name))


def first(names: Iterable[object]) -> str:
    """Return the first ten of ``names`` as text, and how many more there are."""
    listed = [str(name) for name in names]
    rest = len(listed) - SHOWN
    return ", ".join(listed[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


@dataclass
class Faults:
    """Collects faults by kind; every kind becomes one issue with a count and the first ten places."""

    file: str
    _found: dict[tuple[str, Severity, str, str], list[str]] = field(default_factory=dict)

    def add(self, code: str, fact: str, way_out: str, place: object, severity: Severity = Severity.ERROR) -> None:
        """Note one fault; ``fact`` is a clause that goes with every place of its kind."""
        self._found.setdefault((code, severity, fact, way_out), []).append(str(place))

    def issues(self) -> tuple[Issue, ...]:
        """Return one issue for each kind."""
        return tuple(
            Issue(code, severity, f"{fact} ({len(places)}): {first(places)}", way_out, self.file)
            for (code, severity, fact, way_out), places in self._found.items()
        )


def targets_of(row: Row, labels: Sequence[str], number: int, faults: Faults) -> FloatArray:
    """Return the ground truth of a row, float32 (M,); an empty cell is NaN; anything but 0 and 1 is noted."""
    values = np.full(len(labels), np.nan, dtype=np.float32)
    for index, name in enumerate(labels):
        text = row.get(name, "").lower()
        if text in _VALUES:
            values[index] = _VALUES[text]
        else:
            place = f"row {number}, {name}: {text[:20]!r}"
            faults.add("bad-value", "values are neither 0 nor 1 nor empty", "Correct them.", place)
    return values


def note_duplicates(names: Iterable[tuple[int, str]], shown: bool, faults: Faults) -> None:
    """Note every (row number, name) whose name came before; names themselves only where they may be shown."""
    seen: dict[str, int] = {}
    for number, name in names:
        if name in seen:
            place = f"row {number} repeats row {seen[name]}" + (f" ({name})" if shown else "")
            faults.add("duplicate-id", "cases are named more than once", "Keep one row a case.", place)
        seen.setdefault(name, number)


def numbered(rows: Iterable[Row]) -> Iterator[tuple[int, Row]]:
    """Yield rows with their line in the file: the header is line 1."""
    yield from enumerate(rows, start=2)
