"""Label many reports in parallel, a part of the table at a time; a run that was stopped goes on where it was.

Every finished part is a small file beside the output, named by what it was made from: its reports, the settings, the
vocabulary and the version of this program. A report that cannot be labelled is told and stops nothing.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from training import __version__
from training.cohort.jobs import run_here, run_jobs
from training.cohort.output import check_free_files
from training.cohort.run_report import report_beside
from training.cohort.sources.tables import first, read_table
from training.io.atomic import atomic_path
from training.issues import InputError, error
from training.partition.reports.table import (
    CASE_COLUMNS,
    TEXT_COLUMNS,
    LabelledRow,
    LabelSettings,
    label_one,
    write_labels,
)
from training.partition.reports.vocabulary import rules_sha256
from training.words import counted

PART_REPORTS = 128
"""Reports in a part: a second or so of work, so that little is lost and little is said to the scheduler."""

MAX_REPORT_CHARS = 1_000_000
"""A longer report is none: rows that ran together behind a quote that was never closed."""

Report = tuple[str, str]
"""Case and text."""


@dataclass(frozen=True)
class Failure:
    """A report without labels, and why."""

    case: str
    reason: str


@dataclass(frozen=True)
class Part:
    """Some reports of a table and the file their results go to."""

    rows: tuple[Report, ...]
    place: Path


@dataclass(frozen=True)
class Labelled:
    """What became of a table: reports done by an earlier run, failures, and the files that were written.

    ``overlong`` are the cases whose report holds a sentence that was cut because it was too long to be one, and
    ``unmentioned`` those whose report mentions nothing that the vocabulary knows. ``unplaced`` are the cases whose
    report asserts a finding without a place only, and ``foreign`` those whose report seems not to be English.
    """

    reports: int
    done_before: int
    failures: tuple[Failure, ...]
    files: tuple[Path, ...]
    overlong: tuple[str, ...] = ()
    unmentioned: tuple[str, ...] = ()
    unplaced: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def parts_folder(out: Path) -> Path:
    """Return where the parts for the output ``out`` wait until all are there."""
    return out.with_name(f".{out.name}.parts")


def read_reports(path: Path) -> list[Report]:
    """Return (case, text) of every row of a CSV.

    Raises
    ------
    InputError
        If the file is not a readable CSV, lacks a case or text column, leaves a case without name, or names one twice.
    """
    columns, rows = read_table(path)
    header = {name.lower().strip(): name for name in columns}
    case = next((header[c] for c in CASE_COLUMNS if c in header), None)
    texts = [header[t] for t in TEXT_COLUMNS if t in header]
    if case is None or not texts:  # columns are not quoted: without a header the first report would stand there
        missing = "that names the case" if case is None else "that holds the report"
        way_out = f"Name one column as one of {', '.join(CASE_COLUMNS)}, and one as one of {', '.join(TEXT_COLUMNS)}"
        is_one = len(columns) == 1 and any(mark in columns[0] for mark in ";\t|")
        hint = ". Columns must be separated by commas." if is_one else "."
        raise InputError(error("reports-columns", f"has no column {missing}", way_out + hint, path.name))
    if not rows:
        raise InputError(error("reports-empty", "holds no reports", "Give a row a report.", path.name))
    _check_cases([row[case] for row in rows], path)
    return [(row[case], "\n".join(row[t] for t in texts)) for row in rows]


def _check_cases(cases: Sequence[str], path: Path) -> None:
    unnamed = [number for number, case in enumerate(cases, 1) if not case or "\0" in case]
    if unnamed:
        fact = f"has rows without a usable case name: {first(unnamed)}"
        raise InputError(error("no-case-name", fact, "Give every row a name.", path.name))
    twice = [case for case, count in Counter(cases).items() if count > 1]
    if twice:
        fact = f"names cases more than once: {first(twice)}"
        raise InputError(error("reports-duplicate-case", fact, "Keep one row a case.", path.name))


def check_outputs(out: Path, inputs: Sequence[Path], overwrite: bool = False) -> None:
    """Refuse an output that is a folder, would replace something that is read, or, unless ``overwrite``, anything.

    Raises
    ------
    InputError
        If it is.
    """
    if out.is_dir():
        fact = "is a folder, and is left as it is; the labels are a file"
        raise InputError(error("output-exists", fact, "Name a file, such as labels.csv in it.", out.name))
    files = (out, *companions(out), report_beside(out))
    written = {os.path.realpath(path) for path in files}
    for path in inputs:
        if os.path.realpath(path) in written:
            fact = "would be overwritten by the labels"
            raise InputError(error("output-is-input", fact, "Choose another name.", path.name))
    check_free_files(files, overwrite)


class Companions(NamedTuple):
    """The tables that are written beside the labels; the last two only where a report failed or mentions nothing."""

    locations: Path
    evidence: Path
    failures: Path
    unmentioned: Path


def companions(out: Path) -> Companions:
    """Return the tables that are written beside the labels ``out``."""
    return Companions(*(out.with_name(f"{out.stem}.{name}.csv") for name in Companions._fields))


def label_table(
    rows: Sequence[Report],
    settings: LabelSettings,
    out: Path,
    client: Any = None,
    progress: Callable[[int, int, str], None] | None = None,
    told: Callable[[Failure], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Labelled:
    """Label ``rows`` and write ``out`` with its :func:`companions`.

    Parameters
    ----------
    rows
        (case, text) of every report.
    client
        Of dask.distributed; None to work in this process.
    progress
        Called with (done, total, stage), in reports.
    told
        Called with every failure as it comes; all are in ``OUT.failures.csv`` at the end.
    cancelled
        Asked after every part; what is finished stays for the next run.

    Raises
    ------
    Cancelled
        If ``cancelled`` returned True.
    InputError
        The output cannot be written, or every report failed.
    """
    parts = list(parts_of(rows, settings, parts_folder(out)))
    waiting = [part for part in parts if not part.place.is_file()]
    done = len(rows) - sum(len(part.rows) for part in waiting)
    before = done
    work = partial(label_part, settings=settings)
    finished = run_here(work, waiting, cancelled) if client is None else run_jobs(work, waiting, client, cancelled)
    for one in finished:
        lines = _failed(one.item, one.failure) if one.result is None else one.result
        _keep(one.item.place, lines, out)
        for line in lines:
            if told is not None and "failure" in line:
                told(Failure(line["case"], line["failure"]))
        done += len(one.item.rows)
        if progress is not None:
            progress(done, len(rows), "reports")
    return _gather(parts, settings, out, before)


def parts_of(rows: Sequence[Report], settings: LabelSettings, folder: Path) -> Iterator[Part]:
    """Cut ``rows`` into parts; a part's file is named by everything that decides its content."""
    about = settings_digest(settings)
    for start in range(0, len(rows), PART_REPORTS):
        own = tuple((case, text) for case, text in rows[start : start + PART_REPORTS])
        key = hashlib.sha256(json.dumps([about, own]).encode()).hexdigest()
        yield Part(own, folder / f"{key[:32]}.jsonl")


