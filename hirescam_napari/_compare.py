"""Comparisons in a session: what is compared becomes cells, lists and sentences; long work runs on a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from hirescam_napari._cell_canvas import CellCanvas
from hirescam_napari._cells import GridPlan, can_show, methods_grid, models_grid, placements_grid, sheet_grid
from hirescam_napari._compare_cohort import CohortComparer, Sheet
from hirescam_napari._compare_lists import CompareLists
from hirescam_napari._compare_recall import Recaller
from hirescam_napari._controller import Controller
from hirescam_napari._engine import Engine, Request
from hirescam_napari._resolve import error_text
from hirescam_napari._runner import Runner, quick
from hirescam_napari._workers import Job, explain_work
from hirescam_napari.views.compare import ComparePanel, Mode
from training.cohort.results import CohortStore
from training.cohort.store import read_case
from training.evaluate.compare import check_comparable
from training.explain.result import Explanation
from training.issues import InputError

TITLE = "Comparing"


class Comparer(QObject):
    """Shows comparisons in the session's viewer and fills the panel's lists.

    Parameters
    ----------
    controller
        The session's.
    panel
        Asks, and is told how it goes.
    engine
        Runs the second model.
    """

    caseRequested = Signal(object, str, str)
    """Open a case (store, case, label) of a cohort."""
    ended = Signal()
    """Work is done, was cancelled or failed."""

    def __init__(
        self, controller: Controller, panel: ComparePanel, engine: Engine, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.controller, self.panel, self.engine = controller, panel, engine
        self.other: Explanation | None = None
        self.runner = Runner(panel, TITLE, self._on_failed, parent=self)
        self.lists = CompareLists(controller, panel)
        self.cohort = CohortComparer(controller, panel, self.runner, self)
        self.recaller = Recaller(self)
        self._single, self._cells = controller.canvas, CellCanvas(controller.viewer, self.build)
        self._connect()

    # ---- what can be asked for

    @property
    def comparing(self) -> bool:
        """True while the viewer shows a comparison."""
        return self.controller.canvas is self._cells

    @property
    def running(self) -> bool:
        """True while work is under way."""
        return self.runner.running

    def start(self) -> None:
        """Show the comparison in the viewer, if there is anything to compare."""
        if not self.comparing and self.build() is not None:
            self.controller.use_canvas(self._cells)
        self._tell()

    def stop(self) -> None:
        """Go back to the single view; from a sheet, which shows no slice of the open case, to its top slice."""
        if self.comparing:
            from_sheet = not self._cells.follows_slices
            self.controller.use_canvas(self._single)
            if from_sheet:
                self.controller.go_to_top_slice()
        self._tell()

    def build(self) -> GridPlan | None:
        """Return the cells of what is compared now; None if there is nothing to compare."""
        state, case, mode = self.controller.state, self.controller.case, self.panel.chosen_mode
        if mode == "methods":
            return methods_grid(state, case)
        if mode == "placements":
            return placements_grid(state, case)
        if mode == "models":
            return None if self.other is None else models_grid(state, case, self.other)
        sheet = self._sheet
        return None if sheet is None else sheet_grid(sheet.tiles, sheet.label, sheet.method, sheet.about)

    @property
    def _sheet(self) -> Sheet | None:
        """The sheet that was made last; None once the case beside which it was made is closed."""
        return None if self.controller.case.explanation is None else self.cohort.sheet

    @property
    def ready(self) -> bool:
        """True if there is something to compare; unlike :meth:`build` it works nothing out."""
        mode = self.panel.chosen_mode
        if mode == "cases":
            return self._sheet is not None and bool(self._sheet.tiles)
        has_map = can_show(self.controller.state, self.controller.case)
        return has_map and (mode != "models" or self.other is not None)

    def update(self) -> None:
        """Bring the panel up to date with the session; lists are worked out only while somebody sees them."""
        case = self.controller.case
        if self.other is not None and not _belong(case.explanation, self.other):
            self.other = None
        self.lists.update(self.other)
        self._on_state()
        if self.comparing and self.build() is None:
            self.stop()
        self._tell()

    def on_case(self) -> None:
        """Take note that another case is open; a sheet of many cases gives way to it."""
        if self.panel.chosen_mode == "cases":
            self.stop()
        self.update()

    def set_other(self, explanation: Explanation) -> None:
        """Compare the open result with another one of the same CT, and show that.

        Raises
        ------
        InputError
            If they do not belong together.
        """
        first = self.controller.case.explanation
        if first is None:
            return
        check_comparable(first, explanation)
        self.other = explanation
        self.recaller.remember(explanation)
        self.panel.set_mode("models")
        self.panel.set_status(f"{first.model.name} beside {explanation.model.name}.")
        self.update()
        self.start()
        self.controller.refresh()

    def run_second(self, model: str) -> Job | None:
        """Run another model on the open CT in the background; None without a CT."""
        volume = self.controller.case.volume
        if volume is None:
            self.panel.set_status("Open the CT to run another model on it, or open a stored result of it.")
            return None
        self.panel.set_status("")
        return self.runner.start(explain_work(self.engine, Request(volume, model, "auto", "fp32")), self._on_other)

    def open_result(self, path: Path) -> Job:
        """Compare with a stored result of the same CT."""
        self.panel.set_status("")
        return self.runner.start(quick(lambda: read_case(path)), self._on_other)

    def recall(
        self, wanted: Mapping[str, Any] | None, then: Callable[[], object], store: CohortStore | None = None
    ) -> None:
        """Show a comparison as it was saved, or the single view for None, and call ``then``.

        See :class:`hirescam_napari._compare_recall.Recaller`.
        """
        self.recaller.recall(wanted, then, store)

    def show_sheet(self) -> None:
        """Show the contact sheet that was made last."""
        self.panel.set_mode("cases")
        if self.comparing:
            self._show_again()
        self.start()

    def cancel(self) -> None:
        """Give the work up."""
        self.runner.cancel()

    def wait(self, seconds: float) -> None:
        """Let the thread end."""
        self.runner.wait(seconds)

    # ---- work

    def _on_failed(self, failure: Exception) -> None:
        self.panel.set_status(error_text(failure))

    def _on_other(self, explanation: Explanation) -> None:
        try:
            self.set_other(explanation)
        except InputError as refused:
            self.panel.set_status(error_text(refused))

    def _on_state(self) -> None:
        self.panel.set_ready(self.ready)
        self.lists.show_state(self.other)

    # ---- panel

    def _connect(self) -> None:
        panel = self.panel
        panel.modeChanged.connect(self._on_mode)
        panel.startRequested.connect(self.start)
        panel.stopRequested.connect(self.stop)
        panel.cancelRequested.connect(self.cancel)
        panel.runModelRequested.connect(self.run_second)
        panel.openModelRequested.connect(self._browse_model)
        panel.openResultRequested.connect(self._browse_result)
        panel.openStoreRequested.connect(self._browse_store)
        panel.rankCohortRequested.connect(
            lambda: self._browse_store() if self.cohort.store is None else self.cohort.rank()
        )
        panel.sheetRequested.connect(self.cohort.make_sheet)
        panel.saveSheetRequested.connect(self._browse_sheet)
        panel.labels.rowChosen.connect(lambda row: self.controller.select(self.lists.ranked[row].label))
        panel.models.rowChosen.connect(lambda row: self.controller.select(self.lists.pairs[row].label))
        self.cohort.sheetMade.connect(self.show_sheet)
        self.cohort.chosen.connect(self._open_case)
        self.runner.ended.connect(self.ended)
        self.controller.state.events.connect(self._on_state)

    def _on_mode(self, _mode: Mode) -> None:
        self.update()
        if self.comparing:
            self._show_again()

    def _show_again(self) -> None:
        """Show what is compared now; between slices of one case and a sheet of many everything is drawn anew."""
        was_sheet = not self._cells.follows_slices
        if not was_sheet and self.panel.chosen_mode != "cases":
            self.controller.refresh()
            return
        self.controller.use_canvas(self._cells)
        if was_sheet and self._cells.follows_slices:
            self.controller.go_to_top_slice()

    def _open_case(self, store: CohortStore, case: str, label: str) -> None:
        self.stop()
        self.caseRequested.emit(store, case, label)

    def _tell(self) -> None:
        self.panel.set_comparing(self.comparing)
        self.panel.set_ready(self.build() is not None)

    def _browse_model(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self.panel, "Second model", "", "Checkpoints (*.safetensors)")
        if path:
            self.run_second(path)

    def _browse_result(self) -> None:
        path = QFileDialog.getExistingDirectory(self.panel, "A result of `hirescam explain` for the same CT")
        if path:
            self.open_result(Path(path))

    def _browse_store(self) -> None:
        path = QFileDialog.getExistingDirectory(self.panel, "A cohort made by `hirescam batch`")
        if path:
            self.cohort.open(Path(path))

    def _browse_sheet(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self.panel, "Save the sheet", "", "Figures (*.png *.pdf *.svg)")
        if path:
            self.cohort.save_sheet(Path(path))


def _belong(first: Explanation | None, second: Explanation) -> bool:
    """Return True if both results are of the same CT; results that do not say so are taken to be only while open."""
    if first is None:
        return False
    pixels = [one.provenance.get("pixels_sha256", "") for one in (first, second)]
    return pixels[0] == pixels[1]
