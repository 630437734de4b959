"""The list of predictions to look at; however long it is, only the rows in view cost anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qtpy.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QVBoxLayout, QWidget

from hirescam_napari.views._table_keys import KeysGoOn
from hirescam_napari.views._words import percent

HEADS = ("", "Abnormality", "Prob.", "Case", "Verdict")
WIDTHS_PX = (26, 82, 60, 60, 88)
CASE = HEADS.index("Case")
"""The column that takes what room is left."""

SHORT = {
    "right organ, wrong finding": "wrong finding",
    "plausible, label wrong": "label wrong",
    "image problem": "image",
}
"""Verdicts that are too long for their column; the whole one is the tip."""


@dataclass(frozen=True)
class QueueRow:
    """One prediction: outcome (TP, FP, FN, TN), label as shown, probability, case, and this reviewer's verdict."""

    outcome: str
    label: str
    probability: float
    case: str
    verdict: str = ""

    def texts(self) -> tuple[str, ...]:
        """Return the cells."""
        return (*self.tips()[:-1], SHORT.get(self.verdict, self.verdict))

    def tips(self) -> tuple[str, ...]:
        """Return the cells in full."""
        return (self.outcome, self.label, percent(self.probability), self.case, self.verdict)


class QueueModel(QAbstractTableModel):
    """Rows that are made when they come into view."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._length = 0
        self._row_of: Callable[[int], QueueRow] = lambda _row: QueueRow("", "", 0.0, "")

    def set_rows(self, length: int, row_of: Callable[[int], QueueRow]) -> None:
        """Show ``length`` rows."""
        self.beginResetModel()
        self._length, self._row_of = length, row_of
        self.endResetModel()

    def refresh(self, row: int) -> None:
        """Make one row again."""
        self.dataChanged.emit(self.index(row, 0), self.index(row, len(HEADS) - 1))

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """Return the number of rows."""
        return 0 if parent.isValid() else self._length

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """Return the number of columns."""
        return 0 if parent.isValid() else len(HEADS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        """Return the text of a cell."""
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._row_of(index.row()).tips()[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._row_of(index.row()).texts()[index.column()]
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> str | int | None:
        """Return the names of the columns and the numbers of the rows."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return HEADS[section] if orientation == Qt.Orientation.Horizontal else section + 1


class AuditQueue(QWidget):
    """The list. Emits ``rowChosen(row)`` when the user chooses another row."""

    rowChosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Predictions to judge")
        self.model, self.view = QueueModel(self), QTableView(self)
        self._quiet = False
        self._prepare()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)

    def set_rows(self, length: int, row_of: Callable[[int], QueueRow]) -> None:
        """Show other rows; none is chosen."""
        self._quiet = True
        self.model.set_rows(length, row_of)
        self._quiet = False

    def select(self, row: int) -> None:
        """Show ``row`` as chosen, without a signal."""
        self._quiet = True
        chosen = self.view.selectionModel()
        if chosen is not None:
            flags = QItemSelectionModel.SelectionFlag
            chosen.setCurrentIndex(self.model.index(row, 0), flags.ClearAndSelect | flags.Rows)
        self.view.scrollTo(self.model.index(row, 0))
        self._quiet = False

    def texts(self, row: int) -> Sequence[str]:
        """Return the cells of a row as shown."""
        return [self.model.data(self.model.index(row, column)) or "" for column in range(len(HEADS))]

    def _prepare(self) -> None:
        view = self.view
        view.setAccessibleName("Predictions to judge")
        view.setModel(self.model)
        KeysGoOn(view)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setWordWrap(False)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setShowGrid(False)
        head, side = view.horizontalHeader(), view.verticalHeader()
        if head is None or side is None:
            raise RuntimeError("a table without headers")
        for column, width in enumerate(WIDTHS_PX):
            view.setColumnWidth(column, width)
        head.setStretchLastSection(False)
        head.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        head.setSectionResizeMode(CASE, QHeaderView.ResizeMode.Stretch)
        side.setDefaultSectionSize(20)
        side.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        side.hide()
        chosen = view.selectionModel()
        if chosen is not None:
            chosen.currentRowChanged.connect(self._on_row)

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if not self._quiet and current.isValid():
            self.rowChosen.emit(current.row())
