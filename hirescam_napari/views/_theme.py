"""Colours and symbols that read on a dark and on a light background; drawn, so that no font has to hold them."""

from __future__ import annotations

from enum import StrEnum

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPalette, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QWidget


class Tone(StrEnum):
    """What a colour says. A text or a symbol always says it as well."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    NEUTRAL = "neutral"


_ON_DARK = {Tone.GOOD: "#63c58a", Tone.WARNING: "#f0b642", Tone.BAD: "#ff8a80", Tone.NEUTRAL: "#8fb8e8"}
_ON_LIGHT = {Tone.GOOD: "#1b6e3c", Tone.WARNING: "#8a5a00", Tone.BAD: "#b3261e", Tone.NEUTRAL: "#2c5fa0"}

_CHECK = ((0.28, 0.53), (0.44, 0.69), (0.73, 0.34))
_CROSS = ((0.33, 0.33), (0.67, 0.67)), ((0.67, 0.33), (0.33, 0.67))
_TRIANGLE = ((0.5, 0.06), (0.97, 0.92), (0.03, 0.92))


def text_color(widget: QWidget) -> QColor:
    """Return the colour in which ``widget`` writes text, style sheets included."""
    widget.ensurePolished()
    return widget.palette().color(QPalette.ColorRole.WindowText)


def is_dark(widget: QWidget) -> bool:
    """Return True if ``widget`` shows light text on a dark background."""
    return text_color(widget).lightness() > 127


def tone_color(tone: Tone, dark: bool) -> QColor:
    """Return the colour of ``tone`` with a contrast of at least 4.5 : 1 on napari's dark or light background."""
    return QColor((_ON_DARK if dark else _ON_LIGHT)[tone])


def symbol(tone: Tone, dark: bool, size: int = 16) -> QPixmap:
    """Return a ``size`` x ``size`` px symbol: check (good), triangle (warning), cross (bad), letter i (neutral)."""
    pixmap = QPixmap(QSize(2 * size, 2 * size))
    pixmap.setDevicePixelRatio(2)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size, size)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(tone_color(tone, dark))
    _fill(painter, tone)
    painter.setPen(_pen(QColor("#1c1d22") if dark else QColor("white")))
    _strokes(painter, tone)
    painter.end()
    return pixmap


def _pen(color: QColor) -> QPen:
    return QPen(color, 0.12, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)


def _polygon(points: tuple[tuple[float, float], ...]) -> QPolygonF:
    return QPolygonF([QPointF(x, y) for x, y in points])


def _fill(painter: QPainter, tone: Tone) -> None:
    if tone is Tone.WARNING:
        painter.drawPolygon(_polygon(_TRIANGLE))
    else:
        painter.drawEllipse(QRectF(0.03, 0.03, 0.94, 0.94))


def _strokes(painter: QPainter, tone: Tone) -> None:
    if tone is Tone.GOOD:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(_polygon(_CHECK))
    elif tone is Tone.BAD:
        for start, end in _CROSS:
            painter.drawLine(QPointF(*start), QPointF(*end))
    elif tone is Tone.WARNING:
        painter.drawLine(QPointF(0.5, 0.38), QPointF(0.5, 0.6))
        painter.drawPoint(QPointF(0.5, 0.78))
    else:
        painter.drawLine(QPointF(0.5, 0.48), QPointF(0.5, 0.74))
        painter.drawPoint(QPointF(0.5, 0.27))
