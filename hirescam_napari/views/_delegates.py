"""How cells of the abnormality table are drawn: a bar behind the probability, a chip for the truth."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QRect, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPalette
from qtpy.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from hirescam_napari.views._theme import Tone, tone_color
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
    area = QRectF(cell).adjusted(3, 4, -3, -4)
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
    area = QRectF(cell.left() + 4.5, cell.center().y() - height / 2 + 0.5, 30, height)
    fill = QColor(color)
    fill.setAlphaF(0.18)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(color)
    painter.setBrush(fill)
    painter.drawRoundedRect(area, 4, 4)
    painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter), text)
    painter.restore()
