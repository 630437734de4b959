"""The audit's dock: the list of predictions, judging, what to look at, progress."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSplitter, QTabWidget, QVBoxLayout, QWidget

from hirescam_napari.views._layout import WrappedLabel, scrolled, stacked
from hirescam_napari.views.audit_filter import AuditFilter
from hirescam_napari.views.audit_judge import AuditJudge, AuditProgress
from hirescam_napari.views.audit_queue import AuditQueue

NOTHING_OPEN = "Open a cohort store that `hirescam batch` made."
MINIMUM_WIDTH_PX = 320


class AuditPanel(QWidget):
    """Composes the parts of an audit. Emits ``openRequested`` and ``exportRequested``."""

    openRequested = Signal()
    exportRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Audit")
        self.head, self.position = WrappedLabel(NOTHING_OPEN, self), QLabel(self)
        self.queue, self.judge = AuditQueue(self), AuditJudge(self)
        self.filter, self.progress = AuditFilter(self), AuditProgress(self)
        self.summary = WrappedLabel("", self)
        self.keys = WrappedLabel("", self)
        self.open_button = QPushButton("Open store…", self)
        self.export_button = QPushButton("Write the report…", self)
        self.tabs = QTabWidget(self)
        self._lay_out()
        self.open_button.clicked.connect(self.openRequested)
        self.export_button.clicked.connect(self.exportRequested)
        self.set_open(False)

    def set_open(self, is_open: bool, words: str = NOTHING_OPEN) -> None:
        """Show that a store is open, with ``words`` about it, or that none is."""
        self.head.setText(words)
        self.tabs.setEnabled(is_open)
        self.queue.setEnabled(is_open)

    def set_position(self, row: int | None, length: int) -> None:
        """Show which of how many predictions is judged."""
        self.position.setText("Nothing to look at" if row is None else f"{row + 1:,} of {length:,}")

    def _lay_out(self) -> None:
        judging = QSplitter(Qt.Orientation.Vertical, self)
        judging.addWidget(self.queue)
        judging.addWidget(scrolled(self.judge))
        judging.setChildrenCollapsible(False)
        judging.setSizes([140, 470])
        self.tabs.addTab(judging, "Judge")
        self.filter_tab = self.tabs.addTab(scrolled(self.filter), "Look at")
        self.progress_tab = self.tabs.addTab(
            scrolled(stacked(self.summary, self.export_button, self.progress, margin=2)), "Progress"
        )
        self.tabs.addTab(scrolled(stacked(self.keys, margin=2)), "Keys")
        top = QHBoxLayout()
        top.addWidget(self.position, 1)
        top.addWidget(self.open_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(2)
        layout.addWidget(self.head)
        layout.addLayout(top)
        layout.addWidget(self.tabs, 1)
        self.setMinimumWidth(MINIMUM_WIDTH_PX)
