"""The report of an audit as PDF: the same numbers as the page, one prediction a sheet."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluate.audit.pages import SECTIONS, TITLE, columns_of
from training.evaluate.audit.report import Report, Shown, findings
from training.evaluate.html import number
from training.evaluate.reader_words import head_words
from training.evaluate.rows import INTENDED_USE, Row, plain
from training.evaluate.tables import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

A4_INCHES = (8.27, 11.69)
_LINES, _COLUMNS = 66, 92
_HEAD = 12
"""Heads of columns of numbers are broken into lines of at most that many characters."""

_SETTINGS: Any = {"text.parse_math": False, "font.size": 9, "pdf.fonttype": 42}


def write_pdf(path: Path, report: Report) -> None:
    """Write ``report`` as PDF to ``path``."""
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import PdfPages

    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's own settings are
        mpl.rcParams.update(_SETTINGS)
        with PdfPages(path, metadata={"Title": TITLE, "Creator": None, "Producer": None, "CreationDate": None}) as pdf:
            sheets = [*map(_text_sheet, _sheets(report))]
            total = len(sheets) + len(report.shown)
            for page, figure in enumerate(chain(sheets, map(_picture_sheet, report.shown)), 1):
                figure.text(0.95, 0.02, f"{page} of {total}", ha="right", fontsize=7.6)
                pdf.savefig(figure)


def _sheets(report: Report) -> Iterator[list[str]]:
    """Yield the lines of each sheet of text."""
    blocks = [[TITLE, INTENDED_USE, ""]]
    for words in findings(report.summary):
        blocks[0] += [*_wrapped(words), ""]
    blocks[0] += [line for note in report.notes for line in _wrapped(note, "- ")]
    for name, rows in report.summary.tables().items():
        title, words, _ = SECTIONS[name]
        blocks.append(["", title, *_wrapped(words), "", *table_lines([*map(readable, rows)], columns_of(name, rows))])
    sheet: list[str] = []
    for block in blocks:
        if sheet and len(sheet) + min(len(block), 12) > _LINES:
            yield sheet
            sheet = []
        for line in block:
            if len(sheet) == _LINES:
                yield sheet
                sheet = []
            sheet.append(line)
    yield sheet


def _wrapped(text: str, mark: str = "") -> list[str]:
    return textwrap.wrap(text, _COLUMNS, initial_indent=mark, subsequent_indent=" " * len(mark))


def table_lines(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Return a table as lines of text in columns; an interval stands in brackets behind its number."""
    cells = [*_heads(columns), *([_cell(plain(row), column) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _heads(columns: Sequence[str]) -> list[list[str]]:
    """Return the heads as on the page, in as many lines as the longest takes, set to the foot."""
    heads = [textwrap.wrap(head_words(column), _HEAD) for column in columns]
    most = max(map(len, heads))
    padded = [[""] * (most - len(head)) + head for head in heads]
    return [list(line) for line in zip(*padded, strict=True)]


def _cell(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None:
        return "n/a"
    if isinstance(value, str):
        return value if len(value) <= 30 else f"{value[:29]}…"
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    interval = "" if low is None or high is None else f" ({low:.2f}-{high:.2f})"
    return f"{number(value)}{interval}"


def _text_sheet(lines: Sequence[str]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=A4_INCHES)
    figure.text(0.07, 0.95, "\n".join(lines), va="top", family="DejaVu Sans Mono", fontsize=7.6, linespacing=1.35)
    return figure


def _picture_sheet(one: Shown) -> Figure:
    from matplotlib.figure import Figure

    pixels = one.picture.figure.pixels()
    figure = Figure(figsize=(A4_INCHES[1], A4_INCHES[0]))
    axes = figure.add_axes((0.04, 0.27, 0.92, 0.68))
    axes.imshow(np.asarray(pixels))
    axes.set_axis_off()
    lines = [line for text in one.lines for line in textwrap.wrap(text, 150)]
    figure.text(0.04, 0.24, one.title, va="top", fontsize=11, fontweight="bold")
    figure.text(0.04, 0.2, "\n".join([*lines, INTENDED_USE]), va="top", fontsize=8.5)
    return figure
