"""Label a CSV of reports: the 80 columns, the ``abnormality*location`` columns and the evidence behind them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from training.io.atomic import atomic_path
from training.issues import InputError, error
from training.labels import display_name, find_label, label_names
from training.partition.reports.columns import column_names, columns
from training.partition.reports.findings import Finding, places_in
from training.partition.reports.labels import LYMPH_NODE_MM, UncertainPolicy, Variant, label_report, sides_of
from training.partition.reports.language import seems_foreign
from training.partition.reports.vocabulary import load_vocabulary

TEXT_COLUMNS = ("report_text", "report", "text", "findings_en", "findings", "impressions_en", "impression")
"""Columns that are read as report text, in this order, case ignored; several are joined."""
CASE_COLUMNS = ("case", "accessionno", "noteacc_deid", "volumename", "id", "accession")
"""Columns that name the case, first match wins, case ignored."""


@dataclass(frozen=True)
class LabelSettings:
    """How reports are labelled; raises ``InputError`` where a number makes no sense."""

    variant: Variant = "default"
    uncertain: UncertainPolicy = "present"
    lymph_node_mm: float = LYMPH_NODE_MM
    vocabulary: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lymph_node_mm) and self.lymph_node_mm > 0):
            fact = f"the short axis from which a lymph node is enlarged cannot be {self.lymph_node_mm:g} mm"
            raise InputError(error("bad-setting", fact, "Give a length above zero, such as 10."))


@dataclass(frozen=True)
class LabelledRow:
    """One report's results: values of the 80 labels, columns that are 1, evidence rows (without the display name).

    ``places`` is None, but for a report that mentions no abnormality of the vocabulary, not even to deny it: then it
    holds the locations that the report names. ``n_cut`` counts how often a sentence was cut because it was too long to
    be one. ``lost`` are the abnormalities that are asserted without a place only, so that no label holds them;
    ``is_foreign``: the report seems not to be English.
    """

    case: str
    values: dict[str, int]
    columns: frozenset[str]
    evidence: tuple[tuple[str, ...], ...]
    places: tuple[str, ...] | None = None
    n_cut: int = 0
    lost: tuple[str, ...] = ()
    is_foreign: bool = False


EVIDENCE_HEADER = (
    "case",
    "label",
    "display_name",
    "status",
    "sides",
    "locations",
    "sizes_mm",
    "words",
    "sentence",
    "reason",
)


def evidence_line(row: Sequence[str]) -> tuple[str, ...]:
    """Return an evidence row as the table has it: with what a reader calls the label behind its name, if it has one."""
    case, label, *rest = row
    return (case, label, display_name(label) if label else "", *rest)


def label_one(row: tuple[str, str], settings: LabelSettings) -> LabelledRow:
    """Label one (case, text)."""
    case, text = row
    vocabulary = load_vocabulary(settings.vocabulary)
    labels = label_report(text, variant=settings.variant, vocabulary=vocabulary, lymph_node_mm=settings.lymph_node_mm)
    mentions = [(name, finding) for name, found in labels.evidence.items() for finding in found.findings]
    mentions += [("", finding) for finding in labels.unplaced]
    evidence = tuple((case, name, *_evidence_cells(finding, name, text, settings)) for name, finding in mentions)
    return LabelledRow(
        case,
        labels.values(settings.uncertain),
        columns(labels, vocabulary, settings.uncertain),
        evidence,
        None if labels.findings else tuple(sorted(places_in(text, vocabulary))),
        labels.n_cut,
        tuple(sorted(labels.lost())),
        seems_foreign(text),
    )


def _evidence_cells(finding: Finding, name: str, text: str, settings: LabelSettings) -> tuple[str, ...]:
    """Return the cells behind a row's case and label; a mention without a label names no lung either."""
    return (
        str(finding.status),
        "+".join(sorted(sides_of(finding, find_label(name), settings.variant))) if name else "",
        " ".join(sorted(finding.locations)),
        " ".join(f"{s:g}" for s in finding.sizes_mm),
        text[slice(*finding.span)],
        text[slice(*finding.sentence)],
        finding.reason,
    )


def label_rows(rows: Iterable[tuple[str, str]], settings: LabelSettings) -> Iterator[LabelledRow]:
    """Label reports in order, in this process; :func:`training.cohort.labelling.label_table` does many in parallel."""
    return (label_one(row, settings) for row in rows)


def _ones(columns: Iterable[str], index: dict[str, int]) -> list[str]:
    """Return a cell for each of thousands of columns, almost all "0"."""
    cells = ["0"] * len(index)
    for column in columns:
        cells[index[column]] = "1"
    return cells


def write_labels(results: Iterable[LabelledRow], out: Path, settings: LabelSettings) -> tuple[Path, Path, Path]:
    """Write ``out``, ``*.locations.csv`` and ``*.evidence.csv``; each appears only when it is complete.

    Returns
    -------
    The three paths.
    """
    where, why = (out.with_name(f"{out.stem}.{part}.csv") for part in ("locations", "evidence"))
    names = label_names()
    pairs = column_names(load_vocabulary(settings.vocabulary))
    with ExitStack() as stack:
        paths = [stack.enter_context(atomic_path(path)) for path in (out, where, why)]
        files = [stack.enter_context(path.open("w", newline="", encoding="utf-8")) for path in paths]
        labels, places, evidence = (csv.writer(file, lineterminator="\n") for file in files)
        index = {pair: i for i, pair in enumerate(pairs)}
        labels.writerow(["case", *names])
        places.writerow(["case", *pairs])
        evidence.writerow(EVIDENCE_HEADER)
        for row in results:
            labels.writerow([row.case, *(row.values[n] for n in names)])
            places.writerow([row.case, *_ones(row.columns, index)])
            evidence.writerows(map(evidence_line, row.evidence))
    return out, where, why
