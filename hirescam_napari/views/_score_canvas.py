"""The canvas of the slice-score plot: bars, lines and a cursor, drawn by vispy.gloo in a single call.

Everything is a rectangle with one color, so that one small program draws all of it; vispy's scene graph would spend
about 2 ms on each visual (software OpenGL), which is felt when the plot follows every slice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent
from qtpy.QtWidgets import QWidget
from vispy import app, gloo

FloatArray = npt.NDArray[np.float64]

FOR_COLOR = "#e8743b"
"""Bars of slice groups that speak for the abnormality."""

AGAINST_COLOR = "#4a90d9"
"""Bars of slice groups that speak against it."""

WITH_COLOR, WITHOUT_COLOR = "#ffb27f", "#8ec5ff"
"""Bands of the cases of a cohort that have the abnormality, and of those that have not: the paper's orange and blue."""

_DASHES = 24

Rgba = tuple[float, float, float, float]

_VERTEX = """
uniform vec2 u_size;
attribute vec2 a_position;
attribute vec4 a_color;
varying vec4 v_color;
void main() {
    v_color = a_color;
    gl_Position = vec4(2.0 * a_position.x / u_size.x - 1.0, 1.0 - 2.0 * a_position.y / u_size.y, 0.0, 1.0);
}
"""
_FRAGMENT = """
varying vec4 v_color;
void main() { gl_FragColor = v_color; }
"""
_VERTEX_TYPE = np.dtype([("a_position", np.float32, 2), ("a_color", np.float32, 4)])


class Band(NamedTuple):
    """Mean slice score of some cases and the ends of its band, float64 [H] each; NaN where there is none."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    color: str


def value_range(scores: FloatArray, mean: float | None, bands: Sequence[Band] = ()) -> tuple[float, float]:
    """Return the limits of the score axis: zero, every score, the mean and the bands, with 8 % of room at each end."""
    values = np.concatenate([scores, *(curve for band in bands for curve in band[:3])])
    known = [0.0, *values[np.isfinite(values)].tolist(), *([] if mean is None else [mean])]
    low, high = min(known), max(known)
    room = 0.08 * (high - low) or 1.0
    return (low - room if low < 0 else low, high + room if high > 0 or low == 0 else high)


def corners(
    top: float | FloatArray, bottom: float | FloatArray, left: float | FloatArray, right: float | FloatArray
) -> FloatArray:
    """Return the corners [6 n, 2] (x, y) of two triangles for each of n rectangles."""
    x0, x1, y0, y1 = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, float)) for v in (left, right, top, bottom)))
    triangles = np.stack([[x0, y0], [x1, y0], [x1, y1], [x0, y0], [x1, y1], [x0, y1]])  # [6, 2, n]
    return np.asarray(triangles.transpose(2, 0, 1).reshape(-1, 2))


class CanvasInput(QObject):
    """Turns clicks and drags with the left button into ``pressedAt(x_px)``; vispy sees no mouse.

    It searches its scene for what lies under the mouse at every event. The wheel is left to what lies around the
    canvas. Signals are all it needs of itself: Qt may ask it while Python takes it apart.
    """

    pressedAt = Signal(float)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Handle one event of the canvas."""
        if isinstance(event, QMouseEvent):
            self._on_mouse(event)
            return True
        if event is not None and event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def _on_mouse(self, event: QMouseEvent) -> None:
        left = Qt.MouseButton.LeftButton
        pressed = event.type() == QEvent.Type.MouseButtonPress and event.button() == left
        dragged = event.type() == QEvent.Type.MouseMove and bool(event.buttons() & left)
        if pressed or dragged:
            self.pressedAt.emit(event.position().x())


