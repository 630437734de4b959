"""CT-RATE in its published layout, with the paper's 80 labels from its reports, or its own 18.

Volumes stand at ``train/train_1/train_1_a/train_1_a_1.nii.gz`` (split, patient, scan, reconstruction), the older ones
below ``train`` and ``valid``, the corrected ones below ``train_fixed`` and ``valid_fixed``. The tables are recognised
by their columns, in the folder or the folders directly below it. The names are public, so they are shown.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.cohort.sources.base import Listing, Record
from training.cohort.sources.ct_rate_files import Generation, Metadata, generation_of, read_volume
from training.cohort.sources.report_labels import ReportTargets, label_texts
from training.cohort.sources.tables import Faults, Row, first, note_duplicates, numbered, opened, read_table, targets_of
from training.issues import InputError, Issue, Severity, error, note, warning
from training.labels import label_names
from training.partition.reports.ct_rate import rules
from training.volume import Volume
from training.words import counted, counted_of

ID_COLUMN = "VolumeName"
METADATA_COLUMNS = ("RescaleSlope", "RescaleIntercept", "XYSpacing", "ZSpacing")
REPORT_COLUMNS = ("Findings_EN", "Impressions_EN")

_NAME = re.compile(
    r"(?P<split>train|valid)_(?P<patient>\d+)_(?P<scan>[a-z]+)_(?P<volume>\d+)(?P<fixed>_fixed)?\.nii(\.gz)?"
)
VOLUME_FOLDERS = ("train_fixed", "valid_fixed", "train", "valid")
_NOT_CHEST = "no_chest_*.txt"
_TABLES_WAY_OUT = "Download the CSV files beside the volumes."

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class CtRate:
    """CT-RATE in a folder.

    Parameters
    ----------
    root
        The folder with ``train_fixed``, ``valid_fixed``, ``train`` or ``valid``, or the one that holds it as
        ``dataset``.
    labels
        ``reports``: the paper's 80 labels, with sides, from the reports. ``published``: CT-RATE's own 18.
    validation_share
        CT-RATE has no test split. If this is above 0, that share of the training *patients* becomes the split
        ``valid``, and CT-RATE's validation set the split ``test``; else its validation set is the split ``valid``.
    memo
        Folder in which the labels of the reports are kept; None to work them out every time.
    workers
        Processes that label reports.
    """

    root: Path
    labels: Literal["reports", "published"] = "reports"
    validation_share: float = 0.0
    memo: Path | None = None
    workers: int = 1

    @property
    def name(self) -> str:
        """What the layout is called."""
        return "CT-RATE"

    def listing(self, progress: Progress | None = None) -> Listing:
        """Read the tables, label the reports, and look which volumes are there.

        Raises
        ------
        InputError
            There are no volumes, no table with labels, or a table cannot be read.
        """
        tables = find_tables(self.base)
        needed = "reports" if self.labels == "reports" else "labels"
        if not tables[needed]:
            fact = f"holds no table of {needed}"
            raise InputError(error("no-table", fact, _TABLES_WAY_OUT, self.base.name))
        rows, issues = _rows(tables[needed])
        metadata, more = _metadata(tables["metadata"])
        volumes, doubles = self._volumes()
        left_out = self._not_chest()
        chosen = [row for row in rows if _key(row[ID_COLUMN]) in volumes and _key(row[ID_COLUMN]) not in left_out]
        records, faults = self._records(chosen, volumes, metadata, progress)
        about = _match(rows, volumes, left_out, self.base.name)
        unread = _without_metadata(records, self.base.name)
        labels = label_names() if self.labels == "reports" else tuple(rules())
        return Listing(labels, tuple(records), (*issues, *more, *doubles, *faults, *about, *unread))

    def read(self, record: Record) -> Volume:
        """Read one volume; slope and spacing of the metadata table are applied to older files only."""
        cells = record.details
        metadata = Metadata.from_row(cells) if "XYSpacing" in cells else None
        return read_volume(record.path, generation_of_record(record), metadata)

    @property
    def base(self) -> Path:
        """The folder that holds the folders of volumes."""
        return self.root / "dataset" if (self.root / "dataset").is_dir() else self.root

    def split_of(self, name: str) -> str:
        """Return the split of a volume by its name; all volumes of a patient are in one."""
        match = _NAME.fullmatch(name)
        if match is None or not self.validation_share:
            return "train" if match and match["split"] == "train" else "valid"
        if match["split"] == "valid":
            return "test"
        drawn = int(hashlib.sha256(f"patient {match['patient']}".encode()).hexdigest()[:8], 16) / 0x100000000
        return "valid" if drawn < self.validation_share else "train"

    def _volumes(self) -> tuple[dict[str, Path], list[Issue]]:
        """Return the volumes by name; of a volume in both generations the corrected file."""
        found: dict[str, Path] = {}
        doubles = []
        for folder in VOLUME_FOLDERS:
            for path in sorted((self.base / folder).glob("*/*/*.nii*")):
                if _key(path.name) in found:
                    doubles.append(path.name)
                found.setdefault(_key(path.name), path)
        if not found:
            fact = f"holds no volume like {VOLUME_FOLDERS[0]}/train_1/train_1_a/train_1_a_1.nii.gz"
            raise InputError(error("no-volume", fact, "Give the folder of CT-RATE.", self.base.name))
        both = counted(len(doubles), "volume is")
        fact = f"{both} there in both generations; the corrected file is read: {first(doubles)}"
        return found, [note("both-generations", fact)] if doubles else []

    def _not_chest(self) -> frozenset[str]:
        lists = [path for folder in _table_folders(self.base) for path in folder.glob(_NOT_CHEST)]
        names = []
        for path in lists:
            with opened(path) as stream:
                names += [_key(line.strip().rpartition("/")[2]) for line in stream if line.strip()]
        return frozenset(names)

    def _records(
        self, rows: Sequence[Row], volumes: Mapping[str, Path], metadata: Mapping[str, Row], progress: Progress | None
    ) -> tuple[list[Record], tuple[Issue, ...]]:
        faults = Faults("labels" if self.labels == "published" else "reports")
        reports = self._reports(rows, progress) if self.labels == "reports" else None
        records = []
        for index, row in enumerate(rows):
            key = _key(row[ID_COLUMN])
            if reports is not None and not _text(row).strip():
                faults.add("no-report", "reports are empty; their cases are left out", "", key, Severity.WARNING)
                continue
            targets = reports.targets(index) if reports else targets_of(row, tuple(rules()), index + 2, faults)
            sides = reports.sides(index) if reports else {}
            about = {name: metadata[key].get(name, "") for name in _KEPT} if key in metadata else {}
            details = {"generation": generation_of(volumes[key].relative_to(self.base)), **about}
            records.append(Record(key, volumes[key], self.split_of(volumes[key].name), targets, sides, None, details))
        return records, faults.issues()

    def _reports(self, rows: Sequence[Row], progress: Progress | None) -> ReportTargets:
        return label_texts([_text(row) for row in rows], "default", self.memo, self.workers, progress)


def report_texts(base: Path) -> dict[str, str]:
    """Return findings and impression of every volume that has a report, by its name."""
    texts = {_key(row[ID_COLUMN]): _text(row) for row in _rows(find_tables(base)["reports"])[0]}
    return {name: text for name, text in texts.items() if text.strip()}


_KEPT = (*METADATA_COLUMNS, "ImageOrientationPatient")


def generation_of_record(record: Record) -> Generation:
    """Return what the place of the record's volume said."""
    return "fixed" if record.details["generation"] == "fixed" else "older"


