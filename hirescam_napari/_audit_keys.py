"""The keys of an audit. They work wherever the keyboard is in the window, except while text is typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from qtpy.QtCore import QObject
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from training.evaluate.audit.verdicts import VERDICTS


class AuditKey(NamedTuple):
    """One key, the action it runs, and what that does."""

    key: str
    action: str
    words: str


KEYS: tuple[AuditKey, ...] = (
    *(AuditKey(str(n + 1), f"verdict_{n + 1}", verdict.value) for n, verdict in enumerate(VERDICTS)),
    AuditKey("N", "next_unjudged", "next that you have not judged"),
    AuditKey("PgDown", "next", "next of the list"),
    AuditKey("PgUp", "previous", "previous of the list"),
    AuditKey("Home", "top_slice", "slice with the highest score"),
    AuditKey("U", "undo", "take your latest verdict back"),
    AuditKey("V", "restore_view", "the view as it stood when you judged"),
    AuditKey("W", "edit_filter", "what to look at (Tab goes on, typing searches a list, Esc goes back)"),
    AuditKey("C", "edit_comment", "write a comment (Return saves it)"),
    AuditKey("Esc", "leave_text", "back to the list; what was typed stays and is saved when you judge or go on"),
    AuditKey("K", "next_page", "slice scores, score budget, report"),
)
"""None of them is a key of the session itself, but for Home, which means the same."""


class AuditKeys(QObject):
    """Shortcuts in one window; :meth:`set_enabled` gives them back.

    Parameters
    ----------
    window
        In which they work.
    actions
        What to run, by the names in :data:`KEYS`.
    """

    def __init__(self, window: QWidget, actions: Mapping[str, Callable[[], object]]) -> None:
        super().__init__(window)
        self._shortcuts = []
        for key in KEYS:
            shortcut = QShortcut(QKeySequence(key.key), window)
            shortcut.setAutoRepeat(key.action in ("next", "previous"))
            shortcut.activated.connect(lambda run=actions[key.action]: run())
            self._shortcuts.append(shortcut)

    def set_enabled(self, enabled: bool) -> None:
        """Let the keys work or not."""
        for shortcut in self._shortcuts:
            shortcut.setEnabled(enabled)


def help_text() -> str:
    """Return one line a key."""
    return "\n".join(f"{key.key}: {key.words}" for key in KEYS)
