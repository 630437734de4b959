"""The guarantee badge: whether a map adds up to the score, and how far into the CT that statement reaches."""

from __future__ import annotations

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from hirescam_napari.views._layout import WrappedLabel
from hirescam_napari.views._theme import Tone, is_dark, symbol, tone_color
from hirescam_napari.views._words import residual_words


class GuaranteeBadge(QWidget):
    """A coloured badge with a symbol and plain words; equation and numbers are one click away."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Guarantee of the map")
        self._holds = False
        self._frame = QFrame(self)
        self._frame.setObjectName("guaranteeBadge")
        self._symbol, self._where_symbol = QLabel(self._frame), QLabel(self._frame)
        self.headline, self.sum_line, self.where = (WrappedLabel(parent=self._frame) for _ in range(3))
        self.details = WrappedLabel(parent=self)
        self.details_button = _details_button(self)
        self._lay_out()
        self.details_button.toggled.connect(self._show_details)
        self._frame.hide()
        self.details_button.hide()

    @property
    def holds(self) -> bool:
        """True if the shown map is guaranteed to add up to the score."""
        return self._holds

    def set_guarantee(self, words: str, holds: bool, residual: float, where_words: str = "", details: str = "") -> None:
        """Show what the map guarantees.

        Parameters
        ----------
        words
            One sentence for a radiologist, for example ``"This map adds up exactly to the score."``
        holds
            Whether the head carries the guarantee.
        residual
            Relative completeness residual of the shown label; NaN if it was not measured.
        where_words
            A sentence on how far a cell of the map can see; empty if there is nothing to warn of.
        details
            Equation, numbers and receptive field in px and mm, plain text over several lines.
        """
        self._holds = holds
        self.headline.setText(words)
        self.sum_line.setText(_sum_line(residual))
        self.where.setText(where_words)
        self.details.setText(details)
        self._frame.show()
        for widget in (self.where, self._where_symbol):
            widget.setVisible(bool(where_words))
        self.details_button.setVisible(bool(details))
        self._show_details(self.details_button.isChecked())
        self.setAccessibleDescription(f"{words} {self.sum_line.text()} {where_words}".strip())
        self._colour()

    def clear(self) -> None:
        """Show nothing, as before the first result."""
        self._frame.hide()
        self.details_button.hide()
        self.details.hide()
        self.setAccessibleDescription("")

    def changeEvent(self, event: QEvent | None) -> None:
        """Choose the colours again when the theme changes."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._colour()

    def _lay_out(self) -> None:
        grid = QGridLayout(self._frame)
        grid.setContentsMargins(8, 3, 8, 3)
        grid.setVerticalSpacing(1)
        grid.setColumnStretch(1, 1)
        top = Qt.AlignmentFlag.AlignTop
        grid.addWidget(self._symbol, 0, 0, top)
        grid.addWidget(self.headline, 0, 1)
        grid.addWidget(self._where_symbol, 1, 0, top)
        grid.addWidget(self.where, 1, 1)
        grid.addWidget(self.sum_line, 2, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 1, 4, 2)
        layout.setSpacing(2)
        layout.addWidget(self._frame)
        layout.addWidget(self.details_button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.details)

    def _show_details(self, shown: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow
        self.details_button.setArrowType(arrow)
        self.details.setVisible(shown and bool(self.details.text()))

    def _colour(self) -> None:
        dark = is_dark(self)
        tone = Tone.GOOD if self._holds else Tone.WARNING
        color = tone_color(tone, dark)
        tint = f"rgba({color.red()}, {color.green()}, {color.blue()}, 40)"
        rule = f"#guaranteeBadge {{ border: 1px solid {color.name()}; border-radius: 5px; background: {tint}; }}"
        if self._frame.styleSheet() != rule:
            self._frame.setStyleSheet(rule)
            self._symbol.setPixmap(symbol(tone, dark, 18))
            self._where_symbol.setPixmap(symbol(Tone.WARNING, dark, 18))
            self.headline.setStyleSheet("font-weight: bold; background: transparent;")


def _details_button(parent: QWidget) -> QToolButton:
    button = QToolButton(parent)
    button.setText("Details")
    button.setAccessibleName("Details of the guarantee")
    button.setToolTip("Equation, numbers and how far a cell of the map sees")
    button.setCheckable(True)
    button.setAutoRaise(True)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    return button


def _sum_line(residual: float) -> str:
    words = residual_words(residual)
    return f"Measured: {'' if words.startswith('whether') else 'it '}{words}."
