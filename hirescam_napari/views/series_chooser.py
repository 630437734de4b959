"""Which of several series to open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPixmap
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from hirescam_napari.views._theme import is_dark
from hirescam_napari.views.messages import MessageList
from training.issues import Severity
from training.words import counted

if TYPE_CHECKING:
    from training.io.series import SeriesInfo

_THUMBNAIL_PX = 96
_NUMBER_ROLE = int(Qt.ItemDataRole.UserRole)


class SeriesChooser(QDialog):
    """A list of series with pictures and what is wrong with each; those that cannot be opened say why."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose a series")
        self._series: dict[int, SeriesInfo] = {}
        self.question = QLabel("This input holds several series. Which one should be opened?", self)
        self.question.setWordWrap(True)
        self.list = _series_list(self)
        self.messages = MessageList(self)
        self.buttons = _buttons(self)
        self._lay_out()
        self.list.currentItemChanged.connect(self._on_current)
        self.list.itemDoubleClicked.connect(self._on_double_click)
        self.list.itemActivated.connect(self._on_double_click)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.resize(640, 480)

    def set_series(self, series: Sequence[SeriesInfo]) -> None:
        """Show ``series`` in the order given and mark the likely one: the CT with the most slices."""
        self._series = {one.number: one for one in series}
        self.list.clear()
        for one in series:
            self.list.addItem(_item(one))
        self._colour()
        best = default_series(series)
        rows = [one.number for one in series]
        self.list.setCurrentRow(-1 if best is None else rows.index(best))
        self._on_current()
        self.list.setFocus()

    def chosen(self) -> int | None:
        """Return the number of the marked series; None if nothing that can be opened is marked."""
        item = self.list.currentItem()
        number = None if item is None else int(item.data(_NUMBER_ROLE))
        return number if number is not None and self._series[number].loadable else None

    def changeEvent(self, event: QEvent | None) -> None:
        """Choose the colour of series that cannot be opened again when the theme changes."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._colour()

    def _colour(self) -> None:
        muted = _muted(self)
        for item in filter(None, map(self.list.item, range(self.list.count()))):
            if not self._series[int(item.data(_NUMBER_ROLE))].loadable:
                item.setForeground(muted)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.addWidget(self.question)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.messages)
        layout.addWidget(self.buttons)

    def _on_current(self) -> None:
        ok = self.buttons.button(QDialogButtonBox.StandardButton.Open)
        if ok is not None:
            ok.setEnabled(self.chosen() is not None)
        item = self.list.currentItem()
        self.messages.set_issues(() if item is None else self._series[int(item.data(_NUMBER_ROLE))].issues)

    def _on_double_click(self) -> None:
        if self.chosen() is not None:
            self.accept()


def default_series(series: Sequence[SeriesInfo]) -> int | None:
    """Return the number of the loadable series with the most slices (the first of them), CT before anything else."""
    loadable = [one for one in series if one.loadable]
    if not loadable:
        return None
    return max(loadable, key=lambda one: (one.modality == "CT", one.n_slices)).number


def describe(series: SeriesInfo) -> str:
    """Return the lines that the list shows for a series: description, facts, and what is wrong with it."""
    title = series.description or f"Series {series.number}"
    spacing = "" if series.spacing_mm is None else " × ".join(f"{mm:.3g}" for mm in series.spacing_mm) + " mm"
    slices = counted(series.n_slices, "slice")
    kernel = f"kernel {series.kernel}" if series.kernel else ""
    facts = " · ".join(part for part in (series.modality, slices, spacing, kernel) if part and part not in title)
    return "\n".join([title, facts, *_troubles(series)])


def _troubles(series: SeriesInfo) -> list[str]:
    errors = [issue.message for issue in series.issues if issue.severity is Severity.ERROR]
    if not series.loadable:
        return [f"Cannot be opened: {message}" for message in errors[:1] or ["it is not a CT volume."]]
    others = [f"{i.severity.capitalize()}: {i.message}" for i in series.issues if i.severity is not Severity.ERROR]
    return [*(f"Needs a repair: {message}" for message in errors), *others][:2]


def _series_list(parent: QWidget) -> QListWidget:
    view = QListWidget(parent)
    view.setAccessibleName("Series")
    view.setIconSize(QSize(_THUMBNAIL_PX, _THUMBNAIL_PX))
    view.setWordWrap(True)
    view.setSpacing(2)
    view.setAlternatingRowColors(False)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return view


def _buttons(parent: QWidget) -> QDialogButtonBox:
    standard = QDialogButtonBox.StandardButton
    return QDialogButtonBox(standard.Open | standard.Cancel, parent)


def _muted(widget: QWidget) -> QColor:
    """Return a colour for text that is there to be read, but not to be chosen."""
    return QColor("#b4b6bb" if is_dark(widget) else "#55565a")


def _item(series: SeriesInfo) -> QListWidgetItem:
    item = QListWidgetItem(_icon(series.thumbnail, 1.0 if series.loadable else 0.4), describe(series))
    item.setData(_NUMBER_ROLE, series.number)
    item.setToolTip("\n".join(str(issue) for issue in series.issues) or series.description)
    if not series.loadable:
        item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsSelectable)
        font = item.font()
        font.setItalic(True)
        item.setFont(font)
    return item


def _icon(thumbnail: npt.NDArray[np.uint8] | None, opacity: float) -> QIcon:
    pixmap = QPixmap(_THUMBNAIL_PX, _THUMBNAIL_PX)
    pixmap.fill(Qt.GlobalColor.black)
    if thumbnail is not None and thumbnail.size:
        picture = _picture(thumbnail)
        painter = QPainter(pixmap)
        painter.setOpacity(opacity)
        painter.drawPixmap((_THUMBNAIL_PX - picture.width()) // 2, (_THUMBNAIL_PX - picture.height()) // 2, picture)
        painter.end()
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def _picture(thumbnail: npt.NDArray[np.uint8]) -> QPixmap:
    grey = np.ascontiguousarray(thumbnail, dtype=np.uint8)
    rows, columns = grey.shape
    image = QImage(grey.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8).copy()
    keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    return QPixmap.fromImage(image.scaled(_THUMBNAIL_PX, _THUMBNAIL_PX, keep, smooth))