class ScoreCanvas:
    """Draws slice scores. Group g spans x = g .. g + 1 of H over the whole width; all rectangles are in px.

    Qt makes a new graphics context when the canvas comes into another window, as when a dock is floated. What vispy has
    put into the old context is gone then: the canvas stops drawing and calls ``on_lost``, once; the owner replaces it.
    """

    def __init__(self, parent: QWidget, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._ready = False
        self._canvas = app.Canvas(keys=None, show=False, parent=parent, size=(320, 150))
        self.native: QWidget = self._canvas.native
        self.input = CanvasInput(self.native)
        self.native.installEventFilter(self.input)
        self._scores: FloatArray = np.zeros(1)
        self._low, self._high, self._at = 0.0, 1.0, 0.5
        self._mean_at: float | None = None
        self._bands: Sequence[Band] = ()
        self._background, self._ink = QColor("black"), QColor("white")
        self._program = gloo.Program(_VERTEX, _FRAGMENT)
        self._vertices = gloo.VertexBuffer()
        self._stale = True
        self._canvas.events.resize.connect(lambda _event: self.place())
        self._canvas.events.draw.connect(lambda _event: self._draw())
        self._canvas.events.initialize.connect(lambda _event: self._on_context())

    def close(self) -> None:
        """Free the canvas and its graphics memory."""
        self._canvas.close()

    def set_colors(self, background: QColor, ink: QColor) -> None:
        """Draw lines in ``ink`` on ``background``."""
        self._background, self._ink = QColor(background), QColor(ink)
        self.place()

    def set_scores(self, scores: FloatArray, mean: float | None, bands: Sequence[Band] = ()) -> tuple[float, float]:
        """Draw ``scores`` [H], zero, a dashed line at ``mean`` and ``bands``; return the limits of the score axis."""
        self._scores = np.nan_to_num(np.asarray(scores, dtype=np.float64))
        self._low, self._high = value_range(scores, mean, bands)
        self._mean_at, self._bands = mean, bands
        self.place()
        return self._low, self._high

    def move_cursor(self, group: float) -> None:
        """Put the cursor on the centre of ``group`` (fractional groups allowed)."""
        self._at = group + 0.5
        self.place()

    def group_at(self, x_px: float) -> int:
        """Return the slice group under ``x_px``; the ends count for what lies beyond them."""
        return int(np.clip(np.floor(x_px / max(self._size()[0], 1.0) * self._n), 0, self._n - 1))

    def place(self) -> None:
        """Draw again, at the present size."""
        self._stale = True
        self._canvas.update()

    def render(self) -> npt.NDArray[np.uint8]:
        """Return what is drawn, RGBA [row, column, 4]."""
        self._canvas.set_current()
        columns, rows = self._canvas.physical_size
        with gloo.FrameBuffer(gloo.RenderBuffer((rows, columns))) as buffer:
            self._draw()
            return np.asarray(buffer.read())

    def _draw(self) -> None:
        if self._stale:
            self._vertices.set_data(self._triangles())
            self._program.bind(self._vertices)
            self._program["u_size"] = self._size()
            self._stale = False
        gloo.set_viewport(0, 0, *self._canvas.physical_size)
        gloo.set_state("translucent", depth_test=False, cull_face=False)
        gloo.clear(color=_rgba(self._background), depth=False)
        self._program.draw("triangles")

    def _on_context(self) -> None:
        if self._ready:
            self._canvas.events.draw.disconnect()
            self._on_lost()
        self._ready = True

    def _size(self) -> tuple[float, float]:
        return float(self._canvas.size[0]), float(self._canvas.size[1])

    @property
    def _n(self) -> int:
        return len(self._scores)

    def _triangles(self) -> npt.NDArray[np.void]:
        """Return the vertices of all triangles, in painting order, [3 x number of triangles]."""
        spans = [self._span(band) for band in self._bands]
        means = [self._curve(band) for band in self._bands]
        parts = [self._band(), *spans, self._bars(), self._zero(), *means, self._mean(), self._cursor()]
        data = np.empty(sum(len(vertices) for vertices, _ in parts), dtype=_VERTEX_TYPE)
        data["a_position"] = np.concatenate([vertices for vertices, _ in parts])
        data["a_color"] = np.concatenate([np.broadcast_to(colors, (len(v), 4)) for v, colors in parts])
        return data

    def _y(self, score: float | FloatArray) -> FloatArray:
        """Return where ``score`` stands, px from the top."""
        return np.asarray((self._high - np.asarray(score)) * self._size()[1] / (self._high - self._low))

    def _band(self) -> tuple[FloatArray, FloatArray]:
        """Return the light band behind the cursor: one slice group, at least 8 px."""
        width, height = self._size()
        cell = width / self._n
        wide = max(cell, 8.0)
        left = self._at * cell - wide / 2
        return corners(0.0, height, left, left + wide), np.array(_rgba(self._ink, 0.14))

    def _span(self, band: Band) -> tuple[FloatArray, FloatArray]:
        """Return the band of some cases: one rectangle a slice group, at least 2 px high."""
        known = np.flatnonzero(np.isfinite(band.low + band.high))
        top, bottom = self._y(band.high[known]), self._y(band.low[known])
        thin = np.maximum(2.0 - (bottom - top), 0.0) / 2
        return self._cells(known, top - thin, bottom + thin), np.array(_rgba(QColor(band.color), 0.35))

    def _curve(self, band: Band) -> tuple[FloatArray, FloatArray]:
        """Return the mean of some cases: a short line a slice group, in front of the bars."""
        known = np.flatnonzero(np.isfinite(band.mean))
        middle = self._y(band.mean[known])
        return self._cells(known, middle - 1, middle + 1), np.array(_rgba(QColor(band.color), 0.95))

    def _cells(self, groups: npt.NDArray[np.intp], top: FloatArray, bottom: FloatArray) -> FloatArray:
        """Return rectangles as wide as a slice group."""
        cell = self._size()[0] / self._n
        left = np.asarray(groups * cell, dtype=np.float64)
        return corners(top, bottom, left, left + cell)

    def _cursor(self) -> tuple[FloatArray, FloatArray]:
        width, height = self._size()
        left = self._at * width / self._n - 1
        return corners(0.0, height, left, left + 2), np.array(_rgba(self._ink, 0.95))

    def _bars(self) -> tuple[FloatArray, FloatArray]:
        cell = self._size()[0] / self._n
        left = (np.arange(self._n, dtype=np.float64) + 0.08) * cell
        top, bottom = self._y(np.maximum(self._scores, 0)), self._y(np.minimum(self._scores, 0))
        alpha = 0.75 if self._bands else 1.0  # so that the bands behind are seen
        speaks_for, against = _rgba(QColor(FOR_COLOR), alpha), _rgba(QColor(AGAINST_COLOR), alpha)
        colors = np.where(self._scores[:, None] >= 0, speaks_for, against)
        return corners(top, bottom, left, left + 0.84 * cell), np.repeat(colors, 6, axis=0)

    def _zero(self) -> tuple[FloatArray, FloatArray]:
        top = self._row(float(self._y(0.0)), 1)
        return corners(top, top + 1, 0.0, self._size()[0]), np.array(_rgba(self._ink, 0.6))

    def _mean(self) -> tuple[FloatArray, FloatArray]:
        """Return the dashes at the mean; none without one."""
        color = np.array(_rgba(self._ink, 0.9))
        if self._mean_at is None:
            return np.zeros((0, 2)), color
        top = self._row(float(self._y(self._mean_at)), 2)
        left = np.arange(_DASHES, dtype=np.float64) / _DASHES * self._size()[0]
        return corners(top, top + 2, left, left + 0.55 / _DASHES * self._size()[0]), color

    def _row(self, y_px: float, thick_px: int) -> float:
        """Return the top of a line at ``y_px``, on whole pixels, so that it never falls between two rows."""
        return float(min(max(round(y_px - thick_px / 2), 0), self._size()[1] - thick_px))


def _rgba(color: QColor, alpha: float = 1.0) -> Rgba:
    return (color.redF(), color.greenF(), color.blueF(), alpha)
