"""Choose what is compared: methods, models, placements, cases; lists to choose from, progress, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from hirescam_napari.views._layout import WrappedLabel, combo_box, fill_combo, stacked
from hirescam_napari.views._table_keys import KeysGoOn

Mode = Literal["methods", "models", "placements", "cases"]
MODES: tuple[tuple[Mode, str], ...] = (
    ("methods", "HiResCAM and Grad-CAM"),
    ("models", "Two models"),
    ("placements", "Two placements"),
    ("cases", "Cases of a cohort"),
)
_ABOUT = {
    "methods": "Ranked by how far Grad-CAM shows the wrong organ and HiResCAM the right one (reverse: below 0).",
    "models": "Both maps end at one shared maximum. Probabilities are also given as ratios to each model's own mean.",
    "placements": "The same map where its cells look, and stretched over the slice as the paper draws it.",
    "cases": "The selected abnormality over many cases, the top slice of each, on one shared scale.",
}
_DISAGREE = 2
"""Column of the list of cases."""

_ORDERS = (("probability", "Highest probability"), ("disagreement", "Methods disagree most"))


@dataclass(frozen=True)
class SheetChoice:
    """Which cases a contact sheet shows."""

    order: Literal["probability", "disagreement"] = "probability"
    count: int = 12
    with_cts: bool = True


class RankTable(QTableWidget):
    """Rows of words; emits ``rowChosen(int)`` when one is clicked or reached by the arrow keys."""

    rowChosen = Signal(int)

    def __init__(self, name: str, head: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(0, len(head), parent)
        self.setAccessibleName(name)
        self.setHorizontalHeaderLabels(list(head))
        self._set_headers(len(head))
        KeysGoOn(self)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.currentCellChanged.connect(self._on_cell)

    def _set_headers(self, columns: int) -> None:
        across, down = self.horizontalHeader(), self.verticalHeader()
        if across is None or down is None:
            raise RuntimeError("a table always has headers")
        down.hide()
        across.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(1, columns):
            across.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)

    def set_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Show ``rows`` in place of what was there; nothing is chosen."""
        blocked = self.blockSignals(True)
        self.setRowCount(len(rows))
        for r, row in enumerate(rows):
            for c, text in enumerate(row):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if c:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(r, c, item)
        self.setCurrentCell(-1, -1)
        self.blockSignals(blocked)

    def texts(self) -> list[list[str]]:
        """Return what is shown."""
        items = [[self.item(r, c) for c in range(self.columnCount())] for r in range(self.rowCount())]
        return [[item.text() if item is not None else "" for item in row] for row in items]

    def _on_cell(self, row: int, _column: int, before: int, _before_column: int) -> None:
        if row >= 0 and row != before:
            self.rowChosen.emit(row)


