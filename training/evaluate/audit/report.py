"""The report of an audit: ``verdicts.csv``, ``audit.json``, one HTML page and the same as PDF, with pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import __version__
from training.cohort.run_report import burned_in_warning, file_entries, model_facts, now, store_facts, versions
from training.evaluate.audit.predictions import THRESHOLD_KINDS
from training.evaluate.audit.select import Filter, Selection
from training.evaluate.audit.session import Audit
from training.evaluate.audit.shortcut import MIN_CASES, AgainstEven
from training.evaluate.audit.suggest import MOST
from training.evaluate.audit.summary import Summary, agreed_verdicts
from training.evaluate.audit.verdict_rows import VERDICT_COLUMNS, verdict_rows
from training.evaluate.audit.verdicts import Entry, Subject
from training.evaluate.rows import INTENDED_USE, Row, plain, to_csv
from training.evaluate.tables import with_display_name
from training.io.atomic import atomic_path
from training.io.privacy import exported
from training.labels import display_name
from training.words import agreed, counted, percent, percents_apart

if TYPE_CHECKING:
    from training.evaluate.audit.pictures import Illustrated

Progress = Callable[[int, int, str], None]

SCHEMA = "hirescam-audit"
SCHEMA_VERSION = 1
CSV_FILE, JSON_FILE, PAGE_FILE, PDF_FILE = "verdicts.csv", "audit.json", "audit.html", "audit.pdf"
TABLES = "tables"
OWN = frozenset({CSV_FILE, JSON_FILE, PAGE_FILE, PDF_FILE, TABLES})
"""Folder of the summary's tables, one CSV each."""

PICTURES = 40
"""How many predictions are shown, unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A prediction as the report shows it: picture, facts, suggestion, and what reviewers said."""

    picture: Illustrated
    facts: Mapping[str, Any]
    suggestion: str
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        """Outcome, abnormality and case."""
        subject = self.picture.subject
        return f"{self.facts['outcome']}: {display_name(subject.label)}, case {subject.case}"

    @property
    def lines(self) -> list[str]:
        """What there is to say, one sentence a line."""
        probability, threshold = percents_apart(self.facts["probability"], self.facts["threshold"])
        said = [f"Probability {probability}, threshold {threshold}."]
        if not self.picture.has_ct:
            said.append("The CT was not at hand when this was made.")
        said.append(f"Suggestion (not a verdict): {self.suggestion}")
        for entry in self.entries:
            tags = "".join(f" #{tag}" for tag in entry.tags)
            verdict = "no verdict" if entry.verdict is None else entry.verdict.value
            said.append(f"{entry.reviewer}: {verdict}{tags}. {entry.comment}".strip())
        return said


@dataclass(frozen=True, eq=False)
class Report:
    """All that goes into the files."""

    about: Mapping[str, Any]
    summary: Summary
    verdicts: Sequence[Row]
    shown: Sequence[Shown]

    @property
    def notes(self) -> list[str]:
        """What a reader has to know, in sentences."""
        about, counts = self.about, self.summary.counts
        model = f"Model {about['model']['name']} (SHA-256 {about['model']['sha256'][:12]})"
        notes = [
            f"{model}, store {about['store']['sha256'][:12]}, {counted(counts['cases'], 'case')}.",
            f"Threshold: {about['threshold'].lower()}. {counted(counts['wrong'], 'prediction is')} wrong"
            f" ({counts['false_positive']} false positive, {counts['false_negative']} false negative);"
            f" {counts['judged']} of them {agreed(counts['judged'], 'was', 'were')} judged.",
            about["guarantee_words"],
            *([about["where_words"]] if about["where_words"] else []),
            "Shares have Wilson's 95 % intervals, which take every judged prediction as one of its own; kappa has a "
            "95 % interval from drawing cases with replacement. Where reviewers differ, the verdict given most often "
            "counts, if there is one.",
            '"The map shows the error" are the verdicts "outside body" and "wrong organ".',
            "Suggestions are computed from where the positive evidence lies, for missed abnormalities also from what "
            "outweighed it. They are no verdicts.",
        ]
        own_warnings = [issue for issue in about["issues"] if "case" not in issue]
        notes += [f"{issue['message'].capitalize()}. {issue['way_out']}" for issue in own_warnings]
        if about["verdicts_on_other_models"]:
            told, n = counted(about["verdicts_on_other_models"], "verdict is"), about["verdicts_on_other_models"]
            notes.append(f"{told} about another model and {agreed(n, 'does', 'do')} not count here.")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        tables = {name: [plain(with_display_name(row)) for row in rows] for name, rows in self.summary.tables().items()}
        return {**self.about, "counts": dict(self.summary.counts), **tables}


