"""The long work of an audit, one piece at a time in the background: evidence of many cases, the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from qtpy.QtCore import QObject

from hirescam_napari._audit_board import AuditBoard
from hirescam_napari._engine import IsCancelled, Progress
from hirescam_napari._workers import Function, Job
from training.evaluate.audit.report import write_report
from training.evaluate.audit.session import Audit


class AuditTasks(QObject):
    """Runs them; a new piece gives up the one before.

    Parameters
    ----------
    board
        Is told how it goes.
    """

    def __init__(self, board: AuditBoard, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.board = board
        self.job: Job | None = None

    def work_out(self, cases: Iterable[int], then: Callable[[], object]) -> Job:
        """Work out the evidence of the cases at these positions, then call ``then``."""
        evidence, rows = self.board.audit.evidence, list(cases)

        def work(progress: Progress, cancelled: IsCancelled) -> object:
            evidence.work_out(rows, progress, cancelled)
            return None

        return self._start(work, "Working out the evidence", then)

    def write(self, folder: Path, by_hand: dict[str, float], pictures: int, then: Callable[[], object]) -> Job:
        """Write the report of what is judged now to ``folder``, then call ``then``."""
        audit, kind = self.board.audit, self.board.audit.predictions.kind

        def work(progress: Progress, _cancelled: IsCancelled) -> object:
            copy = Audit(audit.store, None, kind, by_hand, audit.evidence)
            return write_report(folder, copy, pictures=pictures, progress=progress)

        return self._start(work, "Writing the report", then)

    def cancel(self) -> None:
        """Give up what is under way."""
        if self.job is not None:
            self.job.cancel()

    def _start(self, work: Function, title: str, then: Callable[[], object]) -> Job:
        self.cancel()
        job = self.job = Job(work, title, self)
        job.succeeded.connect(lambda _result: then())
        job.failed.connect(self.board.tell)
        job.progressed.connect(lambda done, total, stage: self.board.say(f"{stage.capitalize()}: {done} of {total}"))
        job.start()
        return job
