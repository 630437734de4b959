"""Small pieces of layout that the panels share."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QComboBox, QFrame, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget


class _VerticalScroll(QScrollArea):
    """Scrolls up and down only; as wide as the panel needs at least."""

    def minimumSizeHint(self) -> QSize:
        """Return the panel's own least width and a small height."""
        panel, bar = self.widget(), self.verticalScrollBar()
        width = (panel.minimumSizeHint().width() if panel else 0) + (bar.sizeHint().width() if bar else 0)
        return QSize(width, 80)


def stacked(*widgets: QWidget, margin: int = 0, stretch: int = 1) -> QWidget:
    """Return ``widgets`` one below the other, ``margin`` px around; room that is left goes below (``stretch``)."""
    panel = QWidget()
    layout = QVBoxLayout(panel)
    layout.setContentsMargins(margin, margin, margin, margin)
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(stretch)
    return panel


def scrolled(panel: QWidget) -> QScrollArea:
    """Return ``panel`` in an area that scrolls up and down where the window is too low for it."""
    area = _VerticalScroll()
    area.setWidget(panel)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setAccessibleName(panel.accessibleName())
    return area


def outermost(widget: QWidget) -> QWidget:
    """Return the main window that holds ``widget``, also while its dock floats; napari hides it from plugins."""
    parent = widget.parentWidget()
    return widget if parent is None else outermost(parent)


class WrappedLabel(QLabel):
    """Selectable text that wraps; the layout around it gives it the height that its width needs."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setMinimumWidth(60)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)


def combo_box(name: str, parent: QWidget | None = None) -> QComboBox:
    """Return a combo box called ``name`` that does not widen its panel when an item is long."""
    combo = QComboBox(parent)
    combo.setAccessibleName(name)
    combo.setMinimumContentsLength(8)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


def fill_combo(combo: QComboBox, items: Sequence[tuple[str, str]]) -> None:
    """Replace the (value, text) items of ``combo`` without a signal; the chosen value stays if it is still there."""
    chosen = combo.currentData()
    blocked = combo.blockSignals(True)
    combo.clear()
    for value, text in items:
        combo.addItem(text, value)
        combo.setItemData(combo.count() - 1, text, Qt.ItemDataRole.ToolTipRole)
    combo.setCurrentIndex(max(0, combo.findData(chosen)) if items else -1)
    combo.blockSignals(blocked)


def choose(combo: QComboBox, value: str) -> None:
    """Choose the item whose value is ``value`` without a signal.

    Raises
    ------
    KeyError
        If there is no such item.
    """
    index = combo.findData(value)
    if index < 0:
        raise KeyError(f"{combo.accessibleName()!r} has no item {value!r}")
    blocked = combo.blockSignals(True)
    combo.setCurrentIndex(index)
    combo.blockSignals(blocked)
