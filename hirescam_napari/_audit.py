"""An audit in the window: which prediction is shown, its verdict saved, the next one ready. Ties panel and session."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal

from hirescam_napari._audit_board import AuditBoard
from hirescam_napari._audit_cases import Prefetcher, Prepared
from hirescam_napari._audit_list import AuditList
from hirescam_napari._audit_tasks import AuditTasks
from hirescam_napari._audit_words import store_words
from hirescam_napari._snapshot import capture
from hirescam_napari._widget import HiResCamWidget
from hirescam_napari._workers import Job
from hirescam_napari.views.audit_filter import AuditChoice
from hirescam_napari.views.audit_panel import AuditPanel
from training.evaluate.audit.report import PICTURES
from training.evaluate.audit.select import Selection
from training.evaluate.audit.session import Audit
from training.evaluate.audit.verdicts import Entry, Subject, Verdict
from training.issues import InputError
from training.labels import display_name

READING = "Reading the case …"
KEPT_NOTE = "The note stays as typed. It is saved with your verdict, or when you go on."


class AuditController(QObject):
    """One audit in one session.

    Parameters
    ----------
    audit
        With a log: the reviewer judges.
    widget
        The session that shows cases.
    panel
        The audit's dock.
    """

    shown = Signal(object)
    """A :class:`Subject` is on the screen."""

    def __init__(self, audit: Audit, widget: HiResCamWidget, panel: AuditPanel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.audit, self.widget, self.panel = audit, widget, panel
        self.prefetcher = Prefetcher(audit.store, self)
        self.list = AuditList(audit)
        self.board = AuditBoard(audit, panel)
        self.tasks = AuditTasks(self.board, self)
        self._open: tuple[str, Prepared] | None = None
        self._connect()
        panel.filter.set_labels([(name, display_name(name)) for name in audit.store.labels])
        panel.filter.set_threshold(audit.predictions.kind, 0.5)
        panel.set_open(True, store_words(audit))
        self._show_list(0)

    # ---- what a reviewer can do

    @property
    def subject(self) -> Subject | None:
        """The prediction that is judged, None if there is none to look at."""
        return self.list.subject

    @property
    def selection(self) -> Selection:
        """The predictions that are listed."""
        return self.list.selection

    @property
    def row(self) -> int | None:
        """Where in the list the reviewer stands."""
        return self.list.row

    def go_to(self, row: int) -> None:
        """Show the prediction in ``row`` of the list; a note that was typed is saved before."""
        if not 0 <= row < len(self.selection):
            return
        self._save_note()
        self.list.row = row
        self.panel.queue.select(row)
        self.panel.set_position(row, len(self.selection))
        self.prefetcher.want(self.list.cases_ahead())
        self._show()

    def step(self, step: int) -> None:
        """Go ``step`` predictions down the list (up if negative), stopping at its ends."""
        if self.row is not None:
            self.go_to(min(max(self.row + step, 0), len(self.selection) - 1))

    def next_unjudged(self) -> None:
        """Go to the next prediction that this reviewer has not judged, from the top again at the end."""
        target = self.list.next_unjudged()
        if target is None:
            self.board.say("All of these are judged.")
        else:
            self.go_to(target)

    def judge(self, verdict: Verdict) -> None:
        """Save ``verdict`` on what is shown, with tags, comment and the view as it stands; go on if that is chosen."""
        entry = self._save(verdict)
        if entry is None:
            return
        self.board.say(f"Saved: {verdict.value}.")
        if self.panel.judge.go_on.isChecked():
            self.next_unjudged()
        else:
            self._show_said()

    def undo(self) -> None:
        """Take back this reviewer's latest entry and show what it was about."""
        try:
            undone = self.audit.undo()
        except InputError as failure:
            self.board.tell(failure)
            return
        if undone is None:
            self.board.say("There is nothing to take back.")
            return
        what = "a note" if undone.verdict is None else undone.verdict.value
        self._said_again(undone.subject)
        self.board.say(f"Taken back: {what} on {display_name(undone.subject.label)}.")

    def restore_view(self) -> None:
        """Show the view as it stood when this reviewer judged."""
        mine = None if self.subject is None else self.audit.mine(self.subject)
        if mine is not None and mine.view:
            self.widget.restore_view(mine.view, self.audit.store)

    def top_slice(self) -> None:
        """Show the slice with the highest score."""
        self.widget.controller.go_to_top_slice()

    def edit_comment(self) -> None:
        """Put the keyboard into the comment."""
        self.panel.tabs.setCurrentIndex(0)
        self.panel.judge.comment.setFocus()

    def edit_filter(self) -> None:
        """Put the keyboard into what to look at."""
        self.panel.tabs.setCurrentIndex(self.panel.filter_tab)
        self.panel.filter.label.setFocus()

    def save_note(self) -> None:
        """Save tags and comment, and give the keyboard back."""
        self._save_note()
        self.leave_text()

    def leave_text(self) -> None:
        """Give the keyboard back to the list; what was typed stays, and is saved with a verdict or when going on."""
        self.panel.tabs.setCurrentIndex(0)
        self.panel.queue.view.setFocus()
        if self.panel.judge.has_unsaved_note:
            self.board.say(KEPT_NOTE)

    def next_page(self) -> None:
        """Show the next of slice scores, budget and report."""
        pages = self.widget.pages
        self.widget.show_page(pages.tabText((pages.currentIndex() + 1) % pages.count()))

    def work_out(self) -> Job:
        """Work out the evidence of all cases that are listed, in the background."""
        return self.tasks.work_out(self.list.cases(), lambda: self.set_choice(self.list.choice))

    def write(self, folder: Path, pictures: int = PICTURES) -> Job:
        """Write the report to ``folder``, with so many predictions shown at most, in the background."""
        return self.tasks.write(folder, dict(self.list.by_hand), pictures, lambda: self._on_written(folder))

    def set_choice(self, choice: AuditChoice) -> None:
        """List other predictions; the one that is shown stays shown if it is among them."""
        self._save_note()
        row, choice = self.list.choose(choice), self.list.choice
        if choice.kind == "hand":
            self.panel.filter.set_threshold("hand", choice.by_hand)
        if choice.wanted.needs_evidence and not self.audit.evidence.known.all():
            self.board.say("Only cases whose evidence is worked out can be told apart by it.")
        self._show_list(row)

    def close(self) -> None:
        """Save what was typed, stop reading, close the log."""
        self._save_note()
        self.tasks.cancel()
        self.prefetcher.close()
        if self.audit.log is not None:
            self.audit.log.close()

    # ---- showing

    def _show_list(self, row: int) -> None:
        """Show the list, the prediction in ``row``, and how far the audit is."""
        self.board.show_list(self.selection, self.list.choice.wanted)
        if len(self.selection):
            self.go_to(row)
        else:
            self.board.show_nothing()
        self._show_progress()

    def _show(self) -> None:
        """Show the chosen prediction, or that its case is being read."""
        subject = self.subject
        if subject is None:
            return
        found = self._on_screen(subject) or self.prefetcher.get(subject.case)
        self.board.show_prediction(subject, found)
        self._show_said()
        if found is None:
            self.board.say(READING)
            return
        self._open_case(found, subject)
        self.shown.emit(subject)

    def _on_screen(self, subject: Subject) -> Prepared | None:
        """Return the case of ``subject`` if the session shows it, with the cohort's result."""
        if self._open is None or self._open[0] != subject.case:
            return None
        found = self._open[1]
        return found if self.widget.controller.case.explanation is found.case.explanation else None

    def _open_case(self, found: Prepared, subject: Subject) -> None:
        choices = {"show_region": bool(found.case.cells)}
        if self._open is None:
            self.widget.tabs.setCurrentIndex(0)
        if self._on_screen(subject) is None:
            self._open = (subject.case, found)
            self.widget.exchange_case(found.case, subject.label, **choices)
        else:
            self.widget.controller.change(label=subject.label, **choices)
            self.top_slice()
        if self.panel.judge.status.text() == READING:
            self.board.say("")

    def _show_said(self) -> None:
        if self.subject is not None and self.row is not None:
            self.board.show_said(self.subject, self.row)

    def _show_progress(self) -> None:
        self.board.show_progress(self.list.choice.wanted)

    # ---- saving

    def _save(self, verdict: Verdict | None, note: bool = False) -> Entry | None:
        """Save what is said of the prediction; a verdict only while its case is on the screen, notes always."""
        subject = self.subject
        if subject is None:
            return None
        shown, mine = self._on_screen(subject), self.audit.mine(subject)
        found = shown or self.prefetcher.get(subject.case)
        if shown is None and not note:
            if found is not None:
                self._open_case(found, subject)
            self.board.say("Not saved: the case was not on the screen.")
            return None
        books = None if found is None else found.books
        view = capture(self.widget.controller) if shown is not None else {} if mine is None else mine.view
        try:
            entry = self.audit.judge(subject, verdict, *self.panel.judge.note, view, books)
        except InputError as failure:
            self.board.tell(failure)
            return None
        self._take_in()
        self._show_said()
        self._progress_soon()
        return entry

    def _save_note(self) -> None:
        subject = self.subject
        if subject is None or not self.panel.judge.has_unsaved_note:
            return
        mine = self.audit.mine(subject)
        if self._save(None if mine is None else mine.verdict, note=True) is not None:
            self.board.say("Note saved.")

    def _take_in(self) -> None:
        """Take in what other windows have said meanwhile; what was saved here is saved even if that fails."""
        try:
            self.audit.reread()
        except InputError as failure:
            self.panel.judge.messages.set_issues(failure.issues)

    def _progress_soon(self) -> None:
        """Count again when the window has nothing else to do."""
        if self.panel.tabs.currentIndex() == self.panel.progress_tab:
            self._take_in()
            QTimer.singleShot(0, self._show_progress)

    def _said_again(self, subject: Subject) -> None:
        row = self.selection.row_of(subject)
        if row is not None:
            self.board.show_no_verdict()
            self.panel.queue.model.refresh(row)
            self.go_to(row)
        self._progress_soon()

    # ---- work

    def _on_written(self, folder: Path) -> None:
        self.board.say(f"The report is in {folder.name}.")
        self._show_progress()

    def _on_ready(self, name: str) -> None:
        if self.subject is not None and self.subject.case == name:
            self._show()

    def _on_failed(self, name: str, failure: Exception) -> None:
        if self.subject is not None and self.subject.case == name:
            self.board.tell(failure)

    def _connect(self) -> None:
        panel = self.panel
        self.prefetcher.ready.connect(self._on_ready)
        self.prefetcher.failed.connect(self._on_failed)
        panel.queue.rowChosen.connect(self.go_to)
        panel.judge.judged.connect(self.judge)
        panel.judge.noted.connect(self.save_note)
        panel.judge.undone.connect(self.undo)
        panel.judge.stepped.connect(self.step)
        panel.judge.restored.connect(self.restore_view)
        panel.filter.changed.connect(self.set_choice)
        panel.filter.workOutRequested.connect(self.work_out)
        panel.tabs.currentChanged.connect(self._progress_soon)
