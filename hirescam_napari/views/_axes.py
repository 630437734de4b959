"""Axes and readout of the slice-score plot, drawn by Qt: sharp text, and no text to draw when the cursor moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from hirescam_napari.views._theme import text_color


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis; ``at`` runs from 0 (left, bottom) to 1."""

    at: float
    text: str


def nice_step(span: float, n: int) -> float:
    """Return 1, 2 or 5 times a power of ten, the smallest that cuts ``span`` into at most ``n`` steps."""
    raw = span / max(n, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw * (1 - 1e-9))


def value_ticks(low: float, high: float, n: int = 5) -> tuple[Tick, ...]:
    """Return ticks at round values between ``low`` and ``high`` (high > low)."""
    step = nice_step(high - low, n)
    decimals = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(Tick((i * step - low) / (high - low), _number(i * step, decimals)) for i in range(first, last + 1))


def _number(value: float, decimals: int) -> str:
    if decimals > 4 or abs(value) >= 1e5:
        return f"{value:.0e}".replace("-", "−")
    return f"{value:.{decimals}f}".replace("-", "−")


def slice_ticks(numbers: Sequence[float], n: int = 5) -> tuple[Tick, ...]:
    """Return ticks at round slice numbers; ``numbers`` [H] are those of the slice groups, head first, monotonic."""
    count = len(numbers)
    low, high = min(numbers), max(numbers)
    if count == 1 or low == high:
        return (Tick(0.5, f"{numbers[0]:g}"),)
    step = max(1.0, nice_step(high - low, n))
    sign = 1 if numbers[-1] > numbers[0] else -1
    ticks = []
    for i in range(math.ceil(low / step), math.floor(high / step) + 1):
        group = (i * step - numbers[0]) * sign * (count - 1) / (high - low)
        ticks.append(Tick((group + 0.5) / count, f"{i * step:g}"))
    return tuple(ticks)


class Readout(QWidget):
    """One line of text that changes often: a new text repaints this line and asks no layout for room.

    A text that is too long ends in an ellipsis and is told in full by the tooltip.
    """

    def __init__(self, parent: QWidget | None = None, bold: bool = False) -> None:
        super().__init__(parent)
        self._text = ""
        self._bold = bold
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(self.fontMetrics().height() + 4)

    def text(self) -> str:
        """Return the text that is shown."""
        return self._text

    def set_text(self, text: str) -> None:
        """Show ``text``."""
        if text != self._text:
            self._text = text
            self.setAccessibleDescription(text)
            self.setToolTip(text)
            self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw the text."""
        painter = QPainter(self)
        painter.setPen(text_color(self))
        font = painter.font()
        font.setBold(self._bold)
        painter.setFont(font)
        text = painter.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter), text)
        painter.end()


class _Axis(QWidget):
    """A strip with ticks; subclasses say along which side."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ticks: tuple[Tick, ...] = ()
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        font = self.font()
        font.setPointSizeF(max(7.5, font.pointSizeF() - 1))
        self.setFont(font)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """The ticks that are shown."""
        return self._ticks

    def set_ticks(self, ticks: Sequence[Tick]) -> None:
        """Show ``ticks``."""
        self._ticks = tuple(ticks)
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw ticks and texts."""
        painter = QPainter(self)
        painter.setPen(text_color(self))
        self._draw(painter)
        painter.end()

    def _draw(self, painter: QPainter) -> None:
        raise NotImplementedError


class ValueAxis(_Axis):
    """Scores, to the left of the canvas."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.set_ticks(())

    def set_ticks(self, ticks: Sequence[Tick]) -> None:
        """Show ``ticks`` and make room for the widest."""
        metrics = self.fontMetrics()
        widest = max((metrics.horizontalAdvance(tick.text) for tick in ticks), default=0)
        self.setFixedWidth(max(28, widest + 9))
        super().set_ticks(ticks)

    def _draw(self, painter: QPainter) -> None:
        half = self.fontMetrics().height() / 2
        right = self.width()
        for tick in self.ticks:
            y = (1 - tick.at) * (self.height() - 1)
            painter.drawLine(right - 4, round(y), right, round(y))
            top = min(max(y - half, 0.0), self.height() - 2 * half)
            painter.drawText(QRectF(0, top, right - 6, 2 * half), int(Qt.AlignmentFlag.AlignRight), tick.text)


class SliceAxis(_Axis):
    """Slice numbers under the canvas, with the ends of the patient and the axis's name in a second line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(2 * self.fontMetrics().height() + 7)

    @property
    def name(self) -> str:
        """What the axis counts."""
        return self._name

    def set_name(self, name: str) -> None:
        """Call the axis ``name``."""
        self._name = name
        self.update()

    def _draw(self, painter: QPainter) -> None:
        flags, height = Qt.AlignmentFlag, self.fontMetrics().height()
        for tick in self.ticks:
            x = tick.at * self.width()
            painter.drawLine(round(x), 0, round(x), 4)
            wide = self.fontMetrics().horizontalAdvance(tick.text) + 2.0
            left = max(0.0, min(x - wide / 2, self.width() - wide))
            painter.drawText(QRectF(left, 5, wide, height), int(flags.AlignHCenter), tick.text)
        line = QRectF(0, 5 + height, self.width(), height)
        painter.drawText(line, int(flags.AlignLeft), "head")
        painter.drawText(line, int(flags.AlignRight), "feet")
        painter.drawText(line, int(flags.AlignHCenter), self._name)