def headline(summary: Summary) -> str:
    """Return the answer to the paper's question in one sentence."""
    found = summary.counts["shows_error"]
    if not found["of"]:
        return "No wrong prediction has been judged yet."
    interval = f"95 % interval {percent(found['share_low'])} to {percent(found['share_high'])}"
    return (
        f"{found['count']} of {found['of']} judged wrong predictions ({percent(found['share'])}, {interval}) "
        "have a map that shows the error."
    )


def findings(summary: Summary) -> list[str]:
    """Return what a reader has to know first: the answer, and labels that look as if learnt from something else."""
    elsewhere = [row for row in summary.suggestions if row["outside_low"] is not None and row["outside_low"] > MOST]
    suspects = [row for row in elsewhere if row["inside_against_even"] == AgainstEven.LESS.value]
    even = sum(row["inside_against_even"] == AgainstEven.SAME.value for row in elsewhere)
    few = sum(row["inside_against_even"] == AgainstEven.TOO_FEW.value for row in elsewhere)
    return [headline(summary), *map(_suspicion, suspects), *_no_suspicion(even, few)]


def _suspicion(row: Row) -> str:
    interval = f"95 % interval {percent(row['outside_low'])} to {percent(row['outside_high'])}"
    inside, even = percents_apart(row["in_allowed"], row["evenly_spread"])
    return (
        f"{display_name(row['label']).capitalize()}: in {row['n_outside']} of the {row['n_with_evidence']} wrong "
        f"predictions that have evidence ({percent(row['outside'])}, {interval}) most of it lies outside the allowed "
        f"organ; the median share inside is {inside}, where spreading it evenly would put {even} (median ratio "
        f"{row['times_even']:.2f}, 95 % interval {row['times_even_low']:.2f} to {row['times_even_high']:.2f}). "
        "This label may have been learnt from something else."
    )


def _no_suspicion(even: int, few: int) -> list[str]:
    """Say of labels whose evidence lies elsewhere why that alone means nothing."""
    said = []
    if even:
        said.append(
            f"{counted(even, 'abnormality has')} most of the evidence outside the allowed "
            "organ, but inside about as much as an even spread would: that alone does not point to a shortcut."
        )
    if few:
        said.append(
            f"{counted(few, 'abnormality has')} most of the evidence outside the allowed "
            f"organ in fewer than {MIN_CASES} predictions: too few to say more."
        )
    return said


def build_report(
    audit: Audit, wanted: Filter | None = None, pictures: int = PICTURES, progress: Progress | None = None
) -> Report:
    """Return the report of ``audit``; the books of all wrong predictions are worked out for it.

    Parameters
    ----------
    wanted
        Keeps to some labels, or one group.
    pictures
        How many predictions are shown: judged ones first, then the most confident others.
    """
    start = time.perf_counter()
    chosen = wanted or Filter()
    wrong = audit.select(Filter(labels=chosen.labels, group=chosen.group))
    audit.evidence.work_out(wrong.rows.tolist(), progress)
    summary = audit.summary(chosen)
    shown = _shown(audit, _to_show(audit, wrong, pictures), progress)
    run = {
        "request": {"labels": list(chosen.labels), "group": chosen.group, "pictures": pictures},
        "seconds": {"report": time.perf_counter() - start},
        "versions": versions(),
        **_of_shown(audit, shown),
    }
    return Report({**about(audit), **run}, summary, verdict_rows(audit), shown)


