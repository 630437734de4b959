"""Rows of results: mappings of plain JSON types, and how they are written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Row = Mapping[str, Any]
Rows = tuple[Row, ...]

INTENDED_USE = "Research only, not for clinical use."


def plain(row: Row) -> dict[str, Any]:
    """Return a row with numpy numbers as Python's and NaN as None; an infinite number is refused by JSON itself."""
    return {key: _plain(value) for key, value in row.items()}


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value


def to_csv(rows: Iterable[Row], columns: Iterable[str] = ()) -> str:
    """Return rows as CSV; the columns are those of all rows, in the order of their first appearance.

    Text that a spreadsheet would run as a formula gets an apostrophe before it. ``columns`` come first and stand in the
    header line even if there are no rows.
    """
    table = [plain(row) for row in rows]
    stream = io.StringIO()
    names = list(dict.fromkeys([*columns, *(key for row in table for key in row)]))
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{key: _cell(value) for key, value in row.items()} for row in table])
    return stream.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
