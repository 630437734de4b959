"""Keys of the window in tables and combo boxes, which take every letter for a search through their rows."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QComboBox, QTableView

_OWN = frozenset({Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_End})


class KeysGoOn(QObject):
    """Lets ``table`` keep the keys that move through its rows, and copying; all others go on to the window."""

    def __init__(self, table: QTableView) -> None:
        super().__init__(table)
        table.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Leave keys that are not the table's own to what holds it."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and not _is_own(event):
            event.ignore()
            return True
        return super().eventFilter(watched, event)


class TypedKeys(QObject):
    """Keeps what is typed in ``combo`` there, so that letters search its items; other keys stay the window's."""

    def __init__(self, combo: QComboBox) -> None:
        super().__init__(combo)
        combo.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take letters and digits before a shortcut of the window does."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and _is_typed(event):
            event.accept()
            return True
        return super().eventFilter(watched, event)


def _is_typed(event: QKeyEvent) -> bool:
    modifiers = Qt.KeyboardModifier
    held = event.modifiers() & (modifiers.ControlModifier | modifiers.AltModifier | modifiers.MetaModifier)
    return bool(event.text()) and event.text().isprintable() and held == modifiers.NoModifier


def _is_own(event: QKeyEvent) -> bool:
    return event.key() in _OWN or event.matches(QKeySequence.StandardKey.Copy)
