"""RAD-ChestCT as published: a folder of npz, named by ``NoteAcc_DEID``, and three tables of ``abnormality*location``.

The 80 labels follow from the location columns by the authors' rule
(:func:`training.partition.reports.columns.labels_from_columns`); the same columns say on which side a finding lies.
The names are public, so they are shown.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.cohort.sources.base import SPLITS, Listing, Record, Sides
from training.cohort.sources.tables import Faults, checked_columns, first, note_duplicates, opened, read_table
from training.io import read_ct
from training.issues import InputError, Issue, Severity, error, warning
from training.labels import all_labels, label_names
from training.partition.reports.columns import OTHER_LOCATION, column_names, labels_from_columns
from training.partition.reports.vocabulary import load_vocabulary
from training.volume import Volume
from training.words import counted, counted_of

ID_COLUMN = "NoteAcc_DEID"
TABLE_PATTERN = "img{split}*_Abnormality_and_Location_Labels.csv"

_UNNAMED = ("other_path", "other_disease")  # "any other abnormality": no label follows from it
_WAY_OUT = "Take the tables as published."
_BLOCK = 1024

Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RadChestCT:
    """RAD-ChestCT in a folder.

    Parameters
    ----------
    tables
        Folder of the three label tables.
    volumes
        Folder of the npz files; the folder of the tables if None.
    subset
        A list of ``NoteAcc_DEID``, one a line or in a column of that name, to which the cases are restricted.
    """

    tables: Path
    volumes: Path | None = None
    subset: Path | None = None

    @property
    def name(self) -> str:
        """What the layout is called."""
        return "RAD-ChestCT"

    def listing(self) -> Listing:
        """Read the label tables and look which CTs are there.

        Raises
        ------
        InputError
            There is no table, or one cannot be read at all.
        """
        wanted = None if self.subset is None else read_subset(self.subset)
        found, issues = self._tables()
        records, seen = [], set()
        for split, path in found:
            table = _read(path)
            issues += table.issues
            records += [r for r in table.records(split, self._folder) if wanted is None or r.case_id in wanted]
            seen |= set(table.ids)
        if self.subset is not None and wanted is not None:
            issues += _not_listed(wanted - seen, self.subset)
        issues += _twice_over_splits(records)
        return Listing(label_names(), tuple(r for r in records if r.path.is_file()), (*issues, *self._match(records)))

    def read(self, record: Record) -> Volume:
        """Read one npz."""
        return read_ct(record.path)

    @property
    def _folder(self) -> Path:
        return self.volumes or self.tables

    def _tables(self) -> tuple[list[tuple[str, Path]], list[Issue]]:
        found = [(s, path) for s in SPLITS for path in sorted(self.tables.glob(TABLE_PATTERN.format(split=s)))]
        missing = [s for s in SPLITS if s not in {split for split, _ in found}]
        if not found:
            fact = f"holds none of {', '.join(TABLE_PATTERN.format(split=s) for s in SPLITS)}"
            raise InputError(error("no-table", fact, _WAY_OUT, self.tables.name))
        return found, [warning("no-table", f"there is no table of split {s}", _WAY_OUT) for s in missing]

    def _match(self, records: Sequence[Record]) -> Iterator[Issue]:
        """Compare the cases of the tables with the files of the folder."""
        lacking = [r.case_id for r in records if not r.path.is_file()]
        if len(lacking) == len(records):
            fact = f"holds no CT of {counted(len(records), 'case')}: {first(r.path.name for r in records)}"
            yield error("no-volume", fact, "Give the folder of the npz files.", self._folder.name)
        elif lacking:
            fact = f"{counted_of(len(lacking), len(records), 'case')} without CT left out: {first(lacking)}"
            yield warning("no-volume", fact, "The public part is 3,630 CTs.", self._folder.name)
        known = {r.path.name for r in records}
        extra = sorted(p.name for p in self._folder.glob("*.npz") if p.name not in known)
        if extra and self.subset is None:
            fact = f"{counted(len(extra), 'CT')} without row in the tables left out: {first(extra)}"
            yield warning("no-labels", fact, "Add their rows, or remove them.", self._folder.name)


@dataclass(frozen=True, eq=False)
class _Table:
    """A label table: N names; bits, shape (N, columns), of the columns ``abnormality*location``."""

    ids: tuple[str, ...]
    columns: tuple[str, ...]
    bits: Bits
    issues: tuple[Issue, ...]

    def records(self, split: str, folder: Path) -> Iterator[Record]:
        """Yield a record for every row, whether its CT is there or not."""
        rule, right, left, known = rules(self.columns)
        for start in range(0, len(self.ids), _BLOCK):
            bits = self.bits[start : start + _BLOCK].astype(np.float32)
            targets = np.where(known, bits @ rule > 0, np.nan).astype(np.float32)
            sides = zip(bits @ right > 0, bits @ left > 0, strict=True)
            for case_id, own, (on_right, on_left) in zip(self.ids[start:], targets, sides, strict=False):
                yield Record(case_id, folder / f"{case_id}.npz", split, own, _sides(own, on_right, on_left))


Rules = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_]]


@lru_cache(maxsize=4)
def rules(columns: tuple[str, ...]) -> Rules:
    """Return how labels follow from columns: three 0/1 arrays of shape (columns, 80), and bool (80,).

    A label holds if any of its columns is 1, so asking the rule about one column at a time gives it completely. The
    first array is the labels, the second and third the right and the left lung; the last tells which labels have any
    column at all (the others stay unknown).
    """
    names = label_names()
    rule = np.zeros((len(columns), len(names)), dtype=np.float32)
    for index, column in enumerate(columns):
        rule[index] = list(labels_from_columns({column: 1}).values())
    lung = np.array([label.region == "lung" for label in all_labels()])
    places = [column.partition("*")[2] for column in columns]
    right = rule * np.array([p.startswith("right") for p in places])[:, None] * lung
    left = rule * np.array([p.startswith("left") for p in places])[:, None] * lung
    return rule, right, left, np.asarray(rule.any(axis=0))


def _sides(
    targets: npt.NDArray[np.float32], right: npt.NDArray[np.bool_], left: npt.NDArray[np.bool_]
) -> dict[str, Sides]:
    """Return the known sides of present labels; ``right`` and ``left`` are bool, shape (80,)."""
    names = label_names()
    present = np.flatnonzero((targets == 1) & (right | left))
    return {names[k]: frozenset(s for s, named in (("right", right[k]), ("left", left[k])) if named) for k in present}


def _read(path: Path) -> _Table:
    """Read one label table; faults are issues of the result."""
    faults = Faults(path.name)
    with opened(path) as stream:
        columns = checked_columns(next(csv.reader([stream.readline()]), None), path)
        if columns[0] != ID_COLUMN:
            raise InputError(error("no-ids", f"its first column is not {ID_COLUMN}", _WAY_OUT, path.name))
        pairs = tuple(name for name in columns[1:] if "*" in name)
        kept = np.array(["*" in name for name in columns[1:]], dtype=bool)
        ids, bits = [], []
        for number, line in enumerate(stream, start=2):
            if line.strip():
                case_id, cells = _cells(line, len(columns) - 1, number, faults)
                ids.append((number, case_id.strip().removesuffix(".npz")))
                bits.append(cells[kept])
    note_duplicates(ids, True, faults)
    table = np.stack(bits) if bits else np.zeros((0, len(pairs)), np.uint8)
    names = tuple(case_id for _, case_id in ids)
    return _Table(names, pairs, table, (*faults.issues(), *_column_issues(columns, path)))


def _cells(line: str, n: int, number: int, faults: Faults) -> tuple[str, Bits]:
    """Return the name and the ``n`` values of a row. Rows of plain ``0,1,0`` are read without splitting them."""
    case_id, _, rest = line.rstrip("\r\n").partition(",")
    raw = np.frombuffer(rest.encode(), np.uint8)
    if len(raw) == 2 * n - 1 and (raw[1::2] == ord(",")).all():
        values = raw[::2] - ord("0")
        if (values <= 1).all():
            return case_id, values
    cells = next(csv.reader([line]))[1:]
    wrong = [cell for cell in cells if cell.strip() not in ("0", "1", "0.0", "1.0")]
    if len(cells) != n:
        faults.add("bad-row", f"rows have another number of cells than the header's {n + 1}", _WAY_OUT, f"row {number}")
        return case_id, np.zeros(n, np.uint8)
    for cell in wrong[:1]:
        faults.add("bad-value", "values are neither 0 nor 1", _WAY_OUT, f"row {number} ({case_id}): {cell[:20]!r}")
    return case_id, np.array([cell.strip() in ("1", "1.0") for cell in cells], np.uint8)


def _column_issues(columns: tuple[str, ...], path: Path) -> Iterator[Issue]:
    vocabulary = load_vocabulary()
    places = (*vocabulary.location_keys, OTHER_LOCATION)
    known = {*column_names(vocabulary), *(f"{a}*{p}" for a in _UNNAMED for p in places)}
    unknown = [name for name in columns[1:] if name not in known]
    if unknown:
        fact = f"{counted_of(len(unknown), len(columns) - 1, 'column is')} unknown: {first(unknown)}"
        # A table of other columns throughout is another table; a few more locations do no harm.
        most = 2 * len(unknown) > len(columns) - 1
        severity = Severity.ERROR if most else Severity.WARNING
        yield Issue("unknown-columns", severity, fact, "No label follows from them.", path.name)
    known_labels = rules(tuple(name for name in columns[1:] if "*" in name))[3]
    lacking = [name for name, is_known in zip(label_names(), known_labels, strict=True) if not is_known]
    if lacking:
        fact = f"{counted(len(lacking), 'label')} without column, and so unknown: {first(lacking)}"
        yield warning("missing-columns", fact, _WAY_OUT, path.name)


def _twice_over_splits(records: Sequence[Record]) -> Iterator[Issue]:
    splits: dict[str, set[str]] = {}
    for record in records:
        splits.setdefault(record.case_id, set()).add(record.split)
    shared = [f"{name} ({', '.join(sorted(own))})" for name, own in splits.items() if len(own) > 1]
    if shared:
        fact = f"{counted(len(shared), 'case is')} in several splits: {first(shared)}"
        yield error("split-overlap", fact, "Keep each case in one split.")


def read_subset(path: Path) -> frozenset[str]:
    """Return the names in a list file: its column ``NoteAcc_DEID``, or every line of a file without commas.

    Raises
    ------
    InputError
        The file cannot be read, or is a table without that column.
    """
    with opened(path) as stream:
        lines = [line.strip() for line in stream if line.strip()]
    if any("," in line for line in lines):
        columns, rows = read_table(path)
        if ID_COLUMN not in columns:
            raise InputError(error("no-ids", f"has no column {ID_COLUMN}", "Give one name a line.", path.name))
        return frozenset(row[ID_COLUMN].removesuffix(".npz") for row in rows)
    return frozenset(line.removesuffix(".npz") for line in lines if line != ID_COLUMN)


def _not_listed(missing: frozenset[str] | set[str], path: Path) -> Iterator[Issue]:
    if missing:
        fact = f"{counted(len(missing), 'name is')} in none of the tables: {first(sorted(missing))}"
        yield error("unknown-case", fact, "Correct the list.", path.name)
