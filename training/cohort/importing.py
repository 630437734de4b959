"""Labels made elsewhere, by any labeller or language model or RAD-ChestCT's own, in the form of ``label-reports``.

Two forms are understood: a column a label (any spelling of the 80 names), and RAD-ChestCT's ``abnormality*location``
columns. Values are 1 (present), 0 (absent), -1 (uncertain) and empty (not said).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from training.cohort.labelling import companions
from training.cohort.sources.tables import SHOWN, check_one_column_each, read_table
from training.io.atomic import atomic_path
from training.issues import InputError, error
from training.labels import find_label, is_known, label_names
from training.partition.reports import load_vocabulary
from training.partition.reports.columns import column_names, labels_from_columns
from training.partition.reports.labels import UncertainPolicy
from training.partition.reports.table import CASE_COLUMNS, EVIDENCE_HEADER, evidence_line

_VALUES: Mapping[str, int | None] = {
    **{"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1, "": None},
    **{"true": 1, "false": 0, "yes": 1, "no": 0, "present": 1, "absent": 0, "uncertain": -1},
}
_STATUS = {1: "present", 0: "absent", -1: "uncertain"}

Row = Mapping[str, int | None]
"""Column -> value of one case."""


@dataclass(frozen=True, eq=False)
class GivenLabels:
    """A table of labels: the form it came in, the cases, and their values by label or column."""

    form: Literal["labels", "locations"]
    cases: tuple[str, ...]
    rows: tuple[Row, ...]


def read_given(path: Path) -> GivenLabels:
    """Read labels made elsewhere.

    Raises
    ------
    InputError
        Not readable; no case column; no label among the columns, or unknown ones; two columns for one label; a case
        named twice; a value that is none of 1, 0, -1 and empty. Each names the first ten offenders.
    """
    names, rows = read_table(path)
    case = next((name for wanted in CASE_COLUMNS for name in names if name.lower().strip() == wanted), None)
    if case is None:
        way_out = f"Name one column as one of {', '.join(CASE_COLUMNS)}."
        raise InputError(error("no-case-column", "has no column that names the case", way_out, path.name))
    others = [name for name in names if name != case]
    locations = any("*" in name for name in others)
    keys = _location_keys(others, path) if locations else _label_keys(others, path)
    check_one_column_each(keys.values(), path)
    values = tuple(_row(row, keys, number, path) for number, row in enumerate(rows, 2))
    _refuse_twice([row[case] for row in rows], path)
    return GivenLabels("locations" if locations else "labels", tuple(row[case] for row in rows), values)


def _label_keys(names: Sequence[str], path: Path) -> dict[str, str]:
    unknown = [name for name in names if not is_known(name)]
    if unknown or not names:
        way_out = "`hirescam models --labels` lists the 80 names; take out or rename the other columns."
        raise InputError(
            error("unknown-labels", f"has columns that are no labels: {_some(unknown)}", way_out, path.name)
        )
    return {name: find_label(name).name for name in names}


def _location_keys(names: Sequence[str], path: Path) -> dict[str, str]:
    known = set(column_names(load_vocabulary()))
    unknown = [name for name in names if name.strip() not in known]
    if unknown:
        way_out = "Columns are spelled abnormality*location as RAD-ChestCT spells them."
        raise InputError(error("unknown-labels", f"has columns that are unknown: {_some(unknown)}", way_out, path.name))
    return {name: name.strip() for name in names}


def _row(row: Mapping[str, str], keys: Mapping[str, str], number: int, path: Path) -> Row:
    found: dict[str, int | None] = {}
    for name, key in keys.items():
        text = row[name].strip().lower()
        if text not in _VALUES:
            fact = f"line {number}, column {name}: {row[name]!r} is none of 1, 0, -1 and empty"
            raise InputError(error("bad-value", fact, "Mend the value.", path.name))
        found[key] = _VALUES[text]
    return found


def _refuse_twice(cases: Sequence[str], path: Path) -> None:
    twice = [case for case, count in Counter(cases).items() if count > 1]
    if twice:
        raise InputError(error("duplicate-case", f"names cases twice: {_some(twice)}", "Keep one row each.", path.name))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def write_given(given: GivenLabels, out: Path, uncertain: UncertainPolicy = "present") -> tuple[Path, ...]:
    """Write ``given`` in the form of ``label-reports``: ``out``, its evidence and, where known, its locations.

    Labels that the table has no column for, or no value, stay empty: not said is not absent. Evidence names the column
    instead of a sentence.
    """
    names, pairs = label_names(), column_names(load_vocabulary())
    places, why, *_ = companions(out)
    tables: dict[Path, list[Sequence[str]]] = {out: [["case", *names]], why: [EVIDENCE_HEADER]}
    if given.form == "locations":
        tables[places] = [["case", *pairs]]
    for case, row in zip(given.cases, given.rows, strict=True):
        values = {key: _decided(value, uncertain) for key, value in row.items()}
        labels = _labels_of(given.form, values)
        tables[out].append([case, *(_cell(labels.get(name)) for name in names)])
        tables[why] += map(evidence_line, _evidence(case, given.form, row))
        if given.form == "locations":
            tables[places].append([case, *(_cell(values.get(pair)) for pair in pairs)])
    for path in companions(out):
        if path not in tables:
            path.unlink(missing_ok=True)  # of the labels that are replaced
    for path, lines in tables.items():
        with atomic_path(path) as partial_path, partial_path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
    return tuple(tables)


def _decided(value: int | None, uncertain: UncertainPolicy) -> int | None:
    return int(uncertain == "present") if value == -1 else value


def _labels_of(form: str, values: Row) -> Row:
    if form == "labels":
        return values
    held = {label for key, value in values.items() if value for label in _labels_of_column(key)}
    return {name: int(name in held) for name in label_names()}


@cache
def _labels_of_column(column: str) -> tuple[str, ...]:
    """Return the labels that hold where ``column`` is marked: a label holds if any of its columns is."""
    return tuple(name for name, holds in labels_from_columns({column: 1}).items() if holds)


def _cell(value: int | None) -> str:
    return "" if value is None else str(value)


def _evidence(case: str, form: str, row: Row) -> list[list[str]]:
    """Return the evidence rows of one case: every value that was said, with the column that said it."""
    said = [(key, value) for key, value in row.items() if value is not None and (value or form == "labels")]
    if form == "labels":
        return [[case, key, _STATUS[value], "", "", "", key, "", ""] for key, value in said]
    return [
        [case, label, _STATUS[value], _side(key), key.partition("*")[2], "", key, "", ""]
        for key, value in said
        for label in _labels_of_column(key)
    ]


def _side(column: str) -> str:
    return next((side for side in ("right", "left") if column.partition("*")[2].startswith(side)), "")
