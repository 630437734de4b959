"""What the audit's panel says of a prediction: outcome, numbers, books, report, other reviewers, progress."""

from __future__ import annotations

from collections.abc import Sequence

from hirescam_napari._audit_cases import Prepared
from hirescam_napari.views._words import NOT_FOR_CLINICAL_USE, signed
from training.evaluate.audit.evidence import Books
from training.evaluate.audit.predictions import Outcome
from training.evaluate.audit.session import Audit
from training.evaluate.audit.summary import ANYBODY, Summary
from training.evaluate.audit.verdicts import Subject
from training.explain.budget import PLACES
from training.labels import display_name
from training.words import counted, percents_apart

OUTCOME_WORDS = {
    Outcome.TRUE_POSITIVE: "Predicted and present",
    Outcome.FALSE_POSITIVE: "False positive",
    Outcome.FALSE_NEGATIVE: "False negative",
    Outcome.TRUE_NEGATIVE: "Neither predicted nor present",
    Outcome.UNKNOWN: "Truth unknown",
}


def store_words(audit: Audit) -> str:
    """Return what is audited, and by whom."""
    store = audit.store
    about_others = counted(audit.of_other_models, "verdict is")
    others = f" {about_others} about another model." if audit.of_other_models else ""
    return (
        f"{store.path.name}: {counted(len(store.cases), 'case')}, model {store.model.name}. Reviewer {audit.reviewer}."
        f"{others} {NOT_FOR_CLINICAL_USE.capitalize()}."
    )


def title_words(audit: Audit, subject: Subject) -> str:
    """Return outcome and abnormality."""
    return f"{OUTCOME_WORDS[audit.predictions.outcome(subject)]}: {display_name(subject.label)}"


def fact_words(audit: Audit, subject: Subject) -> str:
    """Return case, probability and threshold."""
    n, m = audit.predictions.at(subject)
    predictions = audit.predictions
    probability, threshold = percents_apart(float(predictions.probabilities[n, m]), float(predictions.thresholds[m]))
    return f"Case {subject.case}. Probability {probability}, threshold {threshold}."


def books_words(books: Books, m: int, score: float) -> str:
    """Return the score budget of label ``m`` in a line: bias, evidence for and against by place, score."""
    if not books.positive[m].sum() >= 0:  # NaN: no organs, or a label that is not among the 80
        return ""
    both = zip(PLACES, books.positive[m].tolist(), books.negative[m].tolist(), strict=True)
    parts = [
        " ".join([place, *([signed(part) for part in (plus, minus) if part] or "0")]) for place, plus, minus in both
    ]
    return f"Score {signed(score)} = bias {signed(float(books.bias[m]))}; {'; '.join(parts)}."


def report_words(prepared: Prepared, label: str) -> str:
    """Return the report's sentences about ``label``; empty without a report."""
    report = prepared.case.report
    if report is None:
        return ""
    sentences = dict.fromkeys(sentence.strip() for sentence in report.sentences(label))
    if not sentences:
        return "Report: says nothing of it."
    return f"Report: “{' … '.join(sentences)}”"


def other_words(audit: Audit, subject: Subject) -> str:
    """Return what others said of ``subject``, once this reviewer has judged it."""
    mine = audit.mine(subject)
    if mine is None or mine.verdict is None:
        return ""
    said = [
        f"{who}: {entry.verdict.value}"
        for (who, about), entry in sorted(audit.standing.items())
        if about == subject and who != audit.reviewer and entry.verdict is not None
    ]
    return f"Others: {'; '.join(said)}" if said else ""


def progress_lines(summary: Summary) -> Sequence[str]:
    """Return one line a label and reviewer, labels with the most left to judge first."""
    rows = [row for row in summary.progress if row["reviewer"] != ANYBODY or len(summary.progress) == 1]
    rows = rows or list(summary.progress)
    rows.sort(key=lambda row: (row["judged"] - row["wrong"], row["label"]))
    return [f"{display_name(row['label'])}, {row['reviewer']}: {row['judged']} of {row['wrong']}" for row in rows]
