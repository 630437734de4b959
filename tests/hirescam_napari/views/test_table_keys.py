from __future__ import annotations

from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from hirescam_napari.views._table_keys import KeysGoOn


class Reached(QObject):
    """Takes down the keys that reach ``holder``."""

    def __init__(self, holder: QWidget) -> None:
        super().__init__(holder)
        self.keys: list[int] = []
        holder.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's own name
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            self.keys.append(event.key())
        return super().eventFilter(watched, event)


def test_letters_go_on_and_rows_are_walked(qtbot: QtBot) -> None:
    holder, table = QWidget(), QTableWidget(3, 2)
    reached = Reached(holder)
    QVBoxLayout(holder).addWidget(table)
    qtbot.addWidget(holder)
    for row, text in enumerate(("apple", "melon", "salt")):
        table.setItem(row, 0, QTableWidgetItem(text))
    KeysGoOn(table)
    table.setCurrentCell(0, 0)
    passed = (Qt.Key.Key_S, Qt.Key.Key_M, Qt.Key.Key_Right, Qt.Key.Key_Home)
    for key in passed:
        qtbot.keyClick(table, key)
    assert table.currentRow() == 0
    assert table.currentColumn() == 0
    assert reached.keys == list(passed)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    assert table.currentRow() == 1
    assert reached.keys == list(passed)
