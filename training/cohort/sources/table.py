"""A cohort as one table: ``case, path, split`` and a column for every label; CTs in any format that can be read.

Optional columns: ``sides`` (where lung findings lie: ``lung nodule: right; lung opacity: right left``),
``organs`` (file of an organ map), ``series`` (its number in a DICOM folder) and ``report`` (its text). Paths are
relative to the table's folder. An empty label cell means unknown. Names in a table may be patients' names, so cases are
shown as salted hashes unless ``keep_names`` is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from training.cohort.phantom.cohort import is_of_phantom
from training.cohort.sources.base import SPLITS, Listing, Record, Sides
from training.cohort.sources.tables import (
    Faults,
    Row,
    check_one_column_each,
    first,
    note_duplicates,
    numbered,
    read_table,
    targets_of,
)
from training.io import read_ct
from training.io.privacy import case_id_for
from training.issues import InputError, Issue, error, warning
from training.labels import is_known, paper_name
from training.volume import Volume
from training.words import agreed, counted

LABELS_FILE = "labels.csv"
"""The table's name inside a cohort's folder."""

NEEDED = ("case", "path", "split")
OPTIONAL = ("sides", "organs", "series", "report")
SHOWN_COLUMNS = 5
"""With more columns that are no label, the way out does not name them all."""
VOLUME_SUFFIXES = (".npz", ".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class GenericTable:
    """A cohort in one CSV.

    Parameters
    ----------
    table
        The CSV, or the folder that holds it as ``labels.csv``.
    keep_names
        Show the cases by the names of the table.
    extra_labels
        Columns that are labels though they are none of the 80.
    needs_labels, needs_volumes
        Refuse a table without any label, or with a case whose CT is not there; False where cases are only to be
        explained: such a case then fails by itself.
    """

    table: Path
    keep_names: bool = False
    extra_labels: tuple[str, ...] = ()
    needs_labels: bool = True
    needs_volumes: bool = True

    @property
    def name(self) -> str:
        """What the layout is called."""
        return "table"

    @property
    def file(self) -> Path:
        """The CSV."""
        return self.table / LABELS_FILE if self.table.is_dir() else self.table

    def listing(self) -> Listing:
        """Read the table and look which CTs are there.

        Raises
        ------
        InputError
            There is no table, it lacks the needed columns or all labels, or two columns are the same label.
        """
        columns, rows = read_table(self.file)
        labels, faults = self._labels(columns), Faults(self.file.name)
        unknown = [c for c in columns if c not in (*NEEDED, *OPTIONAL, *self.extra_labels) and not is_known(c)]
        if unknown:
            _note_unknown(unknown, faults)
        records = [r for number, row in numbered(rows) for r in self._record(number, row, labels, faults)]
        note_duplicates(((n, row["case"]) for n, row in numbered(rows)), self.keep_names, faults)
        if not rows:
            faults.add("no-cases", "there are no cases", "Add rows.", "the table is empty")
        names = tuple(paper_name(name) for name in labels)
        return Listing(names, tuple(records), (*faults.issues(), *self._unused(rows)))

    def read(self, record: Record) -> Volume:
        """Read one CT."""
        series = record.details.get("series")
        return read_ct(record.path, None if series is None else int(series))

    def reports(self) -> dict[str, str]:
        """Return the report of every case that has one, by the name under which the case is shown."""
        rows = (row for row in read_table(self.file)[1] if row.get("report"))
        return {self._shown_name(row["case"]): row["report"] for row in rows}

    def _shown_name(self, case: str) -> str:
        return case_id_for(case, case if self.keep_names else None)

    def _labels(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the label columns as they are written."""
        lacking = [name for name in NEEDED if name not in columns]
        labels = tuple(c for c in columns if c not in (*NEEDED, *OPTIONAL) and (is_known(c) or c in self.extra_labels))
        if lacking or (self.needs_labels and not labels):
            fact = f"has no column {first(lacking)}" if lacking else "has no column that is a label"
            own = " Other columns can be labels: `--source extra_labels=NAME,NAME`." if not lacking else ""
            raise InputError(error("missing-columns", fact, f"{_COLUMNS}.{own}", self.file.name))
        self._check_extra(columns)
        check_one_column_each(map(paper_name, labels), self.file)
        return labels

    def _check_extra(self, columns: Sequence[str]) -> None:
        """Refuse extra labels that are no column, or a column of another meaning."""
        possible = [name for name in columns if name not in (*NEEDED, *OPTIONAL) and not is_known(name)]
        absent = [name for name in self.extra_labels if name not in possible and not is_known(name)]
        if absent:
            way_out = f"Columns that can be: {', '.join(possible)}." if possible else "All its columns are known."
            fact = f"has no column {first(absent)} that could be a label (extra_labels)"
            raise InputError(error("source-option", fact, way_out, self.file.name))

    def _record(self, number: int, row: Row, labels: Sequence[str], faults: Faults) -> Iterator[Record]:
        """Yield the record of a row, unless it has no CT; note what is wrong with it."""
        place = f"row {number}" + (f" ({row['case']})" if self.keep_names else "")
        if not row["case"]:
            faults.add("no-name", "cases have no name", "Name them.", place)
        if row["split"] not in SPLITS:
            shown = f"{place}: {row['split'][:20]!r}" if row["split"] else f"{place}: empty"
            faults.add("bad-split", f"the split is none of {', '.join(SPLITS)}", "Correct it.", shown)
        targets = targets_of(row, labels, number, faults)
        organs = self._optional_file(row, place, faults)
        path = self.file.parent / row["path"]
        if not row["path"] or (self.needs_volumes and not path.exists()):
            faults.add("no-volume", "cases have no CT where their path says", "Correct the paths.", place)
            return
        names = tuple(paper_name(name) for name in labels)
        sides = dict(parse_sides(row.get("sides", ""), names, place, faults))
        details = {"series": row["series"]} if _is_count(row.get("series", ""), place, faults) else {}
        yield Record(self._shown_name(row["case"]), path, row["split"], targets, sides, organs, details)

    def _optional_file(self, row: Row, place: str, faults: Faults) -> Path | None:
        if not row.get("organs"):
            return None
        path = self.file.parent / row["organs"]
        if not path.is_file():
            faults.add("no-organs", "organ maps are not where the table says", "Correct or empty the cell.", place)
            return None
        return path

    def _unused(self, rows: Sequence[Row]) -> Iterator[Issue]:
        """Warn of volumes in the folders of the listed CTs that no row names."""
        listed = {self.file.parent / row["path"] for row in rows if row["path"]}
        folders = {path.parent for path in listed if path.is_file()}
        organs = {self.file.parent / row["organs"] for row in rows if row.get("organs")}
        beside = {path for folder in folders for path in folder.iterdir() if path.name.endswith(VOLUME_SUFFIXES)}
        unused = {path for path in beside - listed - organs if not is_of_phantom(path)}
        if unused:
            have = f"beside the listed ones {agreed(len(unused), 'has', 'have')} no row"
            fact = f"{counted(len(unused), 'volume')} {have}{self._shown(unused)}"
            yield warning("no-labels", fact, "Add their rows, or leave them out.", self.file.name)

    def _shown(self, paths: set[Path]) -> str:
        return ": " + first(sorted(path.name for path in paths)) if self.keep_names else ""


