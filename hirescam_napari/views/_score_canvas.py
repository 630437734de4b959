"""The canvas of the slice-score plot: bars, lines and a cursor in vispy, in plot units."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtGui import QColor
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


def rectangles(low: FloatArray, high: FloatArray, left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return vertices [4 n, 2] and faces [2 n, 3] of n rectangles."""
    n = len(low)
    corners = np.stack([[left, low], [right, low], [right, high], [left, high]])  # [4, 2, n]
    vertices = corners.transpose(2, 0, 1).reshape(4 * n, 2)
    faces = _FACES[None] + 4 * np.arange(n, dtype=np.uint32)[:, None, None]
    return vertices, faces.reshape(2 * n, 3)


class ScoreCanvas:
    """Draws slice scores. Plot units: x runs from 0 to H (group g spans g .. g + 1), y is the score.

    Moving the cursor changes one translation; no vertex is sent to the graphics card again.
    """

    def __init__(self, parent: QWidget) -> None:
        self._canvas = SceneCanvas(keys=None, show=False, parent=parent, size=(320, 150), bgcolor="black")
        self.native: QWidget = self._canvas.native
        self._n, self._low, self._high, self._at = 1, 0.0, 1.0, 0.5
        self._plot = Node(parent=self._canvas.scene)
        self._bars, self._zero, self._mean = (self._mesh(self._plot, order) for order in (0, 1, 2))
        self._band, self._cursor = (self._mesh(self._canvas.scene, order) for order in (-1, 3))
        for mesh in (self._band, self._cursor):
            mesh.transform = STTransform()
        self._plot.transform = STTransform()
        self._ink = QColor("white")
        self._canvas.events.resize.connect(lambda _event: self.place())

    def close(self) -> None:
        """Free the canvas and its graphics memory."""
        self._canvas.close()

    def set_colors(self, background: QColor, ink: QColor) -> None:
        """Draw lines in ``ink`` on ``background``."""
        self._canvas.bgcolor = background.name()
        self._ink = ink
        self._flat(self._cursor, _QUAD, _FACES, 0.95)
        self._flat(self._band, _QUAD, _FACES, 0.14)

    def set_scores(self, scores: FloatArray, mean: float | None) -> tuple[float, float]:
        """Draw ``scores`` [H], the zero line and a dashed line at ``mean``; return the limits of the score axis."""
        self._n = len(scores)
        self._low, self._high = value_range(scores, mean)
        self._draw_bars(np.nan_to_num(scores))
        self.place()
        thick = (self._high - self._low) / max(self._size()[1], 1.0)
        edges = np.array([0.0]), np.array([float(self._n)])
        self._flat(self._zero, *rectangles(np.array([-thick / 2]), np.array([thick / 2]), *edges), 0.8)
        self._mean.visible = mean is not None
        if mean is not None:
            left = np.arange(_DASHES) * self._n / _DASHES
            middle = np.full(_DASHES, mean)
            dashes = rectangles(middle - thick, middle + thick, left, left + 0.55 * self._n / _DASHES)
            self._flat(self._mean, *dashes, 0.9)
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
        self._place_cursor()

    def render(self) -> npt.NDArray[np.uint8]:
        """Return what is drawn, RGBA [row, column, 4]."""
        return np.asarray(self._canvas.render())

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
        left = np.arange(self._n) + 0.08
        low, high = np.minimum(scores, 0), np.maximum(scores, 0)
        vertices, faces = rectangles(low, high, left, left + 0.84)
        colors = np.where(scores[:, None] >= 0, _rgba(QColor(FOR_COLOR)), _rgba(QColor(AGAINST_COLOR)))
        self._bars.set_data(vertices, faces, vertex_colors=np.repeat(colors, 4, axis=0))

    def _flat(self, mesh: Mesh, vertices: npt.ArrayLike, faces: npt.ArrayLike, alpha: float) -> None:
        mesh.set_data(np.asarray(vertices), np.asarray(faces), color=_rgba(self._ink, alpha))

    def _mesh(self, parent: Node, order: int) -> Mesh:
        mesh = Mesh(vertices=_QUAD, faces=_FACES, parent=parent)
        mesh.set_gl_state("translucent", depth_test=False, cull_face=False)
        mesh.order = order
        return mesh


def _rgba(color: QColor, alpha: float = 1.0) -> tuple[float, float, float, float]:
    return (color.redF(), color.greenF(), color.blueF(), alpha)
