"""Exports from the viewer: what the window shows becomes a request, a worker thread does it, the panel tells how."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from hirescam_napari._case import Case
from hirescam_napari._controller import Controller
from hirescam_napari._engine import IsCancelled, Progress
from hirescam_napari._resolve import policy_of
from hirescam_napari._runner import Runner
from hirescam_napari._snapshot import capture
from hirescam_napari._state import WINDOWS, ViewState
from hirescam_napari._workers import Function, Job
from hirescam_napari.views.export_panel import ExportChoice, ExportPanel
from training.cohort.exporting import ExportCase, ExportRequest, export_case
from training.cohort.run_report import report_beside
from training.cohort.session_file import Session, write_session
from training.evaluate.case_figures import FigureStyle
from training.explain.result import METHODS, Explanation
from training.issues import InputError, Issue, Severity, error
from training.words import counted

TITLE = "Exporting"


class Exporter(QObject):
    """Does what the panel asks for; what is shown goes on meanwhile.

    Parameters
    ----------
    controller
        Whose case and view are exported.
    panel
        Asks, and is told how it goes.
    shown_labels
        Gives the abnormalities that the table shows, top to bottom.
    second
        Gives the result of the model that is compared with, if there is one.
    """

    ended = Signal()
    """An export is done, was cancelled or failed."""

    def __init__(
        self,
        controller: Controller,
        panel: ExportPanel,
        shown_labels: Callable[[], Sequence[str]],
        second: Callable[[], Explanation | None] = lambda: None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.controller, self.panel = controller, panel
        self._shown_labels, self._second = shown_labels, second
        self.runner = Runner(panel, TITLE, self._on_failed, "Cancelled; nothing was written.", self)
        self.runner.ended.connect(self.ended)
        panel.exportRequested.connect(self.export)
        panel.cancelRequested.connect(self.cancel)
        panel.saveRequested.connect(self.save_session)

    @property
    def running(self) -> bool:
        """True while an export is under way."""
        return self.runner.running

    def update(self) -> None:
        """Tell the panel whether there is anything to export."""
        explanation = self.controller.case.explanation
        self.panel.set_ready(explanation is not None and explanation.has_maps)

    def export(self, choice: ExportChoice) -> Job | None:
        """Export what ``choice`` asks for as the window shows it; None if there is nothing to export."""
        case = export_case_of(self.controller.case)
        if case is None or self.running:
            return None
        request = self._request(choice)
        self.panel.set_issues(())
        return self.runner.start(
            export_work(choice.out, case, request), lambda report: self._on_done(report, choice.out)
        )

    def cancel(self) -> None:
        """Give the export up; nothing is written."""
        self.runner.cancel()

    def wait(self, seconds: float) -> None:
        """Let the thread end."""
        self.runner.wait(seconds)

    def save_session(self, path: Path) -> None:
        """Save result and view to ``path``; the panel is told if that fails."""
        case = self.controller.case
        pixels = "" if case.volume is None else case.volume.provenance.pixels_sha256
        view = capture(self.controller)
        compared = view["comparison"] is not None and view["comparison"]["kind"] == "models"
        second = self._second() if compared else None
        try:
            write_session(path, Session(view, case.explanation, pixels, case.origin, second))
        except InputError as refused:
            self._on_failed(refused)
            return
        beside, name = report_beside(path).name, shlex.quote(path.name)
        self.panel.set_status(f"Saved, with the report {beside} beside it. Reopen it with: hirescam view {name}")

    def _request(self, choice: ExportChoice) -> ExportRequest:
        state = self.controller.state
        return ExportRequest(
            labels=self._labels(choice),
            formats=frozenset(choice.formats),  # type: ignore[arg-type]
            organs=choice.organs,
            style=style_of(state, self._window_hu()),
            slice=self._slice(choice),
            with_patient_data=choice.with_patient_data,
        )

    def _labels(self, choice: ExportChoice) -> tuple[str, ...]:
        explanation, selected = self.controller.case.explanation, self.controller.state.label
        if explanation is None or selected is None or choice.which == "selected":
            return (selected,) if selected is not None else ()
        if choice.which == "shown":
            return tuple(self._shown_labels())
        return tuple(explanation.labels[i] for i in explanation.scores.argsort()[::-1][: choice.count])

    def _slice(self, choice: ExportChoice) -> int | None:
        """Return the shown slice for the selected abnormality; others are drawn in their own top slices."""
        case = self.controller.case
        return case.slice_at(self.controller.canvas.slice_mm) if choice.which == "selected" else None

    def _window_hu(self) -> tuple[float, float]:
        """Return the gray-scale window as it is drawn, by name or set by hand."""
        cts = self.controller.canvas.cts
        low, high = cts[0].contrast_limits if cts else WINDOWS[self.controller.state.window].limits_hu
        return (float(low), float(high))

    def _on_done(self, report: dict[str, Any], out: Path) -> None:
        count = len(report["export"]["files"])
        self.panel.set_status(f"Exported {counted(count, 'file')} and report.json to {out}.")
        found = [Issue(**(one | {"severity": Severity(one["severity"])})) for one in report["issues"]]
        self.panel.set_issues(found)

    def _on_failed(self, failure: Exception) -> None:
        issues = failure.issues if isinstance(failure, InputError) else (error("failed", str(failure)),)
        self.panel.set_issues(issues)
        self.panel.set_status("That did not work; nothing was written.")


def export_case_of(case: Case) -> ExportCase | None:
    """Return the open case as exports take it; None without a result."""
    if case.explanation is None:
        return None
    return ExportCase(case.explanation, case.volume, case.picture, case.organs, case.origin)


def style_of(state: ViewState, window_hu: tuple[float, float]) -> FigureStyle:
    """Return how figures are drawn so that they show what the window shows; side by side has both methods."""
    return FigureStyle(
        methods=state.shown_methods or METHODS,
        window_hu=window_hu,
        placement=state.placement,
        policy=policy_of(state),
        opacity=state.opacity,
        smooth=state.smooth,
    )


def export_work(out: Path, case: ExportCase, request: ExportRequest) -> Function:
    """Return work that exports and gives the report."""

    def work(progress: Progress, cancelled: IsCancelled) -> dict[str, Any]:
        return export_case(out, case, request, progress, cancelled)

    return work
