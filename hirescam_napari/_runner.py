"""Long work of one panel, one piece at a time: a new piece gives up the one before; the panel is told how it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qtpy.QtCore import QObject, QTimer, Signal

from hirescam_napari._workers import Function, Job

NOTHING_CHANGED = "Cancelled; nothing was changed."
"""What most panels say of work that was given up."""


class Told(Protocol):
    """A panel that shows how work goes."""

    def set_progress(self, done: int, total: int, stage: str) -> None:
        """Show how far it is."""

    def set_status(self, text: str) -> None:
        """Show a sentence."""

    def set_running(self, running: bool) -> None:
        """Show whether work is under way."""


class Runner(QObject):
    """Runs work in the background for one panel.

    Parameters
    ----------
    panel
        Is told.
    title
        Of its tasks, as napari lists them.
    failed
        Called with what went wrong.
    cancelled
        What is said of work that was given up.
    """

    ended = Signal()
    """Work is done, was cancelled or failed, and none is under way."""

    def __init__(
        self,
        panel: Told,
        title: str,
        failed: Callable[[Exception], object],
        cancelled: str = NOTHING_CHANGED,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.panel, self.title = panel, title
        self.failed, self.cancelled_words = failed, cancelled
        self.job: Job | None = None

    @property
    def running(self) -> bool:
        """True while work is under way."""
        return self.job is not None and self.job.running

    def start(self, function: Function, done: Callable[[Any], object] | None = None, title: str | None = None) -> Job:
        """Run ``function``, under its own ``title`` if it has one, and call ``done`` with what it returns."""
        self.cancel()
        job = self.job = Job(function, title or self.title, self)
        job.progressed.connect(self.panel.set_progress)
        if done is not None:
            job.succeeded.connect(done)
        job.failed.connect(self.failed)
        job.cancelled.connect(lambda: self.panel.set_status(self.cancelled_words))
        for signal in (job.succeeded, job.failed, job.cancelled):
            signal.connect(lambda *_: QTimer.singleShot(0, self._on_ended))
        self.panel.set_running(True)
        job.start()
        return job

    def cancel(self) -> None:
        """Give the work up."""
        if self.job is not None and self.job.running:
            self.job.cancel()

    def wait(self, seconds: float) -> None:
        """Let the thread end."""
        if self.job is not None:
            self.job.wait(seconds)

    def _on_ended(self) -> None:
        if not self.running:
            self.panel.set_running(False)
            self.ended.emit()


def quick(function: Callable[[], object]) -> Function:
    """Return work of one step."""

    def work(progress: Callable[[int, int, str], None], _cancelled: Callable[[], bool]) -> object:
        progress(0, 0, "opening")
        return function()

    return work
