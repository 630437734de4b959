"""How the dock's panels stand: a header, tabs, and pages beside the table of abnormalities."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QSplitter, QTabWidget, QVBoxLayout, QWidget

from hirescam_napari import _keys
from hirescam_napari._panels import DockPanels
from hirescam_napari.views._layout import WrappedLabel, scrolled, stacked

HEADER_LINES = 3
"""Room for the title of a case; longer ones scroll."""

NARROWEST_PX = 330

BADGE_PX = 116
"""Height for what a map guarantees: a headline of three lines and two lines below it, at the usual font."""


class DockPages:
    """Lays the panels out in ``dock``.

    Parameters
    ----------
    dock
        The widget that they stand in.
    panels
        Those that show a case.
    run, repair_button, compare, export
        The panels of these tabs.
    """

    def __init__(
        self,
        dock: QWidget,
        panels: DockPanels,
        run: QWidget,
        repair_button: QPushButton,
        compare: QWidget,
        export: QWidget,
    ) -> None:
        self.tabs, self.pages = QTabWidget(dock), QTabWidget(dock)
        self.run_tab = scrolled(stacked(run, repair_button))
        self._add_pages(panels)
        keys = WrappedLabel(_keys.help_text(), dock)
        for widget, name in (
            (self._abnormalities(panels, dock), "Abnormalities"),
            (scrolled(panels.details.organs), "Organs"),
            (self.run_tab, "Run"),
            (scrolled(stacked(panels.display, keys)), "Display"),
            (scrolled(compare), "Compare"),
            (scrolled(export), "Export"),
        ):
            self.tabs.addTab(widget, name)
        self.show_run()
        layout = QVBoxLayout(dock)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(2)
        layout.addWidget(_of_fixed_height(panels.header, HEADER_LINES))
        layout.addWidget(self.tabs, 1)
        layout.addWidget(panels.readout)
        dock.setMinimumWidth(NARROWEST_PX)

    def show_abnormalities(self) -> None:
        """Show the tab of abnormalities."""
        self.tabs.setCurrentIndex(0)

    def show_run(self) -> None:
        """Show the tab of the run."""
        self.tabs.setCurrentWidget(self.run_tab)

    def show_page(self, name: str) -> None:
        """Show a page of the abnormalities' tab: Slices, Budget or Report."""
        names = [self.pages.tabText(i) for i in range(self.pages.count())]
        self.pages.setCurrentIndex(names.index(name))
        self.show_abnormalities()

    def _add_pages(self, panels: DockPanels) -> None:
        details = panels.details
        self.pages.addTab(panels.plot, "Slices")
        self.pages.addTab(scrolled(details.budget), "Budget")
        self.pages.addTab(details.report, "Report")

    def _abnormalities(self, panels: DockPanels, dock: QWidget) -> QSplitter:
        split = QSplitter(Qt.Orientation.Vertical, dock)
        for widget in (panels.table, self.pages, scrolled(panels.badge)):
            split.addWidget(widget)
        split.setChildrenCollapsible(False)
        for place, share in enumerate((1, 1, 0)):
            split.setStretchFactor(place, share)
        split.setSizes([195, 300, BADGE_PX])
        return split


def _of_fixed_height(panel: QWidget, lines: int) -> QWidget:
    """Return ``panel`` in an area of fixed height, so that new text in it does not lay out the whole window again."""
    area = scrolled(panel)
    area.setFixedHeight(lines * panel.fontMetrics().lineSpacing() + 26)
    return area
