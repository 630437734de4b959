"""The score budget: where in the patient a score came from, as two bars and as a table that adds up to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from hirescam_napari.views._layout import WrappedLabel
from hirescam_napari.views._theme import text_color
from hirescam_napari.views._words import percent

COLORS = ("#8a919c", "#4fd08a", "#f5d94e", "#a0652d", "#e8502e", "#5f6670")
"""Bias, allowed organ, other organs, rest of the body, outside the body, not in the map; the table names each.

None is an organ's on the canvas (blue, violet, pink); the allowed organ is green, as the line around its region."""

_COLUMNS = ("Where", "For", "Against", "Sum")
_EXACT = 1e-5
"""Relative difference up to which the parts count as the score; the rest is rounding of the network's own sums."""


@dataclass(frozen=True)
class BudgetRow:
    """One part of a score, score units: ``positive`` is at least 0, ``negative`` at most 0."""

    name: str
    positive: float
    negative: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.positive + self.negative


@dataclass(frozen=True)
class Budget:
    """What the panel shows of one abnormality.

    Parameters
    ----------
    label
        Its display name.
    allowed
        What the organ where it may lie is called, for example ``"lungs"``.
    score
        As the network computed it, before the sigmoid.
    bias
        What no cell of the map carries.
    places
        Four rows: allowed organ, other organs, rest of the body, outside the body.
    """

    label: str
    allowed: str
    score: float
    bias: float
    places: tuple[BudgetRow, ...]

    @property
    def unexplained(self) -> float:
        """What the parts miss the score by: rounding where the map carries the guarantee."""
        return self.score - self.bias - sum(row.total for row in self.places)

    @property
    def is_exact(self) -> bool:
        """True if what is missed is rounding."""
        scale = abs(self.bias) + sum(row.positive - row.negative for row in self.places)
        return abs(self.unexplained) <= _EXACT * max(scale, 1e-6)

    def rows(self) -> tuple[BudgetRow, ...]:
        """Return all parts: bias, places, and what is not in the map where that is more than rounding."""
        rest = () if self.is_exact else (_one_sided("not in the map", self.unexplained),)
        return (_one_sided("bias", self.bias), *self.places, *rest)


def _one_sided(name: str, value: float) -> BudgetRow:
    return BudgetRow(name, max(value, 0.0), min(value, 0.0))


