"""The organs: colors, volumes, how they are drawn, and whether they can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from hirescam_napari.views._layout import WrappedLabel
from hirescam_napari.views.messages import MessageList
from training.issues import Issue

_NONE = "Right lung, left lung and mediastinum are found in the CT itself, without a network, in a few seconds."


@dataclass(frozen=True)
class OrganChoice:
    """How organs and region are drawn; ``opacity`` is in [0, 1]."""

    shown: bool = False
    filled: bool = False
    opacity: float = 0.8
    region: bool = False


@dataclass(frozen=True)
class OrganRow:
    """One organ of the legend: name, color, volume."""

    name: str
    color: str
    ml: float


class OrganPanel(QWidget):
    """Legend, choices, quality control. Emits ``changed(OrganChoice)`` when the user changes one, never on a setter.

    ``findRequested`` and ``cancelRequested`` ask for the work, which others do.
    """

    changed = Signal(object)
    findRequested = Signal()
    cancelRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Organs")
        self.status, self.messages = WrappedLabel(_NONE, self), MessageList(self)
        self.find_button = _button(self, "Find the organs", "Segment lungs and mediastinum of the CT that is open")
        self.cancel_button = _button(self, "Cancel", "Stop; nothing half-done is kept")
        self.progress = QProgressBar(self)
        self.shown = QCheckBox("Organs (key A)", self)
        self.filled = QCheckBox("Filled", self)
        self.region = QCheckBox("Where the abnormality may lie (key R)", self)
        self.opacity, self.opacity_value = _slider(self), QLabel(self)
        self.legend = QGridLayout()
        self._choice = OrganChoice()
        self._lay_out()
        self._connect()
        self.set_running(False)
        self.set_choice(self._choice)

    @property
    def choice(self) -> OrganChoice:
        """What the widgets say now."""
        return self._choice

    def set_choice(self, choice: OrganChoice) -> None:
        """Show ``choice`` without emitting a signal."""
        blocked = self.blockSignals(True)
        for box, value in ((self.shown, choice.shown), (self.filled, choice.filled), (self.region, choice.region)):
            box.setChecked(value)
        self.opacity.setValue(round(100 * choice.opacity))
        self.opacity_value.setText(f"{self.opacity.value()} %")
        self.blockSignals(blocked)
        self._choice = choice

    def set_organs(self, rows: Sequence[OrganRow], issues: Sequence[Issue], words: str) -> None:
        """Show the legend, what quality control says in one sentence, and its reasons; no rows: nothing was found yet.

        Parameters
        ----------
        rows
            The organs with their volumes in ml.
        issues
            The reasons of quality control.
        words
            Whether the masks can be believed.
        """
        self._clear_legend()
        for i, row in enumerate(rows):
            for column, widget in enumerate(_legend_row(row, self)):
                self.legend.addWidget(widget, i, column)
        self.status.setText(words if rows else (words or _NONE))
        self.messages.set_issues(issues)
        self.find_button.setVisible(not rows and not self.progress.isVisibleTo(self))

    def set_running(self, running: bool) -> None:
        """Show that the work has begun or ended."""
        self.progress.setRange(0, 0 if running else 1)
        for widget in (self.progress, self.cancel_button):
            widget.setVisible(running)
        self.find_button.setVisible(not running and self.legend.count() == 0)

    def set_progress(self, done: int, total: int, stage: str) -> None:
        """Show that ``done`` of ``total`` steps of ``stage`` are done."""
        self.progress.setRange(0, max(total, 0))
        self.progress.setValue(done)
        self.status.setText(f"{stage[:1].upper()}{stage[1:]} …")

    def _clear_legend(self) -> None:
        while (item := self.legend.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def _lay_out(self) -> None:
        work, slider = QHBoxLayout(), QHBoxLayout()
        for widget in (self.find_button, self.progress, self.cancel_button):
            work.addWidget(widget)
        slider.addWidget(QLabel("Opacity", self))
        slider.addWidget(self.opacity, 1)
        slider.addWidget(self.opacity_value)
        drawn = QHBoxLayout()
        drawn.addWidget(self.shown)
        drawn.addWidget(self.filled)
        drawn.addStretch(1)
        self.legend.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        for part in (work, self.legend, drawn, slider):
            layout.addLayout(part)
        layout.insertWidget(3, self.region)
        layout.addWidget(self.status)
        layout.addWidget(self.messages)
        layout.addStretch(1)

    def _connect(self) -> None:
        for box in (self.shown, self.filled, self.region):
            box.toggled.connect(self._on_user)
        self.opacity.valueChanged.connect(self._on_user)
        self.find_button.clicked.connect(self.findRequested)
        self.cancel_button.clicked.connect(self.cancelRequested)

    def _on_user(self) -> None:
        self.opacity_value.setText(f"{self.opacity.value()} %")
        if self.signalsBlocked():
            return
        shown, filled, region = (box.isChecked() for box in (self.shown, self.filled, self.region))
        choice = OrganChoice(shown, filled, self.opacity.value() / 100, region)
        if choice != self._choice:
            self._choice = choice
            self.changed.emit(choice)


def _legend_row(row: OrganRow, parent: QWidget) -> tuple[QLabel, QLabel, QLabel]:
    swatch, name, volume = QLabel(parent), QLabel(row.name, parent), QLabel(f"{row.ml:,.0f} ml", parent)
    pixmap = QPixmap(14, 14)
    pixmap.fill(QColor(row.color))
    swatch.setPixmap(pixmap)
    volume.setAlignment(Qt.AlignmentFlag.AlignRight)
    return swatch, name, volume


def _button(parent: QWidget, text: str, tip: str) -> QPushButton:
    button = QPushButton(text, parent)
    button.setToolTip(tip)
    return button


def _slider(parent: QWidget) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal, parent)
    slider.setRange(0, 100)
    slider.setPageStep(10)
    slider.setAccessibleName("Opacity of the organs")
    return slider