def find_tables(base: Path) -> dict[str, list[Path]]:
    """Return the tables in ``base`` and the folders directly below it, by what their columns say they are."""
    found: dict[str, list[Path]] = {"metadata": [], "reports": [], "labels": []}
    for path in (path for folder in _table_folders(base) for path in sorted(folder.glob("*.csv"))):
        with opened(path) as stream:
            kind = _kind_of(next(csv.reader(stream), []))
        if kind:
            found[kind].append(path)
    return found


def _table_folders(base: Path) -> list[Path]:
    below = sorted(p for p in base.iterdir() if p.is_dir() and p.name not in VOLUME_FOLDERS) if base.is_dir() else []
    return [base, *below]


def _kind_of(columns: Iterable[str]) -> str | None:
    present = set(columns)
    if ID_COLUMN not in present:
        return None
    if present >= set(METADATA_COLUMNS):
        return "metadata"
    if present >= set(REPORT_COLUMNS):
        return "reports"
    return "labels" if present >= set(rules()) else None


def _key(name: str) -> str:
    """Return the name of a volume without extension and without ``_fixed``: the same in tables and folders."""
    return name.removesuffix(".gz").removesuffix(".nii").removesuffix("_fixed")


def _text(row: Row) -> str:
    return "\n".join(row[name] for name in REPORT_COLUMNS if row[name])


