"""The abnormality table without a window: rows, columns, sorting and filtering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QSortFilterProxyModel, Qt

from hirescam_napari.views._words import NOT_AVAILABLE, percent, times_mean

Truth = Literal["TP", "FP", "FN", "TN"]

TRUTH_WORDS: dict[str, str] = {
    "TP": "true positive: predicted, and present",
    "FP": "false positive: predicted, but absent",
    "FN": "false negative: not predicted, but present",
    "TN": "true negative: not predicted, and absent",
}


@dataclass(frozen=True)
class LabelRow:
    """One abnormality of one case.

    Parameters
    ----------
    name
        Key of the label (the paper's spelling); what signals carry.
    display
        What a reader sees.
    region
        Organ group, for example ``"lung"``.
    probability
        In [0, 1].
    ratio
        Probability over the model's mean probability for this label; None if that is unknown.
    top_slice
        CT slice number, counted as the viewer counts, of the highest slice score; None without scores.
    truth
        Whether the prediction is right; None if the truth is unknown.
    """

    name: str
    display: str
    region: str
    probability: float
    ratio: float | None = None
    top_slice: int | None = None
    truth: Truth | None = None


class Column(IntEnum):
    """Columns of the table."""

    ABNORMALITY = 0
    GROUP = 1
    PROBABILITY = 2
    RATIO = 3
    TOP_SLICE = 4
    TRUTH = 5


_HEADERS: dict[Column, tuple[str, str]] = {
    Column.ABNORMALITY: ("Abnormality", "What the model looks for"),
    Column.GROUP: ("Group", "The organ it belongs to"),
    Column.PROBABILITY: ("Prob.", "Probability: what the model says for this CT"),
    Column.RATIO: ("× mean", "Probability over the model's mean probability for this abnormality"),
    Column.TOP_SLICE: ("Slice", "Top slice: the CT slice with the highest slice score"),
    Column.TRUTH: ("Truth", "TP, FP, FN or TN, where the truth is known"),
}
_NUMBERS = (Column.PROBABILITY, Column.RATIO, Column.TOP_SLICE)
_TRUTH_ORDER = {truth: rank for rank, truth in enumerate(TRUTH_WORDS)}

SORT_ROLE = int(Qt.ItemDataRole.UserRole)
"""Value to sort by: text, number, or None for unknown, which always comes last."""


def column_text(row: LabelRow, column: Column) -> str:
    """Return what a cell says."""
    if column is Column.ABNORMALITY:
        return row.display
    if column is Column.GROUP:
        return row.region
    if column is Column.PROBABILITY:
        return percent(row.probability)
    if column is Column.RATIO:
        return times_mean(row.ratio)
    if column is Column.TOP_SLICE:
        return NOT_AVAILABLE if row.top_slice is None else str(row.top_slice)
    return row.truth or ""


def sort_value(row: LabelRow, column: Column) -> str | float | None:
    """Return what a cell is sorted by."""
    if column is Column.ABNORMALITY:
        return row.display.casefold()
    if column is Column.GROUP:
        return row.region.casefold()
    if column is Column.PROBABILITY:
        return row.probability
    if column is Column.RATIO:
        return row.ratio
    if column is Column.TOP_SLICE:
        return row.top_slice
    return None if row.truth is None else float(_TRUTH_ORDER[row.truth])


def tooltip(row: LabelRow, column: Column) -> str:
    """Return a sentence about a cell."""
    if column is Column.TRUTH and row.truth is not None:
        return f"{row.truth}: {TRUTH_WORDS[row.truth]}"
    if column is Column.RATIO:
        known = f"{times_mean(row.ratio)} the model's mean for this abnormality"
        return known if row.ratio is not None else "the model's mean for this abnormality is unknown"
    return f"{row.display}: {percent(row.probability)}"


class LabelModel(QAbstractTableModel):
    """Rows of the table; replaced as a whole."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[LabelRow, ...] = ()

    @property
    def rows(self) -> tuple[LabelRow, ...]:
        """The rows in the order given."""
        return self._rows

    def set_rows(self, rows: Sequence[LabelRow]) -> None:
        """Replace all rows.

        Raises
        ------
        ValueError
            If two rows have the same name.
        """
        names = [row.name for row in rows]
        if len(set(names)) != len(names):
            raise ValueError("two rows of the abnormality table have the same name")
        self.beginResetModel()
        self._rows = tuple(rows)
        self.endResetModel()

    def row_of(self, name: str) -> int | None:
        """Return the row called ``name``, None if there is none."""
        return next((i for i, row in enumerate(self._rows) if row.name == name), None)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the count of rows."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the count of columns."""
        return 0 if parent is not None and parent.isValid() else len(Column)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return text, tooltip, alignment or sort value of a cell."""
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], Column(index.column())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return column_text(row, column)
        if role == SORT_ROLE:
            return sort_value(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return title, tooltip and first sort order of a column: numbers start with the largest."""
        if orientation != Qt.Orientation.Horizontal or section not in Column.__members__.values():
            return None
        column = Column(section)
        if role == Qt.ItemDataRole.DisplayRole:
            return _HEADERS[column][0]
        if role == Qt.ItemDataRole.ToolTipRole:
            return _HEADERS[column][1]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == Qt.ItemDataRole.InitialSortOrderRole:
            return Qt.SortOrder.DescendingOrder if column in _NUMBERS else Qt.SortOrder.AscendingOrder
        return None


def _alignment(column: Column) -> Qt.AlignmentFlag:
    if column in (Column.RATIO, Column.TOP_SLICE):
        return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class LabelFilter(QSortFilterProxyModel):
    """Sorts numbers as numbers with unknown values last; shows rows that hold every word and belong to the group."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words: tuple[str, ...] = ()
        self._region: str | None = None
        self.setSortRole(SORT_ROLE)

    def set_filter(self, text: str, region: str | None) -> None:
        """Show rows whose name, display name or region holds every word of ``text``; ``region`` None means all."""
        self._words = tuple(text.casefold().split())
        self._region = region
        self.invalidateFilter()

    def filterAcceptsRow(self, source_row: int, _source_parent: QModelIndex) -> bool:
        """Return True if the row is shown."""
        row = self._source().rows[source_row]
        if self._region is not None and row.region != self._region:
            return False
        text = f"{row.display} {row.name} {row.region}".casefold()
        return all(word in text for word in self._words)

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        """Return True if ``left`` sorts before ``right``; unknown values are last in either order."""
        a, b = (index.data(SORT_ROLE) for index in (left, right))
        ascending = self.sortOrder() == Qt.SortOrder.AscendingOrder
        if a is None or b is None:
            return a is not b and (b is None) == ascending
        return bool(a < b)

    def row_at(self, index: QModelIndex) -> LabelRow | None:
        """Return the row behind a cell of this proxy."""
        source = self.mapToSource(index)
        return self._source().rows[source.row()] if source.isValid() else None

    def index_of(self, name: str) -> QModelIndex:
        """Return the first cell of the row called ``name``; invalid if it is filtered out or unknown."""
        row = self._source().row_of(name)
        return QModelIndex() if row is None else self.mapFromSource(self._source().index(row, 0))

    def _source(self) -> LabelModel:
        source = self.sourceModel()
        if not isinstance(source, LabelModel):
            raise TypeError("LabelFilter needs a LabelModel as its source")
        return source