def settings_digest(settings: LabelSettings) -> str:
    """Return a digest of settings, vocabularies (the shipped one and the user's) and the program's version."""
    named = [__version__, settings.variant, settings.uncertain, settings.lymph_node_mm]
    return hashlib.sha256(json.dumps([*named, rules_sha256(settings.vocabulary)]).encode()).hexdigest()


def label_part(part: Part, settings: LabelSettings) -> list[dict[str, Any]]:
    """Label the reports of a part; each gives one line of plain JSON types, with its labels or its failure."""
    return [_line(row, settings) for row in part.rows]


def _line(row: Report, settings: LabelSettings) -> dict[str, Any]:
    case, text = row
    fault = _fault(text)
    if fault:
        return {"case": case, "failure": fault}
    try:
        found = label_one(row, settings)
    except Exception as problem:  # noqa: BLE001 - a report that breaks is told, the others go on
        return {"case": case, "failure": f"{type(problem).__name__}: {problem}"}
    kept = {"values": found.values, "columns": sorted(found.columns), "evidence": found.evidence}
    silent = None if found.places is None else {"words": len(text.split()), "places": list(found.places)}
    told = {"lost": found.lost, "is_foreign": found.is_foreign}
    return {"case": case, **kept, "n_cut": found.n_cut, "silent": silent, **told}