def _of_shown(audit: Audit, shown: Sequence[Shown]) -> dict[str, Any]:
    """Return devices and issues of the cases that are shown, with a warning of burned-in text that shows."""
    facts = store_facts(audit.store, [one.picture.subject.case for one in shown])
    with_ct = {one.picture.subject.case for one in shown if one.picture.has_ct}
    burned_in = burned_in_warning(issue["code"] for issue in facts["issues"] if issue["case"] in with_ct)
    return {"devices": facts["devices"], "issues": [*facts["issues"], *exported(burned_in)]}


def about(audit: Audit) -> dict[str, Any]:
    """Return what was audited, with versions and hashes, as plain JSON types."""
    store = audit.store
    model = store.model
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": f"hirescam {__version__}",
        "intended_use": INTENDED_USE,
        "time": now(),
        "store": {"name": store.path.name, "sha256": store.sha256},
        "model": model_facts(model),
        "guarantee_words": model.guarantee_words,
        "where_words": where_words(audit) if model.has_maps else "",
        "threshold": THRESHOLD_KINDS[audit.predictions.kind],
        "thresholds": dict(zip(audit.predictions.labels, audit.predictions.thresholds.tolist(), strict=True)),
        "reviewers": sorted({who for who, _ in audit.standing}),
        "verdicts_on_other_models": audit.of_other_models,
    }


def where_words(audit: Audit) -> str:
    """Return how far the model's maps can tell where evidence lay; empty without a case."""
    return audit.store.explanation(audit.store.cases[0]).where_words if audit.store.cases else ""


def _to_show(audit: Audit, wrong: Selection, n: int) -> list[Subject]:
    judged = agreed_verdicts(audit.standing)
    first = sorted(wrong.among(judged))[:n]
    rest = islice((subject for subject in wrong if subject not in judged), n - len(first))
    return sorted([*first, *rest])


def _shown(audit: Audit, subjects: Sequence[Subject], progress: Progress | None) -> list[Shown]:
    if not subjects or not audit.store.model.has_maps:
        return []
    from training.evaluate.audit.evidence import books_of_case
    from training.evaluate.audit.pictures import Illustrator

    illustrator, shown = Illustrator(audit.store), []
    for case, own in groupby(subjects, key=lambda subject: subject.case):
        books = books_of_case(audit.store, case)
        for subject in own:
            entries = tuple(e for (_, s), e in sorted(audit.standing.items()) if s == subject)
            view = entries[-1].view if entries else None
            suggestion = audit.suggestion_words(subject, books)
            picture = illustrator.draw(subject, view)
            shown.append(Shown(picture, audit.facts(subject), suggestion, entries))
            if progress is not None:
                progress(len(shown), len(subjects), "pictures")
    return shown


def write_report(
    folder: Path,
    audit: Audit,
    wanted: Filter | None = None,
    pictures: int = PICTURES,
    progress: Progress | None = None,
) -> Report:
    """Write the report of ``audit`` to ``folder``, completely or not at all, and return it as ``audit.json`` has it.

    The other files stand in there with size and SHA-256.

    Raises
    ------
    InputError
        There is something else than an earlier report at ``folder``, the place is not writable, the disk is full, or
        the store is damaged.
    """
    from training.cohort.output import check_target
    from training.evaluate.audit.pages import page
    from training.evaluate.audit.pdf import write_pdf

    check_target(folder, OWN, "audit", JSON_FILE)
    report = build_report(audit, wanted, pictures, progress)
    with atomic_path(folder) as partial:
        partial.mkdir()
        (partial / CSV_FILE).write_text(to_csv(report.verdicts, VERDICT_COLUMNS), encoding="utf-8")
        (partial / TABLES).mkdir()
        for name, rows in report.summary.tables().items():
            (partial / TABLES / f"{name}.csv").write_text(to_csv(map(with_display_name, rows)), encoding="utf-8")
        (partial / PAGE_FILE).write_text(page(report), encoding="utf-8")
        write_pdf(partial / PDF_FILE, report)
        report = replace(report, about={**report.about, "files": file_entries(partial)})
        text = json.dumps(report.to_dict(), indent=1, allow_nan=False)
        (partial / JSON_FILE).write_text(text + "\n", encoding="utf-8")
    return report