class BudgetBars(QWidget):
    """Evidence for (upper bar) and against (lower bar), cut by place, from a common zero; a line marks the score."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Score budget, picture")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._budget: Budget | None = None

    def set_budget(self, budget: Budget | None) -> None:
        """Show ``budget``."""
        self._budget = budget
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for two bars and two lines of text."""
        return QSize(240, 2 * self.fontMetrics().height() + 34)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw the bars."""
        if self._budget is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _Drawing(painter, self.rect().toRectF(), self._budget, text_color(self)).draw()
        painter.end()


class _Drawing:
    """One painting of the bars."""

    def __init__(self, painter: QPainter, area: QRectF, budget: Budget, ink: QColor) -> None:
        self.painter, self.budget, self.ink = painter, budget, ink
        self.rows = budget.rows()
        self.low = min(sum(row.negative for row in self.rows), budget.score, 0.0)
        self.high = max(sum(row.positive for row in self.rows), budget.score, 0.0)
        self.area = area.adjusted(8, 0, -8, 0)
        self.line = float(painter.fontMetrics().height())

    def x(self, value: float) -> float:
        span = self.high - self.low
        return self.area.left() + (self.area.width() * (value - self.low) / span if span > 0 else 0.0)

    def draw(self) -> None:
        top = self.line + 2
        self._stack([row.positive for row in self.rows], top)
        self._stack([row.negative for row in self.rows], top + 16)
        self._mark(0.0, "0", top, Qt.PenStyle.SolidLine, below=True)
        words = f"score {number(self.budget.score, 2)}"
        self._mark(self.budget.score, words, top, Qt.PenStyle.DashLine, below=False)

    def _stack(self, parts: Sequence[float], y: float) -> None:
        at = 0.0
        for value, color in zip(parts, COLORS, strict=False):
            if value:
                left, right = sorted((self.x(at), self.x(at + value)))
                self.painter.fillRect(QRectF(left, y, right - left, 14.0), QColor(color))
                at += value

    def _mark(self, value: float, words: str, top: float, style: Qt.PenStyle, below: bool) -> None:
        x = self.x(value)
        self.painter.setPen(QPen(self.ink, 2.0 if below is False else 1.0, style))
        self.painter.drawLine(QPointF(x, top - 2), QPointF(x, top + 32))
        width = self.painter.fontMetrics().horizontalAdvance(words) + 4.0
        left = min(max(x - width / 2, self.area.left() - 6), self.area.right() + 6 - width)
        place = QRectF(left, top + 32 if below else top - self.line - 2, width, self.line)
        self.painter.setPen(self.ink)
        self.painter.drawText(place, int(Qt.AlignmentFlag.AlignCenter), words)


class BudgetPanel(QWidget):
    """Bars, table and one sentence; before there is a budget, why there is none and a button that may help."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Score budget")
        self._budget: Budget | None = None
        self.headline, self.footnote = WrappedLabel("", self), WrappedLabel("", self)
        self.bars, self.table = BudgetBars(self), _table(self)
        self.button = QPushButton("Find the organs", self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.setSpacing(2)
        for widget in (self.headline, self.bars, self.table, self.footnote):
            layout.addWidget(widget)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addStretch(1)
        self.set_message("")

    @property
    def budget(self) -> Budget | None:
        """What is shown."""
        return self._budget

    def set_budget(self, budget: Budget) -> None:
        """Show ``budget``."""
        first = self._budget is None
        self._budget = budget
        self.headline.setText(headline(budget))
        self.bars.set_budget(budget)
        self._fill(budget)
        self.footnote.setText(footnote(budget))
        if first:
            self._show(True)
            self.button.hide()

    def set_message(self, text: str, button: str = "") -> None:
        """Show no budget but why not, and a button called ``button`` if that is not empty."""
        self._budget = None
        self.headline.setText(text)
        self.bars.set_budget(None)
        self._show(False)
        self.button.setText(button or self.button.text())
        self.button.setVisible(bool(button))

    def _show(self, shown: bool) -> None:
        for widget in (self.bars, self.table, self.footnote):
            widget.setVisible(shown)

    def _fill(self, budget: Budget) -> None:
        rows = budget.rows()
        decimals = decimals_for(rows)
        parts = [(r.name, *(number(value, decimals) for value in (r.positive, r.negative, r.total))) for r in rows[1:]]
        bias, score = number(budget.bias, decimals), number(budget.score, decimals)
        lines = [("bias", "", "", bias), *parts, ("score", "", "", score)]
        if self.table.rowCount() != len(lines):
            self._resize(len(lines))
        for i, line in enumerate(lines):
            for column, text in enumerate(line):
                self._write(i, column, text)

    def _write(self, row: int, column: int, text: str) -> None:
        item = self.table.item(row, column)
        if item is not None and item.text() != text:
            item.setText(text)

    def _resize(self, count: int) -> None:
        self.table.setRowCount(count)
        for row in range(count):
            for column in range(len(_COLUMNS)):
                self.table.setItem(row, column, _cell(column, row, count))
        _fit(self.table)


def headline(budget: Budget) -> str:
    """Return in one sentence how much of the evidence for an abnormality lies where it may be."""
    evidence = sum(row.positive for row in budget.places)
    if evidence <= 0:
        return "No cell of the map speaks for it."
    share = percent(budget.places[0].positive / evidence)
    return f"{share} of the evidence for it lies in the {budget.allowed}."


def footnote(budget: Budget) -> str:
    """Return whether the parts are the score."""
    if budget.is_exact:
        return f"Adds up to the score exactly (rounding {abs(budget.unexplained):.0e})."
    return "The map of this model need not add up to the score; what it leaves out has a row of its own."


def decimals_for(rows: Sequence[BudgetRow]) -> int:
    """Return how many decimal places give the largest part three or four digits."""
    largest = max(max(row.positive, -row.negative) for row in rows)
    return next((n for n, limit in ((1, 100.0), (2, 10.0), (3, 0.1)) if largest >= limit), 5)


def number(value: float, decimals: int) -> str:
    """Return ``value`` with its sign (a true minus) and that many decimal places; 0 has no sign."""
    text = f"{value:+.{decimals}f}".replace("-", "−")
    return text[1:] if float(text.replace("−", "-")) == 0 else text


def _table(parent: QWidget) -> QTableWidget:
    table = QTableWidget(0, len(_COLUMNS), parent)
    table.setAccessibleName("Score budget, table")
    table.setHorizontalHeaderLabels(_COLUMNS)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setShowGrid(False)
    table.setMinimumWidth(120)
    down, across = table.verticalHeader(), table.horizontalHeader()
    if down is not None and across is not None:
        down.hide()
        down.setDefaultSectionSize(table.fontMetrics().height() + 2)
        down.setMinimumSectionSize(10)
        across.setHighlightSections(False)
        across.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        across.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    width = table.fontMetrics().horizontalAdvance("−000.00") + 8
    for column in range(1, len(_COLUMNS)):
        table.setColumnWidth(column, width)
    return table


def _cell(column: int, row: int, count: int) -> QTableWidgetItem:
    item = QTableWidgetItem("")
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    if column:
        item.setTextAlignment(right)
    elif row < count - 1:
        item.setIcon(_swatch(COLORS[row]))
    if row == count - 1:
        font = item.font()
        font.setBold(True)
        item.setFont(font)
    return item


def _swatch(color: str) -> QIcon:
    pixmap = QPixmap(12, 12)
    pixmap.fill(QColor(color))
    return QIcon(pixmap)


def _fit(table: QTableWidget) -> None:
    down, across = table.verticalHeader(), table.horizontalHeader()
    if down is not None and across is not None:
        table.setFixedHeight(down.length() + across.sizeHint().height() + 4)
