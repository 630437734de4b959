"""The report beside a table of labels: the rules, settings and versions it was made by, of what, and the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.cohort.labelling import Labelled
from training.cohort.run_report import content_entry, file_entry, write_beside
from training.issues import Issue, warning
from training.partition.reports.table import LabelSettings
from training.partition.reports.tokens import MAX_WORDS
from training.partition.reports.vocabulary import rules_sha256
from training.words import counted, counted_of


def summary(done: Labelled, uncertain: str) -> dict[str, Any]:
    """Return what became of the reports as plain JSON types; cases are counted, not named."""
    return {
        "reports": done.reports,
        "done_before": done.done_before,
        "failed": len(done.failures),
        "mention_nothing": len(done.unmentioned),
        "without_place": len(done.unplaced),
        "not_english": len(done.foreign),
        "overlong": len(done.overlong),
        "uncertain_counts_as": uncertain,
    }


def label_issues(done: Labelled, unmentioned: str, evidence: str) -> list[Issue]:
    """Return what whoever uses the labels has to know; ``unmentioned`` and ``evidence`` are the files to look into."""
    found = []
    if done.overlong:
        fact = f"{counted(len(done.overlong), 'report')} with a sentence of more than {MAX_WORDS} words, read in parts"
        way_out = "See that full stops are not lost in the table, and look at the evidence."
        found.append(warning("long-sentence", fact, way_out))
    read = done.reports - len(done.failures)
    if done.foreign:
        verb = "seems" if len(done.foreign) == 1 else "seem"
        fact = f"{counted_of(len(done.foreign), read, 'report')} {verb} to be in another language than English"
        found.append(warning("not-english", fact, "Translate them first: the vocabulary and the rules are English."))
    if done.unplaced:
        verb = "asserts" if len(done.unplaced) == 1 else "assert"
        which = counted_of(len(done.unplaced), read, "report")
        fact = f"{which} {verb} a finding without saying where, which counts for no label"
        found.append(warning("no-place-named", fact, f"See the rows without a label in {evidence}."))
    if done.unmentioned:
        which = counted_of(len(done.unmentioned), read, "report")
        verb = "mentions" if len(done.unmentioned) == 1 else "mention"
        fact = f"{which} {verb} nothing that the vocabulary knows, and all their labels are 0"
        way_out = f"They may be normal, in another language, or no chest CT: see {unmentioned}."
        found.append(warning("nothing-mentioned", fact, way_out))
    return found


def write_label_record(
    out: Path,
    table: Path,
    written: Sequence[Path],
    settings: LabelSettings,
    facts: Mapping[str, Any],
    seconds: float,
    issues: Iterable[Issue] = (),
) -> dict[str, Any]:
    """Write the report on the labels ``out`` beside them, and return it.

    Parameters
    ----------
    table
        What was read: its size and hash are kept, its name is not.
    written
        ``out`` and the tables beside it.
    facts
        What came of it, such as :func:`summary`.

    Raises
    ------
    InputError
        If the place is not writable, or the disk is full.
    """
    request = {
        "variant": settings.variant,
        "uncertain": settings.uncertain,
        "lymph_node_mm": settings.lymph_node_mm,
        "own_vocabularies": [content_entry(path) for path in settings.vocabulary],
    }
    about = {
        "input": content_entry(table),
        "rules_sha256": rules_sha256(settings.vocabulary),
        "result": dict(facts),
        "tables": [file_entry(path, out.parent) for path in written if path != out],
    }
    return write_beside(out, "labels of reports", about, request, {"labelling": seconds}, issues)