_COLUMNS = (
    f"The columns are {', '.join(NEEDED)}, if wanted {', '.join(OPTIONAL)}, and names of labels "
    "(`hirescam models --labels`)"
)


def parse_sides(text: str, labels: Sequence[str], place: str, faults: Faults) -> Iterator[tuple[str, Sides]]:
    """Yield (label, sides) of a cell such as ``lung nodule: right; lung opacity: right left``; note what is no such."""
    for part in filter(str.strip, text.split(";")):
        name, colon, words = part.partition(":")
        sides = frozenset(words.split())
        label = paper_name(name.strip())
        if not colon or not sides or not sides <= {"right", "left"} or label not in labels:
            faults.add("bad-sides", "sides are not written as `label: right left; ...`", "Correct them.", place)
        else:
            yield label, sides


def _note_unknown(names: Sequence[str], faults: Faults) -> None:
    own = ",".join(names) if len(names) <= SHOWN_COLUMNS else "NAME,NAME"
    way_out = f"{_COLUMNS}. `--source {quote(f'extra_labels={own}')}` makes labels of them; else leave them out."
    for name in names:
        faults.add("unknown-columns", "columns are neither needed nor a label", way_out, name)


def _is_count(text: str, place: str, faults: Faults) -> bool:
    if text and not (text.isdecimal() and int(text) > 0):
        faults.add("bad-series", "the number of the series is none", "Write 1, 2, ... or nothing.", place)
        return False
    return bool(text)
