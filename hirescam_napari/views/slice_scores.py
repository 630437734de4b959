"""The slice-score plot: which slices speak for an abnormality, and where the viewer stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtGui import QKeyEvent, QPalette
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from hirescam_napari.views._axes import Readout, SliceAxis, ValueAxis, slice_ticks, value_ticks
from hirescam_napari.views._score_canvas import WITH_COLOR, WITHOUT_COLOR, Band, ScoreCanvas
from hirescam_napari.views._theme import text_color
from hirescam_napari.views._words import signed
from training.words import counted

if TYPE_CHECKING:
    from training.evaluate.bands import Bands

_KEY_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_PageUp: -10, Qt.Key.Key_PageDown: 10}

_LEGEND = "One bar per slice group: orange speaks for it, blue against."
_READOUT_DELAY_MS = 30
"""While the cursor is dragged, its text is written once it rests: text costs more to show than the cursor."""


class SliceScorePlot(QWidget):
    """Score of every slice group for one abnormality, with a zero line, the mean and a cursor.

    Emits ``sliceRequested(group)`` when the user clicks, drags or presses an arrow key, and ``topRequested()`` for the
    Home key or the button. ``set_current`` moves the cursor and emits nothing.
    """

    sliceRequested = Signal(int)
    topRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Slice scores")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._scores: npt.NDArray[np.float64] = np.zeros(0)
        self._numbers: tuple[float, ...] = ()
        self._current = 0.0
        self.title, self.readout = Readout(self, bold=True), Readout(self)
        self.legend = Readout(self)
        self.top_button = _top_button(self)
        self.value_axis, self.slice_axis = ValueAxis(self), SliceAxis(self)
        self._mean: float | None = None
        self._bands: Bands | None = None
        self._reading_due = QTimer(self)
        self._plot = QGridLayout()
        self.canvas = self._new_canvas()
        self._lay_out()
        self._prepare()

    @property
    def current(self) -> float:
        """Slice group of the cursor."""
        return self._current

    def set_scores(
        self,
        scores: npt.ArrayLike,
        mean: float | None,
        title: str,
        slice_numbers: Sequence[float] | None = None,
    ) -> None:
        """Show the scores of one abnormality; the cursor stays.

        Parameters
        ----------
        scores
            [H], one per slice group, head first.
        mean
            Where the dashed line stands: the mean over the slice groups, which is the score of the CT; None for none.
        title
            Name of the abnormality.
        slice_numbers
            [H], CT slice number of each group's centre, rising or falling; None to count groups from 1.

        Raises
        ------
        ValueError
            If there is no score, or not one slice number per score.
        """
        values = np.asarray(scores, dtype=np.float64)
        numbers = tuple(range(1, values.size + 1)) if slice_numbers is None else tuple(map(float, slice_numbers))
        if values.ndim != 1 or values.size == 0 or len(numbers) != values.size:
            raise ValueError("slice scores must be a vector with one slice number per score")
        self._scores, self._numbers, self._mean = values, numbers, mean
        self.title.set_text(title)
        self._draw_scores()
        self.slice_axis.set_name("slice group" if slice_numbers is None else "CT slice")
        self.slice_axis.set_ticks(slice_ticks(numbers))
        self.top_button.setEnabled(True)
        self._move(self._current)

    def set_bands(self, bands: Bands | None) -> None:
        """Show mean and band of the cases of a cohort with and without the abnormality behind the scores; None: none.

        They stay until they are set again, and are shown only while they have one value for each slice group.
        """
        self._bands = bands
        self.legend.set_text(_LEGEND if bands is None else _words(bands))
        if self._scores.size:
            self._draw_scores()

    def _draw_scores(self) -> None:
        low, high = self.canvas.set_scores(self._scores, self._mean, self._drawn_bands())
        self.value_axis.set_ticks(value_ticks(low, high))

    def _drawn_bands(self) -> tuple[Band, ...]:
        """Return the bands to draw, those of cases without the abnormality behind."""
        found = self._bands
        if found is None or found.positives_mean.size != self._scores.size:
            return ()
        return (
            Band(found.negatives_mean, found.negatives_low, found.negatives_high, WITHOUT_COLOR),
            Band(found.positives_mean, found.positives_low, found.positives_high, WITH_COLOR),
        )

    def set_current(self, group: float) -> None:
        """Move the cursor to ``group`` (fractional groups allowed) without emitting a signal."""
        self._move(group)

    def top(self) -> int | None:
        """Return the slice group with the highest score, the first of them; None without scores."""
        return None if self._scores.size == 0 else int(np.nanargmax(self._scores))

    def release(self) -> None:
        """Free graphics memory; the plot cannot be used afterwards."""
        self.canvas.close()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Home asks for the top slice; arrows and page keys step."""
        if event is None or not self._on_key(event.key()):
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._colour()

    def showEvent(self, event: QEvent | None) -> None:
        """Take the colours of the window in which the plot is shown."""
        super().showEvent(event)  # type: ignore[arg-type]
        self._colour()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.title, 1)
        top.addWidget(self.top_button, 0, Qt.AlignmentFlag.AlignTop)
        self._plot.setSpacing(0)
        self._plot.addWidget(self.value_axis, 0, 0)
        self._plot.addWidget(self.slice_axis, 1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 3, 6, 1)
        layout.setSpacing(1)
        layout.addLayout(top)
        layout.addLayout(self._plot, 1)
        layout.addWidget(self.readout)
        layout.addWidget(self.legend)

    def _new_canvas(self) -> ScoreCanvas:
        canvas = ScoreCanvas(self, lambda: QTimer.singleShot(0, self._replace_canvas))
        native = canvas.native
        native.setMinimumSize(160, 110)
        native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        native.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        native.setCursor(Qt.CursorShape.CrossCursor)
        native.setAccessibleName("Plot of the slice scores")
        canvas.input.pressedAt.connect(self._on_press)
        self._plot.addWidget(native, 0, 1)
        return canvas

    def _replace_canvas(self) -> None:
        """Put a new canvas in the place of one whose graphics context is gone."""
        old, self.canvas = self.canvas, self._new_canvas()
        self._plot.removeWidget(old.native)
        old.close()
        self._colour()
        if self._scores.size:
            self._draw_scores()
        self.canvas.move_cursor(self._current)

    def _prepare(self) -> None:
        self._reading_due.setSingleShot(True)
        self._reading_due.setInterval(_READOUT_DELAY_MS)
        self._reading_due.timeout.connect(self._read)
        self.legend.set_text(_LEGEND)
        self.title.setAccessibleName("Abnormality of the slice scores")
        self.readout.setAccessibleName("Slice and score at the cursor")
        self.top_button.clicked.connect(lambda: self.topRequested.emit())
        self.top_button.setEnabled(False)

    def _on_press(self, x_px: float) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if self._scores.size:
            self._request(self.canvas.group_at(x_px))

    def _on_key(self, key: int) -> bool:
        if self._scores.size == 0:
            return False
        if key == Qt.Key.Key_Home:
            self.topRequested.emit()
            return True
        step = next((step for known, step in _KEY_STEPS.items() if known == key), None)
        if step is None:
            return False
        self._request(int(np.clip(round(self._current) + step, 0, self._scores.size - 1)))
        return True

    def _request(self, group: int) -> None:
        if group != self._current:
            self._move(group)
            self.sliceRequested.emit(group)

    def _move(self, group: float) -> None:
        self._current = float(group)
        self.canvas.move_cursor(group)
        self._reading_due.start()

    def _read(self) -> None:
        if self._scores.size:
            self.readout.set_text(self._reading())

    def _reading(self) -> str:
        nearest = int(np.clip(round(self._current), 0, self._scores.size - 1))
        where = f"{self.slice_axis.name} {int(np.floor(self._numbers[nearest] + 0.5))}"
        mean = "" if self._mean is None else f" · mean (dashed) {signed(self._mean)}"
        return f"{where[:1].upper()}{where[1:]}: score {signed(float(self._scores[nearest]))}{mean}"

    def _colour(self) -> None:
        background = self.palette().color(QPalette.ColorRole.Window)
        self.canvas.set_colors(background, text_color(self))


def _words(bands: Bands) -> str:
    """Return what the bands are, for the legend."""
    what = "mean (95 %)" if bands.kind == "mean" else "mean and 95 %"
    return f"Behind: {what} of {counted(bands.n_positive, 'case')} with it, {bands.n_negative} without."


def _top_button(parent: QWidget) -> QPushButton:
    button = QPushButton("Top slice", parent)
    button.setToolTip("Go to the slice with the highest score (Home)")
    button.setAccessibleName("Go to the top slice")
    button.setAutoDefault(False)
    return button