def _rows(paths: Sequence[Path]) -> tuple[list[Row], list[Issue]]:
    """Return the rows of tables of one kind, and issues for names that are none or come twice; the first is kept."""
    kept: dict[str, Row] = {}
    issues: list[Issue] = []
    for path in paths:
        faults = Faults(path.name)
        rows = list(numbered(read_table(path)[1]))
        note_duplicates(((number, _key(row[ID_COLUMN])) for number, row in rows), True, faults)
        for number, row in rows:
            if not _NAME.fullmatch(row[ID_COLUMN]):
                place = f"row {number}: {row[ID_COLUMN][:40]!r}"
                faults.add("bad-name", "names are not as train_1_a_1.nii.gz", "Take the table as published.", place)
            kept.setdefault(_key(row[ID_COLUMN]), row)
        issues += faults.issues()
    return list(kept.values()), issues


def _metadata(paths: Sequence[Path]) -> tuple[dict[str, Row], list[Issue]]:
    """Return the usable rows of the metadata tables by volume."""
    rows, issues = _rows(paths)
    faults = Faults("metadata")
    usable = {}
    for row in rows:
        try:
            Metadata.from_row(row)
        except ValueError as failure:
            place = f"{_key(row[ID_COLUMN])}: {failure}"
            faults.add("bad-metadata", "slope or spacing cannot be read", "Take the table as published.", place)
        else:
            usable[_key(row[ID_COLUMN])] = row
    return usable, [*issues, *faults.issues()]


def _match(rows: Sequence[Row], volumes: Mapping[str, Path], left_out: frozenset[str], file: str) -> Iterator[Issue]:
    """Compare the rows with the volumes."""
    named = {_key(row[ID_COLUMN]) for row in rows}
    lacking, extra = sorted(named - set(volumes)), sorted(set(volumes) - named)
    if len(lacking) == len(named):
        yield error(
            "no-volume", f"none of {counted(len(named), 'row')} has a volume: {first(lacking)}", "Download some.", file
        )
    elif lacking:
        fact = f"{counted_of(len(lacking), len(named), 'row')} without volume left out: {first(lacking)}"
        yield warning("no-volume", fact, "Download them, if they are wanted.", file)
    if extra:
        fact = f"{counted(len(extra), 'volume')} without row left out: {first(extra)}"
        yield warning("no-labels", fact, _TABLES_WAY_OUT, file)
    dropped = sorted(left_out & named & set(volumes))
    if dropped:
        fact = f"{counted(len(dropped), 'volume')} listed as not of the chest left out: {first(dropped)}"
        yield note("not-chest", fact, file)


def _without_metadata(records: Sequence[Record], file: str) -> Iterator[Issue]:
    bare = [record for record in records if "XYSpacing" not in record.details]
    older = [r.case_id for r in bare if generation_of_record(r) == "older"]
    fixed = [r.case_id for r in bare if generation_of_record(r) == "fixed"]
    if older:
        bare_ones = counted(len(older), "older volume has")
        fact = f"{bare_ones} no row of metadata, so slope and spacing are unknown: {first(older)}"
        yield error("no-metadata", fact, "Add the metadata table, or use the corrected files.", file)
    if fixed:
        fact = f"{counted(len(fixed), 'corrected volume has')} no row of metadata to check them by: {first(fixed)}"
        yield warning("no-metadata", fact, "Add the metadata table.", file)