def _fault(text: str) -> str:
    """Return why a text is no report, nothing if it may be one."""
    if not text.strip():
        return "the report holds no text"
    if "\0" in text:
        return "the report holds NUL characters, as damaged files do; mend its row"
    if len(text) > MAX_REPORT_CHARS:
        return f"the report has {len(text):,} characters; look for a quote in its row that is not closed"
    return ""


def _failed(part: Part, reason: str | None) -> list[dict[str, Any]]:
    """Return the lines of a part that was lost as a whole, for example with its process."""
    return [{"case": case, "failure": reason or "no result"} for case, _ in part.rows]


def _keep(place: Path, lines: list[dict[str, Any]], out: Path) -> None:
    """Keep a part; of what cannot be written the output is told, which people know, not the part."""
    try:
        with atomic_path(place) as partial_path, partial_path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    except InputError as failure:
        known = (replace(one, file=out.name) if one.file == place.name else one for one in failure.issues)
        raise InputError(known) from failure


def _lines(parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    for part in parts:
        with part.place.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _gather(parts: Sequence[Part], settings: LabelSettings, out: Path, before: int) -> Labelled:
    """Write the output from the parts, in the table's order, then let the parts go."""
    failures = [Failure(line["case"], line["failure"]) for line in _lines(parts) if "failure" in line]
    total = sum(len(part.rows) for part in parts)
    if total and len(failures) == total:
        fact = f"not one of {counted(total, 'report')} could be labelled; the first: {failures[0].reason}"
        _let_go(parts, out)
        raise InputError(error("no-labels", fact, "Check the column that holds the reports.", out.name))
    good = (line for line in _lines(parts) if "failure" not in line)
    written = write_labels(map(_row, good), out, settings)
    beside = companions(out)
    silent = [(line["case"], line["silent"]) for line in _lines(parts) if line.get("silent")]
    unmentioned = [(case, str(told["words"]), " ".join(told["places"])) for case, told in silent]
    where = [
        *_write_some(beside.failures, ("case", "reason"), [(one.case, one.reason) for one in failures]),
        *_write_some(beside.unmentioned, ("case", "words", "places"), unmentioned),
    ]
    overlong, unplaced, foreign = (_cases_with(key, parts) for key in ("n_cut", "lost", "is_foreign"))
    _let_go(parts, out)
    cases = tuple(case for case, _ in silent)
    return Labelled(total, before, tuple(failures), (*written, *where), overlong, cases, unplaced, foreign)


def _cases_with(key: str, parts: Sequence[Part]) -> tuple[str, ...]:
    return tuple(line["case"] for line in _lines(parts) if line.get(key))


def _row(line: dict[str, Any]) -> LabelledRow:
    evidence = tuple(tuple(row) for row in line["evidence"])
    return LabelledRow(line["case"], line["values"], frozenset(line["columns"]), evidence)


def _write_some(path: Path, head: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[Path, ...]:
    """Write a table if it has rows; else see that no earlier one stays."""
    if not rows:
        path.unlink(missing_ok=True)
        return ()
    with atomic_path(path) as partial_path, partial_path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
    return (path,)


def _let_go(parts: Sequence[Part], out: Path) -> None:
    for part in parts:
        part.place.unlink(missing_ok=True)
    shutil.rmtree(parts_folder(out), ignore_errors=True)
