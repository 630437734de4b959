"""The radiology report, with the sentences that speak of the selected abnormality marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QColor, QTextCharFormat, QTextCursor
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QTextEdit, QVBoxLayout, QWidget

from hirescam_napari.views._layout import WrappedLabel
from hirescam_napari.views._theme import Tone, is_dark, symbol, tone_color

Said = Literal["present", "uncertain", "absent"]

_TONES: dict[Said, Tone] = {"present": Tone.NEUTRAL, "uncertain": Tone.WARNING, "absent": Tone.GOOD}
_NONE = "No report is attached. Its sentences would show here, with the evidence of the selected abnormality marked."
SILENT = "The report does not mention it."


@dataclass(frozen=True)
class Mark:
    """One mention: character ranges of its sentence and of its words, and what it says."""

    sentence: tuple[int, int]
    words: tuple[int, int]
    said: Said


class ReportPanel(QWidget):
    """Report text with marks. Emits ``attachRequested`` and ``removeRequested``; others read the file."""

    attachRequested = Signal()
    removeRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Report")
        self._marks: tuple[Mark, ...] = ()
        self._said: Said | None = None
        self.sign, self.verdict = QLabel(self), WrappedLabel(_NONE, self)
        self.text = QPlainTextEdit(self)
        self.attach_button, self.remove_button = QPushButton("Attach report…", self), QPushButton("Remove", self)
        self._prepare()
        self._lay_out()
        self.set_report(None)

    def set_report(self, text: str | None) -> None:
        """Show a report, or that there is none."""
        self._marks = ()
        self.text.setPlainText(text or "")
        self.text.setVisible(text is not None)
        self.remove_button.setVisible(text is not None)
        if text is None:
            self._say(None, _NONE)
        self._mark()

    def set_marks(self, said: Said | None, words: str, marks: Sequence[Mark]) -> None:
        """Mark what speaks of the selected abnormality.

        Parameters
        ----------
        said
            What the report says of it as a whole; None if it does not mention it.
        words
            The same in a sentence.
        marks
            Its mentions; the view scrolls to the first.
        """
        self._say(said, words)
        if tuple(marks) == self._marks:
            return
        self._marks = tuple(marks)
        self._mark()
        if marks:
            self._scroll_to(marks[0].sentence[0])

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What is marked."""
        return self._marks

    def marked_sentences(self) -> list[str]:
        """Return the marked sentences as the reader sees them."""
        whole = self.text.toPlainText()
        return [whole[slice(*mark.sentence)] for mark in self._marks]

    def changeEvent(self, event: QEvent | None) -> None:
        """Choose the colors again when the theme changes."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange and self._marks:
            self._mark()

    def _say(self, said: Said | None, words: str) -> None:
        if self.verdict.text() != words:
            self.verdict.setText(words)
        self.sign.setVisible(said is not None)
        if said is not None and said != self._said:
            self.sign.setPixmap(symbol(_TONES[said], is_dark(self), 16))
        self._said = said

    def _mark(self) -> None:
        dark = is_dark(self)
        sentences = [self._selection(mark.sentence, _tint(mark.said, dark, 60)) for mark in self._marks]
        words = [self._selection(mark.words, _tint(mark.said, dark, 150), strong=True) for mark in self._marks]
        self.text.setExtraSelections([*sentences, *words])

    def _selection(self, span: tuple[int, int], color: QColor, strong: bool = False) -> QTextEdit.ExtraSelection:
        look = QTextCharFormat()
        look.setBackground(color)
        look.setFontUnderline(strong)
        selection = QTextEdit.ExtraSelection()
        selection.format = look
        selection.cursor = self._cursor(*span)
        return selection

    def _cursor(self, start: int, stop: int) -> QTextCursor:
        cursor = QTextCursor(self.text.document())
        cursor.setPosition(start)
        cursor.setPosition(stop, QTextCursor.MoveMode.KeepAnchor)
        return cursor

    def _scroll_to(self, position: int) -> None:
        self.text.setTextCursor(self._cursor(position, position))
        self.text.ensureCursorVisible()

    def _prepare(self) -> None:
        self.text.setReadOnly(True)
        self.text.setAccessibleName("Text of the report")
        self.text.setMinimumHeight(3 * self.fontMetrics().height())
        self.attach_button.setToolTip("A text file, or a CSV with a case and a report column")
        self.remove_button.setToolTip("Show the case without a report again")
        self.attach_button.clicked.connect(self.attachRequested)
        self.remove_button.clicked.connect(self.removeRequested)

    def _lay_out(self) -> None:
        said, buttons = QHBoxLayout(), QHBoxLayout()
        said.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        said.addWidget(self.verdict, 1)
        buttons.addWidget(self.attach_button)
        buttons.addWidget(self.remove_button)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addLayout(said)
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)


def _tint(said: Said, dark: bool, alpha: int) -> QColor:
    color = tone_color(_TONES[said], dark)
    color.setAlpha(alpha)
    return color
