"""Judging one prediction: what it is, what the books suggest, one button a verdict, tags and a comment."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from hirescam_napari.views._layout import WrappedLabel
from hirescam_napari.views.messages import MessageList
from training.evaluate.audit.verdicts import VERDICTS, Verdict
from training.issues import Issue


class AuditJudge(QWidget):
    """One prediction under judgement.

    Emits ``judged(Verdict)``, ``noted()`` when tags or comment are to be saved, ``undone()``, ``stepped(int)`` and
    ``restored()``.
    """

    judged = Signal(object)
    noted = Signal()
    undone = Signal()
    stepped = Signal(int)
    restored = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Judge")
        self.title, self.facts, self.suggestion = (WrappedLabel("", self) for _ in range(3))
        self.books, self.report, self.others = (WrappedLabel("", self) for _ in range(3))
        self.messages, self.status = MessageList(self), WrappedLabel("", self)
        self.buttons = {verdict: self._button(verdict, n + 1) for n, verdict in enumerate(VERDICTS)}
        self.tags, self.comment = _line("Tags, with blanks between them", self), _line("Comment", self)
        self.go_on = QCheckBox("Next after a verdict", self)
        self.previous, self.next, self.undo, self.view = (
            QPushButton(text, self) for text in ("Back", "Next", "Undo", "My view")
        )
        self._said: tuple[str, str] = ("", "")
        self._lay_out()
        self._connect()

    def show_prediction(
        self, title: str, facts: str, suggestion: str, books: str, report: str, issues: Sequence[Issue] = ()
    ) -> None:
        """Show another prediction; all are sentences, empty where there is nothing to say."""
        for label, text in (
            (self.title, f"<b>{escape(title)}</b>" if title else ""),
            (self.facts, facts),
            (self.suggestion, f"<i>Suggestion, no verdict:</i> {escape(suggestion)}" if suggestion else ""),
            (self.books, books),
            (self.report, report),
        ):
            label.setText(text)
            label.setVisible(bool(text))
        self.messages.set_issues(issues)

    def show_verdict(self, verdict: Verdict | None, tags: Sequence[str], comment: str, has_view: bool) -> None:
        """Show what this reviewer has said."""
        for one, button in self.buttons.items():
            button.setChecked(one is verdict)
        self._said = (" ".join(tags), comment)
        self.tags.setText(self._said[0])
        self.comment.setText(comment)
        self.view.setEnabled(has_view)

    def show_others(self, words: str) -> None:
        """Show what other reviewers have said; hidden if empty."""
        self.others.setText(words)
        self.others.setVisible(bool(words))

    def show_status(self, words: str) -> None:
        """Show that something was saved, or why not."""
        self.status.setText(words)

    @property
    def note(self) -> tuple[tuple[str, ...], str]:
        """Tags and comment as typed; a leading # of a tag is left out."""
        tags = tuple(word.lstrip("#") for word in self.tags.text().replace(",", " ").split() if word.lstrip("#"))
        return tags, self.comment.text().strip()

    @property
    def has_unsaved_note(self) -> bool:
        """True if tags or comment are other than what was shown last."""
        tags, comment = self.note
        return (" ".join(tags), comment) != self._said

    def _button(self, verdict: Verdict, number: int) -> QPushButton:
        button = QPushButton(f"{number}  {verdict.value.capitalize()}", self)
        button.setCheckable(True)
        button.setToolTip(f"Key {number}")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setStyleSheet("text-align: left; padding: 1px 6px;")
        return button

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(2)
        for n, button in enumerate(self.buttons.values()):
            grid.addWidget(button, n, 0)
        steps = QHBoxLayout()
        for one, key in ((self.previous, "PgUp"), (self.next, "PgDown"), (self.undo, "U"), (self.view, "V")):
            one.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            one.setToolTip(f"Key {key}")
            steps.addWidget(one)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(4)
        for widget in (self.title, self.facts, self.messages, self.suggestion, self.books, self.report):
            layout.addWidget(widget)
        layout.addLayout(grid)
        layout.addWidget(self.tags)
        layout.addWidget(self.comment)
        layout.addLayout(steps)
        for last in (self.go_on, self.others, self.status):
            layout.addWidget(last)
        layout.addStretch(1)
        for words in (self.facts, self.books, self.report, self.others, self.status):
            words.setTextFormat(Qt.TextFormat.PlainText)
        self.go_on.setChecked(True)
        self.go_on.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.show_others("")
        self.show_prediction("", "", "", "", "")

    def _connect(self) -> None:
        for verdict, button in self.buttons.items():
            button.clicked.connect(lambda _checked, one=verdict: self.judged.emit(one))
        for line in (self.tags, self.comment):
            line.returnPressed.connect(self.noted)
        self.previous.clicked.connect(lambda: self.stepped.emit(-1))
        self.next.clicked.connect(lambda: self.stepped.emit(1))
        self.undo.clicked.connect(self.undone)
        self.view.clicked.connect(self.restored)


def _line(hint: str, parent: QWidget) -> QLineEdit:
    line = QLineEdit(parent)
    line.setPlaceholderText(hint)
    line.setAccessibleName(hint)
    line.setMaxLength(2000)
    return line


class AuditProgress(QLabel):
    """How far reviewers are, as a small table in selectable text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Progress")
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setTextFormat(Qt.TextFormat.PlainText)

    def set_lines(self, lines: Sequence[str]) -> None:
        """Show ``lines``."""
        self.setText("\n".join(lines))
