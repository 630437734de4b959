"""An audit in the window: which prediction is shown, its verdict saved, the next one ready. Ties panel and session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal

from hirescam_napari._audit_cases import Prefetcher, Prepared
from hirescam_napari._audit_words import (
    books_words,
    fact_words,
    other_words,
    progress_lines,
    report_words,
    store_words,
    title_words,
)
from hirescam_napari._resolve import error_text
from hirescam_napari._snapshot import capture, restore
from hirescam_napari._widget import HiResCamWidget
from hirescam_napari._workers import Job
from hirescam_napari.views.audit_filter import AuditChoice
from hirescam_napari.views.audit_panel import AuditPanel
from hirescam_napari.views.audit_queue import QueueRow
from training.evaluate.audit.report import PICTURES, findings, write_report
from training.evaluate.audit.select import Selection, of_labels
from training.evaluate.audit.session import Audit
from training.evaluate.audit.verdicts import Entry, Subject, Verdict
from training.issues import InputError, Issue, error
from training.labels import display_name

READING = "Reading the case …"
LOOK_AHEAD = 300
"""Rows among which the next cases to read are looked for."""


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
        self.choice = AuditChoice(kind=audit.predictions.kind)
        self.row: int | None = None
        self.job: Job | None = None
        self.selection: Selection = audit.select(self.choice.wanted)
        self._open: tuple[str, Prepared] | None = None
        self._by_hand = dict(zip(audit.predictions.labels, audit.predictions.thresholds.tolist(), strict=True))
        self._connect()
        panel.filter.set_labels([(name, display_name(name)) for name in audit.store.labels])
        panel.filter.set_threshold(audit.predictions.kind, 0.5)
        panel.set_open(True, store_words(audit))
        self._list(0)
        self._show_progress()

    # ---- what a reviewer can do

    @property
    def subject(self) -> Subject | None:
        """The prediction that is judged, None if there is none to look at."""
        return None if self.row is None else self.selection[self.row]

    def go_to(self, row: int) -> None:
        """Show the prediction in ``row`` of the list; a note that was typed is saved before."""
        if not 0 <= row < len(self.selection):
            return
        self._save_note()
        self.row = row
        self.panel.queue.select(row)
        self.panel.set_position(row, len(self.selection))
        self._prefetch()
        self._show()

    def step(self, step: int) -> None:
        """Go ``step`` predictions down the list (up if negative), stopping at its ends."""
        if self.row is not None:
            self.go_to(min(max(self.row + step, 0), len(self.selection) - 1))

    def next_unjudged(self) -> None:
        """Go to the next prediction that this reviewer has not judged, from the top again at the end."""
        target = self._next_unjudged()
        if target is None:
            self.panel.judge.show_status("All of these are judged.")
        else:
            self.go_to(target)

    def judge(self, verdict: Verdict) -> None:
        """Save ``verdict`` on what is shown, with tags, comment and the view as it stands; go on if that is chosen."""
        entry = self._save(verdict)
        if entry is None:
            return
        self.panel.judge.show_status(f"Saved: {verdict.value}.")
        if self.panel.judge.go_on.isChecked():
            self.next_unjudged()
        else:
            self._show_said()

    def undo(self) -> None:
        """Take back this reviewer's latest entry and show what it was about."""
        try:
            undone = self.audit.undo()
        except InputError as failure:
            self._tell(failure)
            return
        if undone is None:
            self.panel.judge.show_status("There is nothing to take back.")
            return
        what = "a note" if undone.verdict is None else undone.verdict.value
        self._said_again(undone.subject)
        self.panel.judge.show_status(f"Taken back: {what} on {display_name(undone.subject.label)}.")

    def restore_view(self) -> None:
        """Show the view as it stood when this reviewer judged."""
        mine = None if self.subject is None else self.audit.mine(self.subject)
        if mine is not None and mine.view:
            restore(self.widget.controller, mine.view)

    def top_slice(self) -> None:
        """Show the slice with the highest score."""
        self.widget.controller.go_to_top_slice()

    def edit_comment(self) -> None:
        """Put the keyboard into the comment."""
        self.panel.tabs.setCurrentIndex(0)
        self.panel.judge.comment.setFocus()

    def save_note(self) -> None:
        """Save tags and comment, and give the keyboard back."""
        self._save_note()
        self.leave_text()

    def leave_text(self) -> None:
        """Give the keyboard back to the picture."""
        self.panel.queue.view.setFocus()

    def next_page(self) -> None:
        """Show the next of slice scores, budget and report."""
        pages = self.widget.pages
        self.widget.show_page(pages.tabText((pages.currentIndex() + 1) % pages.count()))

    def work_out(self) -> Job:
        """Work out the evidence of all cases that are listed, in the background."""
        rows = sorted(set(self.selection.rows.tolist())) or list(range(len(self.audit.store.cases)))
        evidence = self.audit.evidence

        def work(progress: Callable[[int, int, str], None], cancelled: Callable[[], bool]) -> object:
            evidence.work_out(rows, progress, cancelled)
            return None

        return self._start(work, "Working out the evidence", lambda _none: self.set_choice(self.choice))

    def write(self, folder: Path, pictures: int = PICTURES) -> Job:
        """Write the report to ``folder``, with so many predictions shown at most, in the background."""
        audit, by_hand = self.audit, dict(self._by_hand)
        kind = audit.predictions.kind

        def work(progress: Callable[[int, int, str], None], _cancelled: Callable[[], bool]) -> object:
            copy = Audit(audit.store, None, kind, by_hand, audit.evidence)
            return write_report(folder, copy, pictures=pictures, progress=progress)

        return self._start(work, "Writing the report", lambda _report: self._tell_written(folder))

    def set_choice(self, choice: AuditChoice) -> None:
        """List other predictions; the one that is shown stays shown if it is among them."""
        self._save_note()
        subject = self.subject
        self.choice = choice = self._take_threshold(choice)
        self.audit.reread()
        if choice.wanted.needs_evidence and not self.audit.evidence.known.all():
            self.panel.judge.show_status("Only cases whose evidence is worked out can be told apart by it.")
        self.selection = self.audit.select(choice.wanted)
        self._list(0 if subject is None else self.selection.row_of(subject) or 0)
        self._show_progress()

    def close(self) -> None:
        """Save what was typed, stop reading, close the log."""
        self._save_note()
        if self.job is not None:
            self.job.cancel()
        self.prefetcher.close()
        if self.audit.log is not None:
            self.audit.log.close()

    # ---- showing

    def _list(self, row: int) -> None:
        """Show the list, and the prediction in ``row``."""
        self.panel.queue.set_rows(len(self.selection), self._queue_row)
        self._show_counts()
        self.row = None
        if len(self.selection):
            self.go_to(row)
        else:
            self.panel.set_position(None, 0)
            self.panel.judge.show_prediction("", "", "", "", "")
            self.panel.judge.show_verdict(None, (), "", has_view=False)

    def _show(self) -> None:
        """Show the chosen prediction, or that its case is being read."""
        subject = self.subject
        if subject is None:
            return
        found = self._on_screen(subject) or self.prefetcher.get(subject.case)
        self._describe(subject, found)
        if found is None:
            self.panel.judge.show_status(READING)
            return
        self._open_case(found, subject)
        self.shown.emit(subject)

    def _on_screen(self, subject: Subject) -> Prepared | None:
        """Return the case of ``subject`` if it is the one that is open."""
        return self._open[1] if self._open is not None and self._open[0] == subject.case else None

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
            self.panel.judge.show_status("")

    def _describe(self, subject: Subject, found: Prepared | None) -> None:
        n, m = self.audit.predictions.at(subject)
        title, facts = title_words(self.audit, subject), fact_words(self.audit, subject)
        if found is None:
            self.panel.judge.show_prediction(title, facts, "", "", "")
        else:
            books = books_words(found.books, m, float(self.audit.store.scores[n, m]))
            issues: tuple[Issue, ...] = () if found.issue is None else (found.issue,)
            suggestion = self.audit.suggestion_words(subject, found.books)
            report = report_words(found, subject.label)
            self.panel.judge.show_prediction(title, facts, suggestion, books, report, issues)
        self._show_said()

    def _show_said(self) -> None:
        subject = self.subject
        if subject is None or self.row is None:
            return
        mine = self.audit.mine(subject)
        if mine is None:
            self.panel.judge.show_verdict(None, (), "", has_view=False)
        else:
            self.panel.judge.show_verdict(mine.verdict, mine.tags, mine.comment, has_view=bool(mine.view))
        self.panel.judge.show_others(other_words(self.audit, subject))
        self.panel.queue.model.refresh(self.row)

    def _queue_row(self, row: int) -> QueueRow:
        subject = self.selection[row]
        predictions, mine = self.audit.predictions, self.audit.mine(subject)
        verdict = "" if mine is None or mine.verdict is None else mine.verdict.value
        probability = float(predictions.probabilities[predictions.at(subject)])
        return QueueRow(
            predictions.outcome(subject).value, display_name(subject.label), probability, subject.case, verdict
        )

    def _show_counts(self) -> None:
        predictions = self.audit.predictions
        columns = of_labels(predictions, self.choice.wanted)
        self.panel.filter.set_counts(
            len(self.selection),
            int(predictions.false_positive[:, columns].sum()),
            int(predictions.false_negative[:, columns].sum()),
            int((predictions.truth[:, columns] >= 0).sum()),
        )
        self.panel.filter.set_evidence(int(self.audit.evidence.known.sum()), len(predictions.cases))

    def _show_progress(self) -> None:
        summary = self.audit.summary(self.choice.wanted)
        self.panel.summary.setText("\n".join(findings(summary)))
        self.panel.progress.set_lines(progress_lines(summary))

    # ---- saving

    def _save(self, verdict: Verdict | None) -> Entry | None:
        subject = self.subject
        if subject is None:
            return None
        found = self._on_screen(subject)
        if found is None:
            self.panel.judge.show_status("Not saved: the case is not on the screen yet.")
            return None
        tags, comment = self.panel.judge.note
        try:
            entry = self.audit.judge(subject, verdict, tags, comment, capture(self.widget.controller), found.books)
        except InputError as failure:
            self._tell(failure)
            return None
        self._show_said()
        self._progress_soon()
        return entry

    def _save_note(self) -> None:
        subject = self.subject
        if subject is None or not self.panel.judge.has_unsaved_note:
            return
        mine = self.audit.mine(subject)
        if self._save(None if mine is None else mine.verdict) is not None:
            self.panel.judge.show_status("Note saved.")

    def _progress_soon(self) -> None:
        """Count again when the window has nothing else to do."""
        if self.panel.tabs.currentIndex() == self.panel.progress_tab:
            QTimer.singleShot(0, self._show_progress)

    def _said_again(self, subject: Subject) -> None:
        row = self.selection.row_of(subject)
        if row is not None:
            self.panel.judge.show_verdict(None, (), "", has_view=False)
            self.panel.queue.model.refresh(row)
            self.go_to(row)
        self._progress_soon()

    # ---- work

    def _prefetch(self) -> None:
        """Have the case of this row read, then the next ones, then the one before."""
        if self.row is None:
            return
        ahead = self.selection[self.row : self.row + LOOK_AHEAD]
        behind = self.selection[max(0, self.row - 1) : self.row]
        following = self._next_unjudged()
        jump = [] if following is None else [self.selection[following]]
        labels: dict[str, list[str]] = {}
        for one in (*ahead[:1], *jump, *ahead[1:], *behind):
            if one.case in labels or len(labels) < 3 or one in behind:
                labels.setdefault(one.case, []).append(one.label)
        self.prefetcher.want(list(labels.items()))

    def _next_unjudged(self) -> int | None:
        if self.row is None:
            return None
        for row in chain(range(self.row + 1, len(self.selection)), range(self.row)):
            mine = self.audit.mine(self.selection[row])
            if mine is None or mine.verdict is None:
                return row
        return None

    def _start(
        self,
        work: Callable[[Callable[[int, int, str], None], Callable[[], bool]], object],
        title: str,
        then: Callable[[object], None],
    ) -> Job:
        if self.job is not None:
            self.job.cancel()
        self.job = Job(work, title, self)
        self.job.succeeded.connect(then)
        self.job.failed.connect(self._tell)
        self.job.progressed.connect(
            lambda done, total, stage: self.panel.judge.show_status(f"{stage.capitalize()}: {done} of {total}")
        )
        self.job.start()
        return self.job

    def _tell(self, failure: Exception) -> None:
        issues = failure.issues if isinstance(failure, InputError) else (error("failed", error_text(failure)),)
        self.panel.judge.messages.set_issues(issues)
        self.panel.judge.show_status("That did not work.")

    def _tell_written(self, folder: Path) -> None:
        self.panel.judge.show_status(f"The report is in {folder.name}.")
        self._show_progress()

    def _on_ready(self, name: str) -> None:
        if self.subject is not None and self.subject.case == name:
            self._show()

    def _on_failed(self, name: str, failure: Exception) -> None:
        if self.subject is not None and self.subject.case == name:
            self._tell(failure)

    def _take_threshold(self, choice: AuditChoice) -> AuditChoice:
        """Count by the thresholds of ``choice``; return it with the threshold of its label, where that is by hand."""
        if choice.kind == "hand":
            chosen = choice.wanted.labels or self.audit.store.labels
            if choice.by_hand != self.choice.by_hand:
                self._by_hand |= dict.fromkeys(chosen, choice.by_hand)
            choice = replace(choice, by_hand=self._by_hand[chosen[0]])
            self.panel.filter.set_threshold("hand", choice.by_hand)
        if choice.kind == "hand" or choice.kind != self.audit.predictions.kind:
            self.audit.set_thresholds(choice.kind, self._by_hand)
        return choice

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
