"""The audit as napari opens it: ``hirescam audit STORE``, or Plugins > HiResCAM > Audit a cohort."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QVBoxLayout, QWidget

from hirescam_napari._audit import AuditController
from hirescam_napari._audit_keys import AuditKeys, help_text
from hirescam_napari._session import PLUGIN
from hirescam_napari._widget import TITLE, HiResCamWidget
from hirescam_napari.views._layout import outermost
from hirescam_napari.views.audit_panel import NOTHING_OPEN, AuditPanel
from training.commands.audit import AuditRequest, Threshold, open_audit
from training.evaluate.audit.session import default_reviewer
from training.evaluate.audit.verdicts import VERDICTS
from training.issues import InputError

AUDIT_TITLE = "Audit a cohort"


class AuditDock(QWidget):
    """A dock beside the session's. Opens the session's dock if it is not there yet.

    Parameters
    ----------
    napari_viewer
        The viewer; napari gives it.
    session
        The session's dock, found or opened by default.
    """

    def __init__(self, napari_viewer: Viewer, session: HiResCamWidget | None = None) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.session = session_of(napari_viewer) if session is None else session
        self.panel = AuditPanel(self)
        self.controller: AuditController | None = None
        self.reviewer = default_reviewer()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.panel.keys.setText(help_text())
        self.panel.openRequested.connect(self._browse)
        self.panel.exportRequested.connect(self._browse_report)
        self.keys = AuditKeys(outermost(self.session), self._actions())
        self.keys.set_enabled(False)

    def open_store(self, request: AuditRequest) -> AuditController:
        """Show the wrong predictions of a store; the audit that was open is closed.

        Raises
        ------
        InputError
            Not a store, or damaged; its verdicts cannot be read or written.
        """
        audit = open_audit(request, judged_by=request.reviewer or self.reviewer)
        self.close_audit()
        self.controller = AuditController(audit, self.session, self.panel, self)
        self.keys.set_enabled(True)
        self.controller.leave_text()
        return self.controller

    def close_audit(self) -> None:
        """Close the audit that is open; all that was judged is saved already."""
        self.keys.set_enabled(False)
        if self.controller is not None:
            self.controller.close()
            self.controller.deleteLater()
            self.controller = None
            self.panel.set_open(False, NOTHING_OPEN)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Close the audit with its dock."""
        self.close_audit()
        super().closeEvent(event)

    def _actions(self) -> Mapping[str, Callable[[], object]]:
        def run(action: Callable[[AuditController], object]) -> Callable[[], object]:
            return lambda: None if self.controller is None else action(self.controller)

        verdicts = {f"verdict_{n + 1}": run(partial(_judge, verdict=verdict)) for n, verdict in enumerate(VERDICTS)}
        return {
            **verdicts,
            "next": run(lambda audit: audit.step(1)),
            "previous": run(lambda audit: audit.step(-1)),
            "next_unjudged": run(AuditController.next_unjudged),
            "top_slice": run(AuditController.top_slice),
            "undo": run(AuditController.undo),
            "restore_view": run(AuditController.restore_view),
            "edit_filter": run(AuditController.edit_filter),
            "edit_comment": run(AuditController.edit_comment),
            "leave_text": run(AuditController.leave_text),
            "next_page": run(AuditController.next_page),
        }

    def _browse(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a cohort store")
        if not path:
            return
        try:
            self.open_store(AuditRequest(Path(path), self.reviewer, Threshold.CHECKPOINT, {}))
        except InputError as refused:
            self.panel.head.setText(str(refused))

    def _browse_report(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Folder for the report")
        if path and self.controller is not None:
            self.controller.write(Path(path))


def _judge(audit: AuditController, verdict: object) -> None:
    audit.judge(verdict)  # type: ignore[arg-type]


def session_of(viewer: Viewer) -> HiResCamWidget:
    """Return the session's dock in ``viewer``, opened if it is not there."""
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    if not isinstance(widget, HiResCamWidget):
        raise TypeError(f"the dock {TITLE} is a {type(widget).__name__}")
    return widget


def open_window(request: AuditRequest) -> None:
    """Open the viewer on a store and stay until it is closed.

    Raises
    ------
    InputError
        As :meth:`AuditDock.open_store`.
    """
    import napari

    from hirescam_napari._session import start_session

    viewer, session = start_session()
    dock = AuditDock(viewer, session)
    viewer.window.add_dock_widget(dock, name="Audit", area="left")
    dock.open_store(request)
    napari.run()
