"""The canvas of the slice-score plot: bars, lines and a cursor in vispy, in plot units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent
from qtpy.QtWidgets import QWidget
from vispy.scene import Node, SceneCanvas
from vispy.scene.visuals import Mesh
from vispy.visuals.transforms import STTransform

FloatArray = npt.NDArray[np.float64]

FOR_COLOR = "#e8743b"
"""Bars of slice groups that speak for the abnormality."""

AGAINST_COLOR = "#4a90d9"
"""Bars of slice groups that speak against it."""

_QUAD = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
_FACES = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.uint32)
_DASHES = 24


def value_range(scores: FloatArray, mean: float | None) -> tuple[float, float]:
    """Return the limits of the score axis: zero, every score and the mean, with 8 % of room at each end."""
    known = [0.0, *scores[np.isfinite(scores)].tolist(), *([] if mean is None else [mean])]
    low, high = min(known), max(known)
    room = 0.08 * (high - low) or 1.0
    return (low - room if low < 0 else low, high + room if high > 0 or low == 0 else high)


def rectangles(
    low: FloatArray, high: FloatArray, left: FloatArray, right: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.uint32]]:
    """Return vertices [4 n, 2] and faces [2 n, 3] of n rectangles."""
    n = len(low)
    corners = np.stack([[left, low], [right, low], [right, high], [left, high]])  # [4, 2, n]
    vertices = corners.transpose(2, 0, 1).reshape(4 * n, 2)
    faces = _FACES[None] + 4 * np.arange(n, dtype=np.uint32)[:, None, None]
    return vertices, faces.reshape(2 * n, 3).astype(np.uint32)


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
    """Draws slice scores. Plot units: x runs from 0 to H (group g spans g .. g + 1), y is the score.

    Moving the cursor changes one translation; no vertex is sent to the graphics card again.

    Qt makes a new graphics context when the canvas comes into another window, as when a dock is floated. What vispy has
    put into the old context is gone then: the canvas stops drawing and calls ``on_lost``, once; the owner replaces it.
    """

    def __init__(self, parent: QWidget, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._ready = False
        self._canvas = SceneCanvas(keys=None, show=False, parent=parent, size=(320, 150), bgcolor="black")
        self.native: QWidget = self._canvas.native
        self.input = CanvasInput(self.native)
        self.native.installEventFilter(self.input)
        self._n, self._low, self._high, self._at = 1, 0.0, 1.0, 0.5
        self._plot = Node(parent=self._canvas.scene)
        self._bars = self._mesh(self._plot, 0)
        self._band, self._zero, self._mean, self._cursor = (self._strip(order) for order in (-1, 1, 2, 3))
        self._mean_at: float | None = None
        self._plot.transform = STTransform()
        self._canvas.events.resize.connect(lambda _event: self.place())
        self._canvas.events.initialize.connect(lambda _event: self._on_context())

    def close(self) -> None:
        """Free the canvas and its graphics memory."""
        self._canvas.close()

    def set_colors(self, background: QColor, ink: QColor) -> None:
        """Draw lines in ``ink`` on ``background``."""
        self._canvas.bgcolor = background.name()
        for strip, alpha in ((self._cursor, 0.95), (self._band, 0.14), (self._zero, 0.6)):
            strip.set_data(_QUAD, _FACES, color=_rgba(ink, alpha))
        left = np.arange(_DASHES, dtype=np.float64) / _DASHES
        ends = np.zeros(_DASHES), np.ones(_DASHES)
        self._mean.set_data(*rectangles(*ends, left, left + 0.55 / _DASHES), color=_rgba(ink, 0.9))

    def set_scores(self, scores: FloatArray, mean: float | None) -> tuple[float, float]:
        """Draw ``scores`` [H], the zero line and a dashed line at ``mean``; return the limits of the score axis."""
        self._n = len(scores)
        self._low, self._high = value_range(scores, mean)
        self._mean_at = mean
        self._draw_bars(np.nan_to_num(scores))
        self.place()
        return self._low, self._high

    def move_cursor(self, group: float) -> None:
        """Put the cursor on the centre of ``group`` (fractional groups allowed)."""
        self._at = group + 0.5
        self._place_cursor()

    def group_at(self, x_px: float) -> int:
        """Return the slice group under ``x_px``; the ends count for what lies beyond them."""
        return int(np.clip(np.floor(x_px / max(self._size()[0], 1.0) * self._n), 0, self._n - 1))

    def place(self) -> None:
        """Fit the plot to the present size."""
        width, height = self._size()
        y = height / (self._high - self._low)
        self._plot.transform.scale = (width / self._n, -y)
        self._plot.transform.translate = (0, self._high * y)
        self._lie(self._zero, self._high * y, 1)
        self._mean.visible = self._mean_at is not None
        self._lie(self._mean, (self._high - (self._mean_at or 0.0)) * y, 2)
        self._place_cursor()

    def render(self) -> npt.NDArray[np.uint8]:
        """Return what is drawn, RGBA [row, column, 4]."""
        return np.asarray(self._canvas.render())

    def _on_context(self) -> None:
        if self._ready:
            self._canvas.events.draw.disconnect()
            self._on_lost()
        self._ready = True

    def _size(self) -> tuple[float, float]:
        return float(self._canvas.size[0]), float(self._canvas.size[1])

    def _place_cursor(self) -> None:
        width, height = self._size()
        cell = width / self._n
        self._cursor.transform.scale = (2, height)
        self._cursor.transform.translate = (self._at * cell - 1, 0)
        self._band.transform.scale = (max(cell, 8.0), height)
        self._band.transform.translate = (self._at * cell - max(cell, 8.0) / 2, 0)

    def _draw_bars(self, scores: FloatArray) -> None:
        left = np.arange(self._n, dtype=np.float64) + 0.08
        low, high = np.minimum(scores, 0), np.maximum(scores, 0)
        vertices, faces = rectangles(low, high, left, left + 0.84)
        colors = np.where(scores[:, None] >= 0, _rgba(QColor(FOR_COLOR)), _rgba(QColor(AGAINST_COLOR)))
        self._bars.set_data(vertices, faces, vertex_colors=np.repeat(colors, 4, axis=0))

    def _lie(self, strip: Mesh, y_px: float, thick_px: int) -> None:
        """Lay a strip over the whole width, on whole pixels, so that it never falls between two rows."""
        width, height = self._size()
        strip.transform.scale = (width, thick_px)
        strip.transform.translate = (0, min(max(round(y_px - thick_px / 2), 0), height - thick_px))

    def _strip(self, order: int) -> Mesh:
        mesh = self._mesh(self._canvas.scene, order)
        mesh.transform = STTransform()
        return mesh

    def _mesh(self, parent: Node, order: int) -> Mesh:
        mesh = Mesh(vertices=_QUAD, faces=_FACES, parent=parent)
        mesh.set_gl_state("translucent", depth_test=False, cull_face=False)
        mesh.order = order
        return mesh


def _rgba(color: QColor, alpha: float = 1.0) -> tuple[float, float, float, float]:
    return (color.redF(), color.greenF(), color.blueF(), alpha)
