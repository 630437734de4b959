"""What is wrong with an input, for a reader: one line per issue, with a symbol, in selectable text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from qtpy.QtCore import QEvent, QSize, Qt, QUrl
from qtpy.QtGui import QTextDocument
from qtpy.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QWidget

from hirescam_napari.views._theme import Tone, is_dark, symbol
from training.issues import Issue, Severity

_TONES = {Severity.ERROR: Tone.BAD, Severity.WARNING: Tone.WARNING, Severity.NOTE: Tone.NEUTRAL}
_MAX_HEIGHT_PX = 220


class MessageList(QTextBrowser):
    """Issues in words. Wraps, grows with its text up to 220 px, then scrolls; hidden while there is nothing to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._issues: tuple[Issue, ...] = ()
        self.setAccessibleName("Messages")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(120)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setStyleSheet("MessageList { background: transparent; border: 0; margin: 0; padding: 0; }")
        layout = self._document().documentLayout()
        if layout is not None:
            layout.documentSizeChanged.connect(lambda _size: self._fit())
        self.hide()

    @property
    def issues(self) -> tuple[Issue, ...]:
        """The issues that are shown, in the order given."""
        return self._issues

    def set_issues(self, issues: Sequence[Issue]) -> None:
        """Show ``issues``, replacing what was there."""
        self._issues = tuple(issues)
        self._render()
        self.setVisible(bool(self._issues))

    def sizeHint(self) -> QSize:
        """Return the size of the whole text at the present width, at most 220 px high."""
        return QSize(240, self._text_height())

    def minimumSizeHint(self) -> QSize:
        """Return a size that shows at least two lines."""
        return QSize(120, min(self._text_height(), 3 * self.fontMetrics().height()))

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw the symbols again when the theme changes."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange and self._issues:
            self._render()

    def _text_height(self) -> int:
        return min(_MAX_HEIGHT_PX, math.ceil(self._document().size().height()) + 2)

    def _document(self) -> QTextDocument:
        document = self.document()
        if document is None:
            raise RuntimeError("a text browser without a document")
        return document

    def _fit(self) -> None:
        if self.height() != self._text_height():
            self.setFixedHeight(self._text_height())

    def _render(self) -> None:
        document, dark = self._document(), is_dark(self)
        for tone in _TONES.values():
            document.addResource(QTextDocument.ResourceType.ImageResource.value, QUrl(tone), symbol(tone, dark, 14))
        self.setHtml("".join(_row(issue) for issue in self._issues))
        self._fit()


def _row(issue: Issue) -> str:
    where = f"<b>{escape(issue.file)}</b>: " if issue.file else ""
    out = f" <i>{escape(issue.way_out)}</i>" if issue.way_out else ""
    picture = f'<img src="{_TONES[issue.severity]}" width="14" height="14">'
    word = issue.severity.capitalize()
    return f'<p style="margin:2px 0 4px 0">{picture} <b>{word}:</b> {where}{escape(issue.message)}{out}</p>'
