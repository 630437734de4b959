"""The abnormality table: sort, filter, and choose one of the labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from qtpy.QtCore import QItemSelectionModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from hirescam_napari.views._delegates import BarDelegate, RoomyDelegate, SortHeader, TruthDelegate
from hirescam_napari.views._layout import combo_box
from hirescam_napari.views._table_keys import KeysGoOn
from hirescam_napari.views.label_model import Column, LabelFilter, LabelModel, LabelRow
from training.words import counted

_WIDTHS_PX = {Column.GROUP: 89, Column.PROBABILITY: 62, Column.RATIO: 50, Column.TOP_SLICE: 38, Column.TRUTH: 37}
_ALL_GROUPS = "All groups"


class FilterLine(QLineEdit):
    """A line for words; its up and down arrows move through ``view``."""

    def __init__(self, view: QTableView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self.setPlaceholderText("Filter abnormalities")
        self.setClearButtonEnabled(True)
        self.setAccessibleName("Filter abnormalities by text")

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Pass arrows on to the table."""
        if event is not None and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            QApplication.sendEvent(self._view, event)
        else:
            super().keyPressEvent(event)


class LabelTable(QWidget):
    """All abnormalities of a case. Emits ``labelSelected(name)`` once when the user chooses another one.

    The chosen label stays chosen while rows are replaced, sorted or filtered, even while it is filtered out.
    """

    labelSelected = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Abnormality table")
        self._selected: str | None = None
        self._quiet = False
        self._model = LabelModel(self)
        self._filter = LabelFilter(self)
        self._filter.setSourceModel(self._model)
        self.view = _table_view(self, self._filter)
        self._selection = self.view.selectionModel()  # kept: to wrap it anew takes Qt's bindings milliseconds
        self.search = FilterLine(self.view, self)
        self.groups = _group_combo(self)
        self.count = QLabel(self)
        self.count.setAccessibleName("Number of abnormalities shown")
        self._lay_out()
        self._connect()

    @property
    def selected(self) -> str | None:
        """Name of the chosen label; None before the first choice."""
        return self._selected

    def set_rows(self, rows: Sequence[LabelRow]) -> None:
        """Show ``rows``; sorting, filters and the chosen label stay. Columns about which nothing is known are hidden.

        Raises
        ------
        ValueError
            If two rows have the same name.
        """
        with self._silence():
            self._model.set_rows(rows)
            self._set_groups(rows)
            if self._selected is not None and self._model.row_of(self._selected) is None:
                self._selected = None
            self.view.setColumnHidden(Column.TRUTH, all(row.truth is None for row in rows))
        self._apply_filter()

    def select(self, name: str) -> None:
        """Choose the label called ``name`` without emitting a signal.

        Raises
        ------
        KeyError
            If no row has this name.
        """
        if self._model.row_of(name) is None:
            raise KeyError(f"the table has no row called {name!r}")
        self._selected = name
        self._restore()

    def shown(self) -> tuple[str, ...]:
        """Return the names of the rows as they are shown, top to bottom."""
        rows = (self._filter.row_at(self._filter.index(i, 0)) for i in range(self._filter.rowCount()))
        return tuple(row.name for row in rows if row is not None)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.search, 3)
        top.addWidget(self.groups, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 4, 2, 4)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.count)

    def _connect(self) -> None:
        self.search.textChanged.connect(self._apply_filter)
        self.groups.currentIndexChanged.connect(self._apply_filter)
        if self._selection is not None:
            self._selection.currentRowChanged.connect(self._on_current)

    def _set_groups(self, rows: Sequence[LabelRow]) -> None:
        chosen = self.groups.currentData()
        self.groups.blockSignals(True)
        self.groups.clear()
        self.groups.addItem(_ALL_GROUPS, None)
        for region in dict.fromkeys(row.region for row in rows):
            self.groups.addItem(region[:1].upper() + region[1:], region)
        self.groups.setCurrentIndex(max(0, self.groups.findData(chosen)))
        self.groups.blockSignals(False)

    def _apply_filter(self) -> None:
        with self._silence():
            self._filter.set_filter(self.search.text(), self.groups.currentData())
        self._restore()
        shown, known = self._filter.rowCount(), len(self._model.rows)
        every = counted(known, "abnormality")
        self.count.setText(every if shown == known else f"{shown} of {every}")

    def _on_current(self, current: QModelIndex, _previous: QModelIndex) -> None:
        row = self._filter.row_at(current)
        if self._quiet or row is None or row.name == self._selected:
            return
        self._selected = row.name
        self.labelSelected.emit(row.name)

    def _restore(self) -> None:
        """Mark the chosen label in the view, or nothing if it is filtered out."""
        index = QModelIndex() if self._selected is None else self._filter.index_of(self._selected)
        flags = QItemSelectionModel.SelectionFlag
        if self._selection is None:
            return
        how = flags.ClearAndSelect | flags.Rows if index.isValid() else flags.Clear
        with self._silence():
            self._selection.setCurrentIndex(index, how)
        if index.isValid():
            self.view.scrollTo(index)

    @contextmanager
    def _silence(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before


def _group_combo(parent: QWidget) -> QComboBox:
    combo = combo_box("Filter abnormalities by organ group", parent)
    combo.addItem(_ALL_GROUPS, None)
    return combo


def _table_view(parent: QWidget, model: LabelFilter) -> QTableView:
    view = QTableView(parent)
    view.setHorizontalHeader(SortHeader(view))
    view.setModel(model)
    view.setAccessibleName("Abnormalities")
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setTabKeyNavigation(False)
    KeysGoOn(view)
    view.setShowGrid(False)
    view.setWordWrap(True)
    view.setItemDelegate(RoomyDelegate(view))
    view.setItemDelegateForColumn(Column.PROBABILITY, BarDelegate(view))
    view.setItemDelegateForColumn(Column.TRUTH, TruthDelegate(view))
    view.setMinimumSize(260, 160)
    _headers(view)
    view.setSortingEnabled(True)
    view.sortByColumn(Column.PROBABILITY, Qt.SortOrder.DescendingOrder)
    return view


def _headers(view: QTableView) -> None:
    rows, columns = view.verticalHeader(), view.horizontalHeader()
    if rows is None or columns is None:
        return
    rows.hide()
    rows.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    rows.setMinimumSectionSize(24)
    columns.setMinimumSectionSize(36)
    columns.setFixedHeight(columns.fontMetrics().height() + 12)
    columns.setSectionResizeMode(Column.ABNORMALITY, QHeaderView.ResizeMode.Stretch)
    for column, width in _WIDTHS_PX.items():
        columns.resizeSection(column, width)