class ComparePanel(QWidget):
    """What is compared and with what. Emits wishes and leaves the work to others."""

    modeChanged = Signal(str)
    startRequested = Signal()
    """Show the comparison in the viewer."""
    stopRequested = Signal()
    """Back to the single view."""
    rankCohortRequested = Signal()
    runModelRequested = Signal(str)
    openModelRequested = Signal()
    openResultRequested = Signal()
    openStoreRequested = Signal()
    sheetRequested = Signal(object)
    saveSheetRequested = Signal()
    cancelRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Compare")
        self.mode, self.about = combo_box("What is compared", self), WrappedLabel("", self)
        self.show_button, self.back_button = QPushButton("Show", self), QPushButton("Back", self)
        self.pages = QStackedWidget(self)
        self.labels = RankTable("Disagreement", ("Abnormality", "Disagree", "HiRes right", "Grad wrong"), self)
        self.cohort = RankTable("Disagreement in the cohort", ("Case · abnormality", "Disagree"), self)
        self.models = RankTable("Two models", ("Abnormality", "First", "Second"), self)
        self.cases = RankTable("Cases", ("Case", "Probability", "Disagree", ""), self)
        self.second, self.run_button = combo_box("Second model", self), QPushButton("Run", self)
        self.budgets = RankTable("Score budgets", ("For, against", "First", "Second"), self)
        self.budget_words, self.shift = WrappedLabel("", self), WrappedLabel("", self)
        self.order, self.count = combo_box("Order of the cases", self), QSpinBox(self)
        self.with_cts = QCheckBox("With their CTs (seconds each)", self)
        self.methods_words, self.store_words = WrappedLabel("", self), WrappedLabel("No cohort is open.", self)
        self.progress, self.cancel_button = QProgressBar(self), QPushButton("Cancel", self)
        self.status = WrappedLabel("", self)
        self._comparing = self._running = self._ready = False
        self._lay_out()
        self._connect()
        self._update()

    @property
    def chosen_mode(self) -> Mode:
        """What is compared now."""
        return self.mode.currentData()  # type: ignore[no-any-return]

    def set_mode(self, mode: Mode) -> None:
        """Choose what is compared."""
        self.mode.setCurrentIndex(self.mode.findData(mode))

    @property
    def sheet_choice(self) -> SheetChoice:
        """Which cases are wanted on the sheet."""
        return SheetChoice(self.order.currentData(), self.count.value(), self.with_cts.isChecked())

    def set_models(self, models: Sequence[tuple[str, str]]) -> None:
        """Offer second models as (value, text) pairs."""
        fill_combo(self.second, models)

    def set_ready(self, ready: bool) -> None:
        """Say whether there is anything to compare now."""
        self._ready = ready
        self._update()

    def set_comparing(self, comparing: bool) -> None:
        """Say whether the viewer shows a comparison."""
        self._comparing = comparing
        self._update()

    def set_running(self, running: bool) -> None:
        """Show that work has begun or ended."""
        self._running = running
        self.progress.setRange(0, 0 if running else 1)
        self._update()

    def set_progress(self, done: int, total: int, stage: str) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        self.progress.setRange(0, max(total, 0))
        self.progress.setValue(done)
        self.status.setText(f"{stage[:1].upper()}{stage[1:]} …")

    def show_cases(self, rows: Sequence[Sequence[str]], with_disagreement: bool) -> None:
        """List the cases of a sheet: case, probability, disagreement of the methods, outcome."""
        self.cases.set_rows(rows)
        self.cases.setColumnHidden(_DISAGREE, not with_disagreement)

    def set_status(self, text: str) -> None:
        """Say how things stand."""
        self.status.setText(text)

    def _lay_out(self) -> None:
        fill_combo(self.mode, MODES)
        fill_combo(self.order, _ORDERS)
        self.count.setRange(1, 60)
        self.count.setValue(12)
        self.count.setAccessibleName("How many cases")
        self.with_cts.setChecked(True)
        self.progress.setAccessibleName("Progress of the comparison")
        self.rank_button, self.store_button = QPushButton("Rank a cohort…", self), QPushButton("Open cohort…", self)
        self.file_button, self.result_button = QPushButton("Checkpoint…", self), QPushButton("Stored result…", self)
        self.sheet_button, self.save_button = QPushButton("Make the sheet", self), QPushButton("Save sheet…", self)
        for page in (
            stacked(self.methods_words, self.labels, self.rank_button, self.cohort, stretch=0),
            stacked(
                _row(self.second, self.run_button),
                _row(self.file_button, self.result_button),
                self.models,
                self.budgets,
                self.budget_words,
                stretch=0,
            ),
            stacked(self.shift, stretch=0),
            stacked(
                _row(self.store_button, self.store_words),
                _row(self.order, self.count),
                self.with_cts,
                _row(self.sheet_button, self.save_button),
                self.cases,
                stretch=0,
            ),
        ):
            self.pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        for part in (
            self.mode,
            self.about,
            _row(self.show_button, self.back_button),
            self.pages,
            _row(self.progress, self.cancel_button),
            self.status,
        ):
            layout.addWidget(part)
        layout.setStretchFactor(self.pages, 1)

    def _connect(self) -> None:
        self.mode.currentIndexChanged.connect(self._on_mode)
        for button, signal in (
            (self.show_button, self.startRequested),
            (self.back_button, self.stopRequested),
            (self.rank_button, self.rankCohortRequested),
            (self.file_button, self.openModelRequested),
            (self.result_button, self.openResultRequested),
            (self.store_button, self.openStoreRequested),
            (self.save_button, self.saveSheetRequested),
            (self.cancel_button, self.cancelRequested),
        ):
            button.clicked.connect(signal)
        self.run_button.clicked.connect(lambda: self.runModelRequested.emit(str(self.second.currentData())))
        self.sheet_button.clicked.connect(lambda: self.sheetRequested.emit(self.sheet_choice))

    def _on_mode(self) -> None:
        self._update()
        self.modeChanged.emit(self.chosen_mode)

    def _update(self) -> None:
        self.pages.setCurrentIndex(self.mode.currentIndex())
        self.about.setText(_ABOUT[self.chosen_mode])
        self.show_button.setEnabled(self._ready and not self._comparing)
        self.back_button.setEnabled(self._comparing)
        self.progress.setVisible(self._running)
        self.cancel_button.setVisible(self._running)
        for button in (self.rank_button, self.run_button, self.file_button, self.result_button, self.sheet_button):
            button.setEnabled(not self._running)


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget, 1 if widget is widgets[0] else 0)
    return row
