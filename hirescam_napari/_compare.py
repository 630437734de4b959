"""Comparisons in a session: what is compared becomes cells, lists and sentences; long work runs on a worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QFileDialog

from hirescam_napari._cell_canvas import CellCanvas
from hirescam_napari._cells import GridPlan, can_show, methods_grid, models_grid, placements_grid, sheet_grid
from hirescam_napari._compare_rows import budget_rows, disagreement_row, pair_row
from hirescam_napari._controller import Controller
from hirescam_napari._engine import Engine, IsCancelled, Progress, Request
from hirescam_napari._resolve import error_text
from hirescam_napari._state import WINDOWS
from hirescam_napari._workers import Function, Job, explain_work
from hirescam_napari.views._words import percent, signed
from hirescam_napari.views.compare import ComparePanel, Mode, SheetChoice
from training.cohort.results import CohortStore, open_store
from training.cohort.run_report import report_beside
from training.cohort.store import read_case
from training.evaluate.compare import (
    Disagreement,
    ModelPair,
    SheetEntry,
    budget_of_label,
    check_comparable,
    cohort_disagreements,
    compare_models,
    method_disagreements,
    sheet_entries,
    shift_words,
)
from training.evaluate.contact_sheet import Tile, read_tiles
from training.evaluate.sheet_file import is_sheet_name, sheet_issues, write_sheet
from training.explain.budget import ScoreBudget
from training.explain.placement import Placement
from training.explain.result import Explanation, Method
from training.issues import InputError
from training.labels import display_name, is_known
from training.partition.cells import OrganCells, organ_cells_at

NEEDS_ORGANS = "Find the organs first (tab Organs); the ranking and the budgets need them."
TITLE = "Comparing"


class Sheet(NamedTuple):
    """A contact sheet as it is shown, and how many seconds it took to read."""

    label: str
    method: Method
    placement: Placement
    tiles: list[Tile]
    seconds: float


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
        self.store: CohortStore | None = None
        self.sheet: Sheet | None = None
        self.job: Job | None = None
        self._single, self._cells = controller.canvas, CellCanvas(controller.viewer, self.build)
        self._ranked: list[Disagreement] = []
        self._cohort: list[Disagreement] = []
        self._pairs: list[ModelPair] = []
        self._known: tuple[object, ...] = ()
        self._connect()

    # ---- what can be asked for

    @property
    def comparing(self) -> bool:
        """True while the viewer shows a comparison."""
        return self.controller.canvas is self._cells

    @property
    def running(self) -> bool:
        """True while work is under way."""
        return self.job is not None and self.job.running

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
        return None if self.sheet is None else sheet_grid(self.sheet.tiles, self.sheet.label, self.sheet.method)

    @property
    def ready(self) -> bool:
        """True if there is something to compare; unlike :meth:`build` it works nothing out."""
        mode = self.panel.chosen_mode
        if mode == "cases":
            return self.sheet is not None and bool(self.sheet.tiles)
        has_map = can_show(self.controller.state, self.controller.case)
        return has_map and (mode != "models" or self.other is not None)

    def update(self) -> None:
        """Bring the panel up to date with the session; lists are worked out only while somebody sees them."""
        case = self.controller.case
        if self.other is not None and not _belong(case.explanation, self.other):
            self.other = None
        known = (case.explanation, self.other, case.cells.get(self.controller.state.placement), case.report)
        if self.panel.isVisible() and any(a is not b for a, b in zip(known, self._known or (None,) * 4, strict=True)):
            self._known = known
            self._fill_methods()
            self._fill_models()
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
        return self._start(explain_work(self.engine, Request(volume, model, "auto", "fp32")), self._on_other)

    def open_result(self, path: Path) -> Job:
        """Compare with a stored result of the same CT."""
        return self._start(_quick(lambda: read_case(path)), self._on_other)

    def open_cohort(self, path: Path) -> Job:
        """Open a cohort store to compare cases of."""
        return self._start(_quick(lambda: open_store(path)), self._on_store)

    def rank_cohort(self) -> Job | None:
        """Rank the cohort's predicted labels by how far the methods disagree; None if no cohort is open."""
        store = self.store
        if store is None:
            return None

        def work(progress: Progress, cancelled: IsCancelled) -> list[Disagreement]:
            return cohort_disagreements(store, progress=progress, cancelled=cancelled)

        return self._start(work, self._on_ranked)

    def make_sheet(self, choice: SheetChoice) -> Job | None:
        """Make the contact sheet of the selected abnormality; None if no cohort is open, or it has no such label."""
        store, state = self.store, self.controller.state
        label = state.label if store is not None and state.label in store.labels else None
        if store is None or label is None:
            self.panel.set_status("Open a cohort that has the selected abnormality first.")
            return None
        method: Method = state.methods[0] if state.methods else "hirescam"
        placement = state.placement

        def work(progress: Progress, cancelled: IsCancelled) -> Sheet:
            start = time.perf_counter()
            entries = sheet_entries(store, label, choice.order, choice.count, progress, cancelled)
            tiles = read_tiles(store, label, entries, method, placement, choice.with_cts, progress, cancelled)
            return Sheet(label, method, placement, tiles, time.perf_counter() - start)

        return self._start(work, self._on_sheet)

    def save_sheet(self, path: Path) -> None:
        """Write the sheet that is shown to ``path``: PNG, PDF or SVG by its ending."""
        if self.sheet is None or self.store is None or not is_sheet_name(path):
            self.panel.set_status("Make a sheet first, and name a .png, .pdf or .svg file.")
            return
        label, method, placement, tiles, seconds = self.sheet
        window = WINDOWS[self.controller.state.window].limits_hu
        try:
            write_sheet(path, self.store, label, tiles, method, placement, window, {"reading": seconds})
            issues = sheet_issues(self.store, tiles)
        except InputError as refused:
            self.panel.set_status(error_text(refused))
            return
        said = [f"Saved {path.name}, with the report {report_beside(path).name} beside it.", *map(str, issues)]
        self.panel.set_status("\n".join(said))

    def cancel(self) -> None:
        """Give the work up."""
        if self.job is not None and self.job.running:
            self.job.cancel()

    def wait(self, seconds: float) -> None:
        """Let the thread end."""
        if self.job is not None:
            self.job.wait(seconds)

    # ---- work

    def _start(self, function: Function, done: Any) -> Job:
        self.cancel()
        job = self.job = Job(function, TITLE, self)
        job.progressed.connect(self.panel.set_progress)
        job.succeeded.connect(done)
        job.failed.connect(lambda failure: self.panel.set_status(error_text(failure)))
        job.cancelled.connect(lambda: self.panel.set_status("Cancelled; nothing was changed."))
        for signal in (job.succeeded, job.failed, job.cancelled):
            signal.connect(lambda *_: QTimer.singleShot(0, self._on_ended))
        self.panel.set_status("")
        self.panel.set_running(True)
        job.start()
        return job

    def _on_ended(self) -> None:
        if not self.running:
            self.panel.set_running(False)
            self.ended.emit()

    def _on_other(self, explanation: Explanation) -> None:
        try:
            self.set_other(explanation)
        except InputError as refused:
            self.panel.set_status(error_text(refused))

    def _on_store(self, store: CohortStore) -> None:
        self.store = store
        words = f"{len(store)} cases, model {store.model.name}"
        self.panel.store_words.setText(words)
        self.panel.set_status(f"Opened a cohort: {words}.")

    def _on_ranked(self, found: Sequence[Disagreement]) -> None:
        self._cohort = list(found)
        rows = [(f"{one.case} · {display_name(one.label)}", signed(one.value)) for one in found]
        self.panel.cohort.set_rows(rows)
        found_words = f"{len(rows)} predicted abnormalities of the cohort, worst first. Click one to open it."
        self.panel.set_status(found_words if rows else "The model predicts nothing in this cohort.")

    def _on_sheet(self, sheet: Sheet) -> None:
        self.sheet = sheet
        rows = [(tile.entry.case, percent(tile.entry.probability), tile.outcome) for tile in sheet.tiles]
        self.panel.cases.set_rows(rows)
        self.panel.set_mode("cases")
        if self.comparing:
            self._show_again()
        self.start()
        missing = sum(not tile.has_ct for tile in sheet.tiles)
        self.panel.set_status(f"{missing} of {len(rows)} without their CT." if missing else f"{len(rows)} cases.")

    # ---- lists and sentences

    def _fill_methods(self) -> None:
        case, placement = self.controller.case, self.controller.state.placement
        cells = case.cells.get(placement)
        if case.explanation is None or not case.explanation.has_maps or cells is None:
            self._ranked = []
            self.panel.methods_words.setText("" if case.explanation is None else NEEDS_ORGANS)
        else:
            self._ranked = method_disagreements(case.explanation, cells, sides_of=case.sides)
            self.panel.methods_words.setText("")
        self.panel.labels.set_rows([disagreement_row(one) for one in self._ranked])

    def _fill_models(self) -> None:
        first = self.controller.case.explanation
        self._pairs = [] if first is None or self.other is None else compare_models(first, self.other)
        self.panel.models.set_rows([pair_row(one) for one in self._pairs])

    def _on_state(self) -> None:
        case, label = self.controller.case, self.controller.state.label
        self.panel.set_ready(self.ready)
        has_maps = case.explanation is not None and case.explanation.has_maps
        self.panel.shift.setText(shift_words(case.explanation) if has_maps and case.explanation is not None else "")
        budgets = None if label is None else self._budgets(label)
        self.panel.budgets.set_rows(() if budgets is None else budget_rows(*budgets))
        self.panel.budget_words.setText(NEEDS_ORGANS if self.other is not None and budgets is None else "")

    def _budgets(self, label: str) -> tuple[ScoreBudget, ScoreBudget] | None:
        """Return the budgets of both models; None without organs, or where a label or a map is missing."""
        case, other = self.controller.case, self.other
        if other is None or label not in other.labels or not is_known(label) or not other.has_maps:
            return None
        first, cells = case.budget(label, self.controller.state.placement), self._cells_of(other)
        if first is None or cells is None:
            return None
        return first, budget_of_label(other, cells, label, case.sides(label))

    def _cells_of(self, other: Explanation) -> OrganCells | None:
        case, placement = self.controller.case, self.controller.state.placement
        own = case.explanation
        if own is not None and own.cells == other.cells and own.input_geometry.allclose(other.input_geometry):
            return case.cells.get(placement)
        if case.organs is None or case.organs.body is None:
            return None
        return organ_cells_at(case.organs, other.input_geometry, other.cells, placement)

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
        panel.rankCohortRequested.connect(lambda: self._browse_store() if self.store is None else self.rank_cohort())
        panel.sheetRequested.connect(self.make_sheet)
        panel.saveSheetRequested.connect(self._browse_sheet)
        panel.labels.rowChosen.connect(lambda row: self.controller.select(self._ranked[row].label))
        panel.models.rowChosen.connect(lambda row: self.controller.select(self._pairs[row].label))
        panel.cohort.rowChosen.connect(self._open_ranked)
        panel.cases.cellDoubleClicked.connect(self._open_of_sheet)
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

    def _open_ranked(self, row: int) -> None:
        one = self._cohort[row]
        self.stop()
        self.caseRequested.emit(self.store, one.case, one.label)

    def _open_of_sheet(self, row: int) -> None:
        if self.sheet is not None:
            entry: SheetEntry = self.sheet.tiles[row].entry
            self.stop()
            self.caseRequested.emit(self.store, entry.case, self.sheet.label)

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
            self.open_cohort(Path(path))

    def _browse_sheet(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self.panel, "Save the sheet", "", "Figures (*.png *.pdf *.svg)")
        if path:
            self.save_sheet(Path(path))


def _belong(first: Explanation | None, second: Explanation) -> bool:
    """Return True if both results are of the same CT; results that do not say so are taken to be only while open."""
    if first is None:
        return False
    pixels = [one.provenance.get("pixels_sha256", "") for one in (first, second)]
    return pixels[0] == pixels[1]


def _quick(function: Any) -> Function:
    """Return work of one step."""

    def work(progress: Progress, _cancelled: IsCancelled) -> object:
        progress(0, 0, "opening")
        return function()

    return work
