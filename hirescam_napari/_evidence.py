"""What stands behind a score, for one session: organs found when they are shown, and the report that is attached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QInputDialog, QWidget

from hirescam_napari._controller import Controller
from hirescam_napari._details import DetailPanels
from hirescam_napari._organ_work import OrganFinder
from hirescam_napari._reports import REPORT_FILES, Report, labelled, names_of, report_of, reports_in
from hirescam_napari.views.organs import OrganChoice
from training.issues import InputError


class Evidence(QObject):
    """Ties the panels for organs, budget and report to the controller and the worker.

    Parameters
    ----------
    controller
        Of the session.
    details
        The panels.
    paths
        Gives what the open case was opened from, by which its row in a table of reports is found.
    parent
        Window of the dialogs.
    """

    refused = Signal(object)
    """A report could not be used; carries the :class:`InputError`."""
    attached = Signal()
    """A report is shown."""

    def __init__(
        self,
        controller: Controller,
        details: DetailPanels,
        paths: Callable[[], tuple[Path, ...]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.controller, self.details = controller, details
        self.finder = OrganFinder(controller, self._wanted, self)
        self._paths, self._window = paths, parent
        self._connect()

    def find_organs(self) -> None:
        """Find the organs of the open CT in the background and show them, with the abnormality's region."""
        self.controller.change(show_organs=True, show_region=True)
        self.finder.find()

    def attach_report(self, path: str | Path) -> None:
        """Show a report with the case: a text file, or a CSV, whose row is found by the case's name or chosen."""
        try:
            reports = reports_in(Path(path))
            chosen = report_of(reports, names_of(self._paths(), self._case_id)) or self._choose(reports)
        except InputError as refused:
            self.refused.emit(refused)
            return
        if chosen is not None:
            self.controller.attach_report(labelled(chosen))
            self.attached.emit()

    def show(self) -> None:
        """Bring the panels that have come into view up to date, and find what they need."""
        self.details.refresh()
        self.finder.update()

    def _wanted(self) -> bool:
        return self.controller.state.show_region or self.details.needs_organs

    @property
    def _case_id(self) -> str:
        volume = self.controller.case.volume
        return "" if volume is None else volume.case_id

    def _connect(self) -> None:
        organs, report, finder = self.details.organs, self.details.report, self.finder
        organs.findRequested.connect(self.find_organs)
        organs.cancelRequested.connect(finder.cancel)
        organs.changed.connect(self._on_choice)
        self.details.budget.button.clicked.connect(lambda: finder.cancel() if finder.running else finder.find())
        report.attachRequested.connect(self._browse)
        report.removeRequested.connect(lambda: self.controller.attach_report(None))
        finder.progressed.connect(organs.set_progress)
        finder.changed.connect(lambda: self.details.show_work(finder.running, finder.problem))
        self.controller.state.events.connect(finder.update)

    def _on_choice(self, choice: OrganChoice) -> None:
        self.controller.change(
            show_organs=choice.shown,
            fill_organs=choice.filled,
            organ_opacity=choice.opacity,
            show_region=choice.region,
        )

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self._window, "Attach a report", "", REPORT_FILES)
        if path:
            self.attach_report(path)

    def _choose(self, reports: Sequence[Report]) -> Report | None:
        names = [report.case for report in reports]
        name, chosen = QInputDialog.getItem(self._window, "Attach a report", "Which case is this?", names, 0, False)
        return reports[names.index(name)] if chosen else None
