"""The dock widget: run, abnormalities, display; it composes the panels and starts the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import Signal
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from hirescam_napari import _keys
from hirescam_napari._case import Case
from hirescam_napari._cohort import stored_case
from hirescam_napari._compare import Comparer
from hirescam_napari._controller import Controller, Ticket
from hirescam_napari._dock_pages import DockPages
from hirescam_napari._engine import Engine, IsCancelled, Progress, Request
from hirescam_napari._evidence import Evidence
from hirescam_napari._exports import Exporter
from hirescam_napari._foreign import ForeignLayers
from hirescam_napari._offers import CT_FILES, MODELS, devices_here
from hirescam_napari._panels import DockPanels
from hirescam_napari._resolve import error_text
from hirescam_napari._runner import Runner
from hirescam_napari._settings import initial_state
from hirescam_napari._sliders import Sliders
from hirescam_napari._snapshot import restore_choices, restore_place
from hirescam_napari._state import Layout
from hirescam_napari._workers import Function, Job, explain_work, load_work, series_work
from hirescam_napari.views._layout import outermost
from hirescam_napari.views.compare import ComparePanel
from hirescam_napari.views.display_panel import DisplayChoice
from hirescam_napari.views.export_panel import ExportPanel
from hirescam_napari.views.run_panel import RunPanel, RunRequest
from hirescam_napari.views.series_chooser import SeriesChooser
from training.cohort.results import CohortStore
from training.explain.result import Explanation
from training.io import SeriesChoiceNeeded, SeriesInfo
from training.issues import InputError, Issue, error
from training.words import caution_words

CLOSE_WAIT_S = 1.0
"""How long a closing window waits for its thread."""

TITLE = "HiResCAM"
"""Of the dock and of every task it starts."""


class HiResCamWidget(QWidget):
    """One session: open a CT, run a model, click through the abnormalities.

    Parameters
    ----------
    napari_viewer
        The viewer to draw in; napari gives it.
    engine
        The process that runs models; one of its own by default.
    """

    idle = Signal()
    """No work is under way any more."""

    def __init__(self, napari_viewer: Viewer, engine: Engine | None = None) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.engine = Engine() if engine is None else engine
        self.panels = DockPanels(self)
        self.run_panel, self.export_panel, self.compare_panel = RunPanel(self), ExportPanel(self), ComparePanel(self)
        self.repair_button = _hidden_button("Repair and open", self)
        self.chooser: SeriesChooser | None = None
        self.last_error: Exception | None = None
        self._asked: tuple[Path, ...] = ()
        panels = (self.run_panel, self.repair_button, self.compare_panel, self.export_panel)
        self.dock_pages = DockPages(self, self.panels, *panels)
        self.tabs, self.pages = self.dock_pages.tabs, self.dock_pages.pages
        self.runner = Runner(self.run_panel, TITLE, self._on_failed, parent=self)
        self.controller = Controller(napari_viewer, self.panels, initial_state())
        self.evidence = Evidence(self.controller, self.panels.details, lambda: self._asked, self)
        self.finder = self.evidence.finder
        self.exporter = Exporter(
            self.controller, self.export_panel, self.panels.labels_in_order, lambda: self.comparer.other, self
        )
        self.comparer = Comparer(self.controller, self.compare_panel, self.engine, self)
        self.foreign = ForeignLayers(napari_viewer, self.controller, self.run_panel, self)
        self.sliders = Sliders(napari_viewer, lambda: outermost(self))
        self._connect()

    # ---- what a session can do

    def open(
        self,
        paths: Sequence[str | Path],
        series: int | None = None,
        repair: bool = False,
        then_run: RunRequest | None = None,
    ) -> Job:
        """Read a CT, a stored result or both in the background; the case that is open stays until that succeeds."""
        asked = tuple(Path(path) for path in paths)
        job = self.open_made(load_work(asked, series, repair), "Reading the CT", then_run)
        self._asked = asked
        return job

    def open_made(self, function: Function, title: str, then_run: RunRequest | None = None) -> Job:
        """Show the :class:`Case` that ``function`` makes in the background."""
        self._asked = ()
        ticket = self.controller.begin("load")
        job = self._start(function, title)
        job.succeeded.connect(lambda case: self._on_case(case, ticket, then_run))
        return job

    @property
    def busy(self) -> bool:
        """True while work is under way, finding organs and exporting included."""
        return any(one.running for one in (self.runner, self.finder, self.exporter, self.comparer))

    def run(self, request: RunRequest) -> Job | None:
        """Run a model on a CT in the background; None if the CT is refused."""
        try:
            self.foreign.take(request.ct)
        except InputError as refused:
            self._on_failed(refused)
            return None
        volume = self.controller.case.volume
        if volume is None:
            self._on_failed(InputError(error("no-ct", "no CT is open", "Open a CT first.")))
            return None
        ticket = self.controller.begin("run")
        wanted = Request(volume, request.model, request.device, request.precision)
        job = self._start(explain_work(self.engine, wanted), "Running the model")
        job.succeeded.connect(lambda explanation: self._on_explanation(explanation, ticket))
        return job

    def choose_model(self, name: str) -> None:
        """Choose a model for the next run: one that is offered, or a checkpoint file."""
        self.run_panel.add_model(name, dict(MODELS).get(name, Path(name).name))

    def cancel(self) -> None:
        """Give up what is under way."""
        self.runner.cancel()

    def show_case(self, case: Case, then_run: RunRequest | None = None) -> None:
        """Show a case that is already in memory."""
        self._on_case(case, self.controller.begin("load"), then_run)

    def exchange_case(self, case: Case, label: str, **choices: object) -> None:
        """Show ``label`` of another explained case at once, as when stepping through a cohort.

        ``choices`` are fields of the state to set as well.
        """
        self.cancel()
        self.controller.exchange_case(case, label, **choices)
        self.foreign.offer()
        self.finder.update()
        self.exporter.update()
        self.run_panel.set_issues(_issues_of(case))

    def restore_view(self, view: Mapping[str, Any], store: CohortStore | None = None) -> None:
        """Show a view as it stood (:func:`hirescam_napari._snapshot.capture`), with what was compared in it.

        A comparison whose partner has to be worked out again comes when that is done; ``store`` is a cohort that is at
        hand for sheets of cases.
        """
        restore_choices(self.controller, view)
        self.comparer.recall(view.get("comparison"), lambda: restore_place(self.controller, view), store)

    def find_organs(self) -> None:
        """Find the organs of the open CT in the background and show them, with the abnormality's region."""
        self.evidence.find_organs()

    def attach_report(self, path: str | Path) -> None:
        """Show a report with the case (see :meth:`Evidence.attach_report`); what is wrong is among the messages."""
        self.evidence.attach_report(path)

    def show_page(self, name: str) -> None:
        """Show a page of the abnormalities' tab: Slices, Budget or Report."""
        self.dock_pages.show_page(name)

    # ---- work

    def _start(self, function: Function, title: str) -> Job:
        self.last_error = None
        self.run_panel.set_issues(())
        self.repair_button.hide()
        return self.runner.start(function, title=title)

    def _tell_idle(self) -> None:
        if not self.busy:
            self.idle.emit()

    def _on_case(self, case: Case, ticket: Ticket, then_run: RunRequest | None) -> None:
        if not self.controller.open_case(case, ticket):
            return
        self.foreign.offer()
        self.finder.update()
        self.exporter.update()
        self.comparer.on_case()
        self.sliders.tidy()
        if case.second is not None:
            self.comparer.recaller.remember(case.second)
        if case.view is not None:
            self.restore_view(case.view)
        if case.volume is not None and case.explanation is None:
            self.engine.start()
        self.run_panel.set_issues(_issues_of(case))
        self.run_panel.set_status("Opened." if case.explanation is None else "Opened with its stored result.")
        if case.explanation is not None:
            self.dock_pages.show_abnormalities()
        elif then_run is not None:
            self.run(then_run)

    def _on_explanation(self, explanation: Explanation, ticket: Ticket) -> None:
        if self.controller.show_explanation(explanation, ticket):
            self.finder.update()
            self.exporter.update()
            self.comparer.update()
            self.run_panel.set_issues(explanation.issues)
            self.run_panel.set_caution(caution_words(explanation.model.training))
            self.run_panel.set_status(f"Done in {sum(explanation.seconds.values()):.1f} s on {explanation.device}.")
            self.dock_pages.show_abnormalities()

    def _on_failed(self, failure: Exception) -> None:
        if isinstance(failure, SeriesChoiceNeeded):
            self._ask_for_series()
            return
        self.last_error = failure
        issues = failure.issues if isinstance(failure, InputError) else (error("failed", error_text(failure)),)
        self.run_panel.set_issues(issues)
        self.run_panel.set_status("That did not work; what was open is still here.")
        self.repair_button.setVisible(_repairable(issues))
        self.dock_pages.show_run()

    def _ask_for_series(self) -> None:
        job = self._start(series_work(self._asked[0]), "Listing the series")
        job.succeeded.connect(self._choose_series)

    def _choose_series(self, series: Sequence[SeriesInfo]) -> None:
        self.chooser = SeriesChooser(self)
        self.chooser.set_series(series)
        self.chooser.accepted.connect(self._open_chosen)
        self.chooser.open()

    def _open_chosen(self) -> None:
        number = None if self.chooser is None else self.chooser.chosen()
        if number is not None:
            self.open(self._asked, series=number)

    # ---- window

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stop the work and leave the viewer."""
        self.close_session()
        super().closeEvent(event)

    def close_session(self) -> None:
        """Stop the work, take the session's layers and keys out of the viewer."""
        self.cancel()
        self.finder.cancel()
        self.engine.stop()
        self.runner.wait(CLOSE_WAIT_S)
        self.finder.wait(CLOSE_WAIT_S)
        for one in (self.exporter, self.comparer):
            one.cancel()
            one.wait(CLOSE_WAIT_S)
        self.foreign.disconnect_viewer()
        self.sliders.disconnect()
        self.controller.disconnect()
        _keys.unbind(self.viewer)

    def _connect(self) -> None:
        panels, panel, controller = self.panels, self.run_panel, self.controller
        panels.table.labelSelected.connect(controller.select)
        panels.plot.sliceRequested.connect(controller.go_to_group)
        panels.plot.topRequested.connect(controller.go_to_top_slice)
        panels.display.changed.connect(self._on_display)
        panel.set_models(MODELS)
        panel.set_devices(devices_here())
        panel.runRequested.connect(self.run)
        panel.cancelRequested.connect(self.cancel)
        panel.openFileRequested.connect(self._browse_file)
        panel.openFolderRequested.connect(self._browse_folder)
        panel.openModelRequested.connect(self._browse_model)
        self.repair_button.clicked.connect(lambda: self.open(self._asked, repair=True))
        self.runner.ended.connect(self._tell_idle)
        _keys.bind(self.viewer, controller.actions())
        self.compare_panel.set_models(MODELS)
        self.comparer.caseRequested.connect(self._open_stored)
        for one in (self.exporter, self.comparer):
            one.ended.connect(self._on_finder)
        self._connect_evidence()

    def _connect_evidence(self) -> None:
        self.evidence.refused.connect(self._on_failed)
        self.evidence.attached.connect(self._on_report)
        self.finder.changed.connect(self._on_finder)
        for tabs in (self.tabs, self.pages):
            tabs.currentChanged.connect(self._on_page)

    def _on_report(self) -> None:
        if not self.busy:
            self.show_page("Report")

    def _on_finder(self) -> None:
        self.comparer.update()
        self._tell_idle()

    def _on_page(self) -> None:
        self.evidence.show()
        self.comparer.update()

    def _open_stored(self, store: CohortStore, case: str, label: str) -> None:
        """Open a case of a cohort and show ``label``."""

        def work(progress: Progress, _cancelled: IsCancelled) -> Case:
            progress(0, 0, "opening the case")
            return stored_case(store, case)

        job = self.open_made(work, "Opening the case")
        job.succeeded.connect(lambda _case: self.controller.select(label))

    def _on_display(self, choice: DisplayChoice) -> None:
        fields = {"methods": choice.methods, "placement": choice.placement, "scaling": choice.scaling}
        window = choice.window or self.controller.state.window
        self.controller.change(
            layout=Layout(choice.layout), signed=choice.signed, opacity=choice.opacity, window=window, **fields
        )

    def _browse_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a chest CT", "", CT_FILES)
        if path:
            self.open([path])

    def _browse_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a folder of DICOM files")
        if path:
            self.open([path])

    def _browse_model(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose a checkpoint", "", "Checkpoints (*.safetensors)")
        if path:
            self.run_panel.add_model(path, Path(path).name)


def _issues_of(case: Case) -> tuple[Issue, ...]:
    if case.volume is not None:
        return case.volume.issues
    return () if case.explanation is None else case.explanation.issues


def _repairable(issues: Sequence[Issue]) -> bool:
    """Say whether reading again with repairs would mend every error."""
    errors = [issue for issue in issues if issue.severity == "error"]
    return bool(errors) and all(issue.repairable for issue in errors)


def _hidden_button(text: str, parent: QWidget) -> QPushButton:
    button = QPushButton(text, parent)
    button.setToolTip("Read again and mend what can be mended; every repair is recorded")
    button.hide()
    return button
