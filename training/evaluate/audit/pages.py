"""The report of an audit as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from training.evaluate.audit.report import Report, Shown, findings
from training.evaluate.html import document, folded, head, picture, table
from training.evaluate.rows import Row
from training.evaluate.tables import readable

SECTIONS = {
    "verdicts": ("Verdicts", "What reviewers said of wrong predictions.", ("reviewer", "verdict", "count", "share")),
    "by_label": (
        "Maps that show the error, by abnormality",
        "Share of the judged wrong predictions.",
        ("label", "count", "of", "share"),
    ),
    "suggestions": (
        "Where the evidence lies",
        "Wrong predictions by suggestion; outside: share with most of the evidence outside the allowed organ; inside "
        "against even: whether the share inside is clearly less than that of evidence spread evenly, about the same or "
        "clearly more. A label that is nearly always decided from outside, with less inside than evenly spread, was "
        "likely learnt from something else.",
        (
            "label",
            "wrong",
            "right organ",
            "wrong organ",
            "outside the body",
            "spread",
            "hardly any evidence",
            "outside",
            "inside_against_even",
        ),
    ),
    "missed": (
        "Why abnormalities may have been missed",
        "False negatives by what the books suggest: the model saw next to nothing in the organ where the abnormality "
        "may lie; what it saw there would have been enough, but evidence against it outweighed that; or it was too "
        "little to make up for the bias.",
        None,
    ),
    "against_suggestions": ("Suggestions against verdicts", "Counts of judged wrong predictions.", None),
    "agreement": ("Agreement between reviewers", "On what both judged.", ("first", "second", "n", "observed", "kappa")),
    "progress": ("Progress", "Wrong predictions judged.", ("label", "reviewer", "wrong", "judged")),
}
"""By table: its title, what it says, and its columns (None for all)."""

TITLE = "Audit of wrong predictions"


def page(report: Report) -> str:
    """Return the page; every text in it is escaped."""
    sections = [head(TITLE, report.notes)]
    sections += [f"<p><strong>{escape(words)}</strong></p>" for words in findings(report.summary)]
    for name, rows in report.summary.tables().items():
        title, words, columns = SECTIONS[name]
        content = table(map(readable, rows), columns or tuple(rows[0]))
        sections += [
            f"<h2>{escape(title)}</h2>\n<p>{escape(words)}</p>",
            folded(f"{len(rows)} rows", content) if len(rows) > 30 else content,
        ]
    sections.append(_gallery(report.shown))
    return document(TITLE, sections)


def _gallery(shown: Sequence[Shown]) -> str:
    legend = "<p>The green line surrounds the cells in which the abnormality may lie.</p>"
    return "\n".join(["<h2>Predictions</h2>", legend, *(_prediction(one) for one in shown)]) if shown else ""


def _prediction(one: Shown) -> str:
    lines = "<br>\n".join(escape(line) for line in one.lines)
    image = picture(one.picture.figure.save("png"), "png", one.title)
    return f"<h3>{escape(one.title)}</h3>\n<p>{lines}</p>\n{image}"


def columns_of(name: str, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the columns of a table that are shown."""
    return SECTIONS[name][2] or tuple(rows[0])
