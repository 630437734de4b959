"""How the abnormality table is drawn: a bar behind the probability, a chip for the truth, a mark for the order."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QPointF, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPalette, QPolygonF
from qtpy.QtWidgets import (
    QApplication,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionHeader,
    QStyleOptionViewItem,
    QWidget,
)

from hirescam_napari.views._theme import Tone, text_color, tone_color
from hirescam_napari.views.label_model import SORT_ROLE

_TRUTH_TONES = {"TP": Tone.GOOD, "TN": Tone.NEUTRAL, "FP": Tone.WARNING, "FN": Tone.BAD}


def _background(painter: QPainter, option: QStyleOptionViewItem) -> None:
    """Draw selection and focus as the style does, without the text."""
    option.text = ""
    style = option.widget.style() if option.widget is not None else QApplication.style()
    if style is not None:
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)


def _text_color(option: QStyleOptionViewItem) -> QColor:
    selected = bool(option.state & QStyle.StateFlag.State_Selected)
    return option.palette.color(QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text)


class RoomyDelegate(QStyledItemDelegate):
    """Text with a little room above and below, so that rows of two lines stand apart."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Return the size of the text and 8 px of height."""
        return super().sizeHint(option, index) + QSize(0, 8)


class BarDelegate(QStyledItemDelegate):
    """A number in [0, 1]: its text over a bar of that length."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one cell."""
        if painter is None:
            return
        self.initStyleOption(option, index)
        text, color = option.text, _text_color(option)
        _background(painter, option)
        _draw_bar(painter, option.rect, float(index.data(SORT_ROLE)), color)
        painter.setPen(color)
        painter.drawText(option.rect.adjusted(6, 0, -4, 0), int(Qt.AlignmentFlag.AlignVCenter), text)


def _draw_bar(painter: QPainter, cell: QRect, value: float, text: QColor) -> None:
    height = min(cell.height() - 6, painter.fontMetrics().height() + 2)
    area = QRectF(cell.left() + 3, cell.center().y() - height / 2 + 1, cell.width() - 6, height)
    track, bar = QColor(text), tone_color(Tone.NEUTRAL, text.lightness() > 127)
    track.setAlphaF(0.10)
    bar.setAlphaF(0.55)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(track)
    painter.drawRoundedRect(area, 2, 2)
    painter.setBrush(bar)
    area.setWidth(area.width() * min(1.0, max(0.0, value)))
    painter.drawRoundedRect(area, 2, 2)
    painter.restore()


class TruthDelegate(QStyledItemDelegate):
    """TP, FP, FN or TN: the letters in an outlined chip whose colour says it again; nothing where it is unknown."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one cell."""
        if painter is None:
            return
        self.initStyleOption(option, index)
        text = option.text
        color = _text_color(option)
        _background(painter, option)
        if text:
            _draw_chip(painter, option.rect, text, tone_color(_TRUTH_TONES[text], color.lightness() > 127))


def _draw_chip(painter: QPainter, cell: QRect, text: str, color: QColor) -> None:
    height = painter.fontMetrics().height() + 2
    area = QRectF(cell.left() + 3.5, cell.center().y() - height / 2 + 0.5, 30, height)
    fill = QColor(color)
    fill.setAlphaF(0.18)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(color)
    painter.setBrush(fill)
    painter.drawRoundedRect(area, 4, 4)
    painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter), text)
    painter.restore()


class SortHeader(QHeaderView):
    """A header that marks the sorted column with a small triangle at its upper edge, so that no text loses room.

    The style's own mark needs a picture in the style sheet, which napari's themes do not have.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setSectionsClickable(True)
        self.setHighlightSections(False)

    def initStyleOptionForIndex(self, option: QStyleOptionHeader | None, logical_index: int) -> None:
        """Leave the style's own mark out."""
        super().initStyleOptionForIndex(option, logical_index)
        if option is not None:
            option.sortIndicator = QStyleOptionHeader.SortIndicator.None_

    def paintSection(self, painter: QPainter | None, rect: QRect, logical_index: int) -> None:
        """Draw one column's title."""
        if painter is None:
            return
        painter.save()
        super().paintSection(painter, rect, logical_index)
        painter.restore()
        if logical_index == self.sortIndicatorSection():
            up = self.sortIndicatorOrder() == Qt.SortOrder.AscendingOrder
            _draw_triangle(painter, QPointF(rect.center().x() + 0.5, rect.top() + 1.5), up, text_color(self))


def _draw_triangle(painter: QPainter, top: QPointF, up: bool, color: QColor) -> None:
    tip, base = (0.0, 4.0) if up else (4.0, 0.0)
    points = [top + QPointF(-4, base), top + QPointF(4, base), top + QPointF(0, tip)]
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawPolygon(QPolygonF(points))
    painter.restore()
