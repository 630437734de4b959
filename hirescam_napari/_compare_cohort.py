"""Comparing cases of a cohort: the store, its ranking, and contact sheets with the report that goes with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qtpy.QtCore import QObject, Signal

from hirescam_napari._compare_rows import tile_row
from hirescam_napari._controller import Controller
from hirescam_napari._engine import IsCancelled, Progress
from hirescam_napari._resolve import error_text
from hirescam_napari._runner import Runner, quick
from hirescam_napari._state import WINDOWS
from hirescam_napari._workers import Job
from hirescam_napari.views._words import signed_share
from hirescam_napari.views.compare import ComparePanel, SheetChoice
from training.cohort.results import CohortStore, open_store
from training.cohort.run_report import report_beside
from training.evaluate.compare import Disagreement, Order, cohort_disagreements, sheet_entries
from training.evaluate.sheet_file import is_sheet_name, sheet_issues, write_sheet
from training.evaluate.sheet_tiles import Tile, read_tiles
from training.explain.placement import Placement
from training.explain.result import Method
from training.issues import InputError
from training.labels import display_name
from training.words import counted


class Sheet(NamedTuple):
    """A contact sheet as it is shown, and how many seconds it took to read."""

    label: str
    method: Method
    placement: Placement
    tiles: list[Tile]
    order: Order
    seconds: float
    store: CohortStore

    @property
    def about(self) -> dict[str, Any]:
        """What is on the sheet, as plain JSON types (see :class:`hirescam_napari._cells.GridPlan`)."""
        return {
            "kind": "cases",
            "methods": [self.method],
            "label": self.label,
            "placement": self.placement,
            "order": self.order,
            "with_cts": any(tile.has_ct for tile in self.tiles),
            "cases": [tile.entry.case for tile in self.tiles],
            "store": {"name": self.store.path.name, "sha256": self.store.sha256},
        }


class CohortComparer(QObject):
    """The part of the comparison that is about a cohort.

    Parameters
    ----------
    controller
        The session's.
    panel
        Asks, and is told.
    runner
        Does the work.
    """

    sheetMade = Signal()
    """There is another contact sheet to be shown."""
    chosen = Signal(object, str, str)
    """A case (store, case, label) is to be opened."""

    def __init__(
        self, controller: Controller, panel: ComparePanel, runner: Runner, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.controller, self.panel, self.runner = controller, panel, runner
        self.store: CohortStore | None = None
        self.sheet: Sheet | None = None
        self.ranked: list[Disagreement] = []
        panel.cohort.rowChosen.connect(self._open_ranked)
        panel.cases.cellDoubleClicked.connect(self._open_of_sheet)

    def open(self, path: Path) -> Job:
        """Open a cohort store to compare cases of."""
        return self._start(quick(lambda: open_store(path)), self.use)

    def rank(self) -> Job | None:
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
        return self.make(store, label, method, state.placement, choice)

    def make(self, store: CohortStore, label: str, method: Method, placement: Placement, choice: SheetChoice) -> Job:
        """Make a contact sheet of ``store``, which is compared in from then on."""
        if store is not self.store:
            self.use(store)

        def work(progress: Progress, cancelled: IsCancelled) -> Sheet:
            start = time.perf_counter()
            entries = sheet_entries(store, label, choice.order, choice.count, progress, cancelled)
            tiles = read_tiles(store, label, entries, method, placement, choice.with_cts, progress, cancelled)
            return Sheet(label, method, placement, tiles, choice.order, time.perf_counter() - start, store)

        return self._start(work, self._on_sheet)

    def save_sheet(self, path: Path) -> None:
        """Write the sheet that is shown to ``path``: PNG, PDF or SVG by its ending."""
        if self.sheet is None or self.store is None or not is_sheet_name(path):
            self.panel.set_status("Make a sheet first, and name a .png, .pdf or .svg file.")
            return
        label, method, placement, tiles, order, seconds, _ = self.sheet
        window = WINDOWS[self.controller.state.window].limits_hu
        try:
            write_sheet(path, self.store, label, tiles, method, placement, window, {"reading": seconds}, order)
            issues = sheet_issues(self.store, tiles)
        except InputError as refused:
            self.panel.set_status(error_text(refused))
            return
        said = [f"Saved {path.name}, with the report {report_beside(path).name} beside it.", *map(str, issues)]
        self.panel.set_status("\n".join(said))

    def _start(self, work: Callable[[Progress, IsCancelled], object], done: Callable[..., object]) -> Job:
        self.panel.set_status("")
        return self.runner.start(work, done)

    def use(self, store: CohortStore) -> None:
        """Compare cases of ``store`` from now on."""
        self.store = store
        words = f"{counted(len(store), 'case')}, model {store.model.name}"
        self.panel.store_words.setText(words)
        self.panel.set_status(f"Opened a cohort: {words}.")

    def _on_ranked(self, found: Sequence[Disagreement]) -> None:
        self.ranked = list(found)
        rows = [(f"{one.case} · {display_name(one.label)}", signed_share(one.value)) for one in found]
        self.panel.cohort.set_rows(rows)
        found_words = f"{len(rows)} predicted abnormalities of the cohort, worst first. Click one to open it."
        self.panel.set_status(found_words if rows else "The model predicts nothing in this cohort.")

    def _on_sheet(self, sheet: Sheet) -> None:
        self.sheet = sheet
        rows = [tile_row(tile, sheet.order) for tile in sheet.tiles]
        self.panel.show_cases(rows, with_disagreement=sheet.order == "disagreement")
        self.sheetMade.emit()
        missing = sum(not tile.has_ct for tile in sheet.tiles)
        every = counted(len(rows), "case")
        self.panel.set_status(f"{missing} of {every} without CT." if missing else f"{every}.")

    def _open_ranked(self, row: int) -> None:
        one = self.ranked[row]
        self.chosen.emit(self.store, one.case, one.label)

    def _open_of_sheet(self, row: int) -> None:
        if self.sheet is not None:
            self.chosen.emit(self.store, self.sheet.tiles[row].entry.case, self.sheet.label)
