"""What the audit's panel shows: the prediction, what was said of it, the list, counts and progress."""

from __future__ import annotations

from hirescam_napari._audit_cases import Prepared
from hirescam_napari._audit_words import (
    books_words,
    fact_words,
    other_words,
    progress_lines,
    report_words,
    title_words,
)
from hirescam_napari._resolve import error_text
from hirescam_napari.views.audit_panel import AuditPanel
from hirescam_napari.views.audit_queue import QueueRow
from training.evaluate.audit.report import findings
from training.evaluate.audit.select import Filter, Selection, of_labels
from training.evaluate.audit.session import Audit
from training.evaluate.audit.verdicts import Subject
from training.issues import InputError, Issue, error
from training.labels import display_name


class AuditBoard:
    """Fills the panel of one audit; it asks nothing and decides nothing.

    Parameters
    ----------
    audit
        What is shown.
    panel
        Where.
    """

    def __init__(self, audit: Audit, panel: AuditPanel) -> None:
        self.audit, self.panel = audit, panel

    def show_prediction(self, subject: Subject, found: Prepared | None) -> None:
        """Show what there is to say of ``subject``; without its case only what the store knows at once."""
        title, facts = title_words(self.audit, subject), fact_words(self.audit, subject)
        if found is None:
            self.panel.judge.show_prediction(title, facts, "", "", "")
            return
        n, m = self.audit.predictions.at(subject)
        books = books_words(found.books, m, float(self.audit.store.scores[n, m]))
        issues: tuple[Issue, ...] = () if found.issue is None else (found.issue,)
        suggestion = self.audit.suggestion_words(subject, found.books)
        self.panel.judge.show_prediction(title, facts, suggestion, books, report_words(found, subject.label), issues)

    def show_nothing(self) -> None:
        """Show that there is no prediction to look at."""
        self.panel.set_position(None, 0)
        self.panel.judge.show_prediction("", "", "", "", "")
        self.show_no_verdict()

    def show_no_verdict(self) -> None:
        """Show an empty verdict."""
        self.panel.judge.show_verdict(None, (), "", has_view=False)

    def show_said(self, subject: Subject, row: int) -> None:
        """Show what this reviewer, and then others, said of ``subject``, in ``row`` of the list too."""
        mine = self.audit.mine(subject)
        if mine is None:
            self.show_no_verdict()
        else:
            self.panel.judge.show_verdict(mine.verdict, mine.tags, mine.comment, has_view=bool(mine.view))
        self.panel.judge.show_others(other_words(self.audit, subject))
        self.panel.queue.model.refresh(row)

    def show_list(self, selection: Selection, wanted: Filter) -> None:
        """Show the list, and how many predictions of the chosen labels are wrong."""
        self.panel.queue.set_rows(len(selection), lambda row: self._queue_row(selection[row]))
        predictions = self.audit.predictions
        columns = of_labels(predictions, wanted)
        self.panel.filter.set_counts(
            len(selection),
            int(predictions.false_positive[:, columns].sum()),
            int(predictions.false_negative[:, columns].sum()),
            int((predictions.truth[:, columns] >= 0).sum()),
        )
        self.panel.filter.set_evidence(int(self.audit.evidence.known.sum()), len(predictions.cases))

    def show_progress(self, wanted: Filter) -> None:
        """Count what was judged, and say what it has come to."""
        summary = self.audit.summary(wanted)
        self.panel.summary.setText("\n".join(findings(summary)))
        self.panel.progress.set_lines(progress_lines(summary))

    def say(self, text: str) -> None:
        """Show ``text`` as the state of things."""
        self.panel.judge.show_status(text)

    def tell(self, failure: Exception) -> None:
        """Show what went wrong."""
        issues = failure.issues if isinstance(failure, InputError) else (error("failed", error_text(failure)),)
        self.panel.judge.messages.set_issues(issues)
        self.say("That did not work.")

    def _queue_row(self, subject: Subject) -> QueueRow:
        predictions, mine = self.audit.predictions, self.audit.mine(subject)
        verdict = "" if mine is None or mine.verdict is None else mine.verdict.value
        probability = float(predictions.probabilities[predictions.at(subject)])
        return QueueRow(
            predictions.outcome(subject).value, display_name(subject.label), probability, subject.case, verdict
        )
