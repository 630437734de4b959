"""Why abnormalities were missed, from planted books."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.stores import make_store
from training.cohort.results import CohortStore, open_store
from training.evaluate.audit.evidence import Books, books_of_case
from training.evaluate.audit.log import VerdictLog
from training.evaluate.audit.missed import MISSED, Missed
from training.evaluate.audit.pages import columns_of, page
from training.evaluate.audit.pdf import table_lines
from training.evaluate.audit.report import build_report
from training.evaluate.audit.select import ErrorKind, Filter
from training.evaluate.audit.session import Audit, audit_folder
from training.evaluate.audit.verdicts import Verdict

WIDEST = 100
"""Letters in a line of the PDF that stay on the page."""


def planted(positive: tuple[float, ...], negative: tuple[float, ...], bias: float) -> Books:
    """Books of one label; parts at allowed organ, other organs, rest of the body, outside of it."""
    one = [np.array([parts], dtype=np.float32) for parts in (positive, negative, (0.25,) * 4)]
    return Books(one[0], one[1], np.array([bias], dtype=np.float32), one[2])


@pytest.mark.parametrize(
    ("positive", "negative", "bias", "threshold", "kind", "words"),
    [
        ((0.0, 2.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), -3.0, 0.0, Missed.NOT_SEEN, "hardly any evidence for it in the"),
        ((0.02, 2.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), -3.0, 0.0, Missed.NOT_SEEN, "(+0.02)"),
        ((2.0, 0.0, 0.0, 0.0), (-0.5, -2.5, 0.0, 0.0), -1.0, 0.0, Missed.OUTWEIGHED, "(−3.00, most of it in: other"),
        ((2.0, 0.0, 0.0, 0.0), (-2.5, -0.5, 0.0, 0.0), -1.0, 0.0, Missed.OUTWEIGHED, "in: allowed organ"),
        ((2.0, 0.0, 0.0, 0.0), (-0.5, 0.0, 0.0, 0.0), -3.0, 0.0, Missed.TOO_WEAK, "against the bias (−3.00)"),
        ((2.0, 9.0, 0.0, 0.0), (-9.5, 0.0, 0.0, 0.0), -3.0, 0.0, Missed.TOO_WEAK, "(+2.00) is too weak"),
        ((1.0, 0.0, 0.0, 0.0), (-0.5, 0.0, 0.0, 0.0), -3.0, -1.5, Missed.TOO_WEAK, "at the threshold is −1.50"),
        ((2.0, 0.0, 0.0, 0.0), (-1.5, 0.0, 0.0, 0.0), -3.0, -2.0, Missed.OUTWEIGHED, "outweighs it"),
        ((np.nan,) * 4, (np.nan,) * 4, -3.0, 0.0, Missed.UNKNOWN, ""),
    ],
)
def test_the_rule(
    positive: tuple[float, ...], negative: tuple[float, ...], bias: float, threshold: float, kind: Missed, words: str
) -> None:
    found = planted(positive, negative, bias).missed(0, threshold)
    assert found.kind is kind
    assert words in found.words
    assert found.words.startswith("Missed") or kind is Missed.UNKNOWN


def test_a_cohort_counts_what_its_cases_say(store: CohortStore) -> None:
    audit = Audit(store)
    missed = audit.select(Filter(errors=ErrorKind.FALSE_NEGATIVE))
    assert len(missed) > 3
    audit.evidence.work_out(missed.rows.tolist())
    codes = audit.evidence.missed(audit.predictions)
    for subject in missed:
        n, m = audit.predictions.at(subject)
        books = books_of_case(store, subject.case)
        one = books.missed(m, float(audit.predictions.threshold_scores[m]))
        assert MISSED[codes[n, m]] is one.kind
        assert one.words in audit.suggestion_words(subject, books)
    rows = audit.summary().missed
    assert sum(row["missed"] for row in rows) == len(missed)
    assert all(sum(row[kind.value] for kind in MISSED) == row["missed"] for row in rows)


def test_what_was_not_missed_has_no_such_words(store: CohortStore) -> None:
    audit = Audit(store)
    for subject in audit.select(Filter(errors=ErrorKind.FALSE_POSITIVE))[:3]:
        assert "Missed" not in audit.suggestion_words(subject, books_of_case(store, subject.case))


def test_it_goes_into_verdicts_and_report(tmp_path: Path) -> None:
    store = open_store(make_store(tmp_path / "store", n_cases=4, n_labels=6))
    with VerdictLog(audit_folder(store), "Ann") as log:
        audit = Audit(store, log)
        subject = audit.select(Filter(errors=ErrorKind.FALSE_NEGATIVE))[0]
        audit.judge(subject, Verdict.UNCLEAR, books=books_of_case(store, subject.case))
    report = build_report(Audit(store), pictures=1)
    (row,) = report.verdicts
    assert row["missed"] in [kind.value for kind in MISSED]
    assert "Missed" in report.shown[0].suggestion
    lines = table_lines(report.summary.missed, columns_of("missed", report.summary.missed))
    assert any(line.split("  ")[0] == "abnormality" for line in lines)
    assert "outweighed" in " ".join(lines)
    assert not any("_" in line for line in lines)
    assert max(map(len, lines)) <= WIDEST
    html = page(report)
    assert "Why abnormalities may have been missed" in html
    assert "Suggestion (not a verdict)" in html
